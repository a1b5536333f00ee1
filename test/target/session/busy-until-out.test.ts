/**
 * After FUNCTION REJECTED the aborted task may still land, so until it is out of the device the unit
 * is BUSY to whatever would touch the medium, from every nexus; it then serves as before.
 */
import test from 'ava';
import { RamDevice } from '../../../target/index.ts';
import { commands } from '../../../target/scsi/dispatch.ts';
import { cscd, list, segment, xcopy } from '../scsi/copy-kit.ts';
import { HeldDevice, Host, rw10, type World, world } from './kit.ts';

const GOOD = 0;
const BUSY = 0x08;
const REJECTED = 255;

const oneBlock = (fill: number) => ({ write: true, length: 512, data: Buffer.alloc(512, fill) });

function cdb(hex: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write(hex.replaceAll(' ', ''), 'hex');
  return bytes;
}

/** What touches the medium, each with the data-out that it takes. */
const touching: [string, string, number][] = [
  ['READ(6)', '08 000000 01 00', 0],
  ['READ(10)', '28 00 00000000 00 0001 00', 0],
  ['READ(16)', '88 00 0000000000000000 00000001 00 00', 0],
  ['WRITE(6)', '0a 000000 01 00', 512],
  ['WRITE(10)', '2a 00 00000000 00 0001 00', 512],
  ['WRITE(16)', '8a 00 0000000000000000 00000001 00 00', 512],
  ['WRITE AND VERIFY(10)', '2e 00 00000000 00 0001 00', 512],
  ['VERIFY(10)', '2f 00 00000000 00 0001 00', 0],
  ['PRE-FETCH(10)', '34 00 00000000 00 0001 00', 0],
  ['SYNCHRONIZE CACHE(10)', '35 00 00000000 00 0000 00', 0],
  ['WRITE SAME(10)', '41 00 00000000 00 0001 00', 512],
  ['UNMAP', '42 00 00000000 00 0018 00', 24],
  ['COMPARE AND WRITE', '89 00 0000000000000000 000000 01 00 00', 1024],
  ['GET LBA STATUS', '9e 12 0000000000000000 00000020 00 00', 0],
  ['START STOP UNIT, stop', '1b 00 00 00 00 00', 0],
];

/** What says who and how the unit is, and what reservations ask. */
const apart: [string, string, number][] = [
  ['TEST UNIT READY', '00 00 00 00 00 00', 0],
  ['REQUEST SENSE', '03 00 00 00 12 00', 18],
  ['INQUIRY', '12 00 00 00 24 00', 36],
  ['REPORT LUNS', 'a0 00 00 000000 00000010 00 00', 16],
  ['READ CAPACITY(10)', '25 00 00000000 000000 00', 8],
  ['MODE SENSE(10)', '5a 00 3f 00 00 00 00 00ff 00', 255],
  ['PERSISTENT RESERVE IN', '5e 00 000000 0000 00ff 00', 255],
];

/** Sends one command and returns its status, or null when there is none yet. */
async function status(host: Host, bytes: Buffer, out = 0, into = 0): Promise<number | null> {
  const tag = host.command(
    bytes,
    out > 0
      ? { write: true, length: out, data: Buffer.alloc(out) }
      : { read: into > 0, length: into },
  );
  const reply = (await host.receive()).find((pdu) => pdu.tag === tag);
  // GOOD comes with the last Data-In PDU.
  const answered = reply?.op === 0x21 || (reply?.op === 0x25 && (reply.flags & 1) !== 0);
  return answered ? reply.byte3 : null;
}

interface Stuck extends World {
  host: Host;
  other: Host;
  /** A write of `host` inside the device. */
  write: number;
}

async function stuck(): Promise<Stuck> {
  const all = world();
  const host = new Host(all.server);
  const other = new Host(all.server, '192.0.2.8');
  await host.enter({}, 1);
  await other.enter({ InitiatorName: 'iqn.2026-11.test:other' }, 2);
  all.device.holdWrites = true;
  return { ...all, host, other, write: host.command(rw10(0x2a, 0, 1), oneBlock(1)) };
}

const functions: [string, (all: Stuck) => number][] = [
  ['ABORT TASK', ({ host, write }) => host.taskManagement(1, write)],
  ['ABORT TASK SET', ({ host }) => host.taskManagement(2)],
  ['CLEAR TASK SET', ({ other }) => other.taskManagement(4)],
  ['LOGICAL UNIT RESET', ({ other }) => other.taskManagement(5)],
  ['TARGET WARM RESET', ({ other }) => other.taskManagement(6)],
  ['TARGET COLD RESET', ({ other }) => other.taskManagement(7)],
];

for (const [name, ask] of functions) {
  test(`${name} rejected: BUSY to everybody until the write is out`, async (t) => {
    const all = await stuck();
    const { host, other, device, clock } = all;
    const tag = ask(all);
    clock.advance(1_000);
    t.deepEqual([...(await host.receive()), ...(await other.receive())], [], 'still waited for');
    clock.advance(1_000);
    const said = [...(await host.receive()), ...(await other.receive())];
    t.deepEqual(
      said.map((pdu) => [pdu.op, pdu.tag, pdu.byte2]),
      [[0x22, tag, REJECTED]],
    );
    for (const each of [host, other]) {
      t.is(await status(each, rw10(0x28, 0, 1), 0, 512), BUSY);
      t.is(await status(each, rw10(0x2a, 0, 1), 512), BUSY);
      t.is(await status(each, Buffer.alloc(16)), GOOD, 'TEST UNIT READY');
    }
    t.deepEqual(device.log, ['write 0 512 1'], 'nothing else has reached the device');

    device.holdWrites = false;
    device.releaseAll();
    const [late] = await host.receive();
    t.deepEqual([late?.tag, late?.byte3], [all.write, 2], 'reported as aborted');
    for (const each of [host, other]) {
      const fill = each === host ? 2 : 3;
      const next = each.command(rw10(0x2a, 0, 1), oneBlock(fill));
      const [done] = await each.receive();
      t.deepEqual([done?.tag, done?.byte3], [next, GOOD]);
      t.is(await status(each, rw10(0x28, 0, 1), 0, 512), GOOD);
    }
    t.deepEqual(device.log, ['write 0 512 1', 'write 0 512 2', 'write 0 512 3']);
  });
}

test('which commands touch the medium, and which do not', async (t) => {
  const all = await stuck();
  all.host.taskManagement(2);
  all.clock.advance(2_000);
  await all.host.receive();
  for (const [name, hex, out] of touching) {
    t.is(await status(all.other, cdb(hex), out), BUSY, name);
  }
  for (const [name, hex, into] of apart) {
    t.is(await status(all.other, cdb(hex), 0, into), GOOD, name);
  }
  t.deepEqual(all.device.log, ['write 0 512 1']);
  for (const each of commands) t.true(each.touches || !each.writes, each.name);
});

test('a write whose data comes when the unit is busy does not reach the device', async (t) => {
  const all = await stuck();
  const { host, other, device, clock } = all;
  const write = other.command(rw10(0x2a, 8, 16), { write: true, length: 8192 });
  const [r2t] = await other.receive();
  host.taskManagement(2);
  clock.advance(2_000);
  other.dataOut(write, r2t!.head.readUInt32BE(20), 0, 0, Buffer.alloc(8192, 9));
  const [reply] = await other.receive();
  t.deepEqual([reply?.tag, reply?.byte3], [write, BUSY]);
  t.deepEqual(device.log, ['write 0 512 1']);
});

test('every task that was given up on must be out, and by whomsoever', async (t) => {
  const all = await stuck();
  const { host, other, device, clock } = all;
  other.command(rw10(0x2a, 8, 1), oneBlock(2));
  host.taskManagement(1, all.write);
  other.taskManagement(2);
  clock.advance(2_000);
  device.release();
  t.is(await status(other, rw10(0x28, 0, 1), 0, 512), BUSY, 'the other write is inside');
  device.release();
  await other.receive();
  t.is(await status(other, rw10(0x28, 0, 1), 0, 512), GOOD);
});

test('a second function is complete once the task is out, and then it is not answered', async (t) => {
  const all = await stuck();
  const { host, device, clock } = all;
  host.taskManagement(1, all.write);
  clock.advance(2_000);
  await host.receive();
  const again = host.taskManagement(5);
  device.release();
  const replies = await host.receive();
  t.deepEqual(
    replies.map((pdu) => [pdu.op, pdu.tag, pdu.byte2]),
    [[0x22, again, 0]],
  );
});

test('another LUN of the target is not busy', async (t) => {
  const all = await stuck();
  all.target.scsi.add(1, new RamDevice({ bytes: 2 ** 20 }));
  all.host.taskManagement(2);
  all.clock.advance(2_000);
  await all.host.receive();
  for (let attentions = 0; attentions < 2; attentions++) {
    all.host.command(Buffer.alloc(16), { lun: 1 });
    await all.host.receive();
  }
  all.host.command(rw10(0x2a, 0, 1), { ...oneBlock(4), lun: 1 });
  const [done] = await all.host.receive();
  t.is(done?.byte3, GOOD);
});

test('LOGICAL UNIT RESET waits for the write of a session that has gone', async (t) => {
  const { host, other, device } = await stuck();
  host.handler.closed();
  const reset = other.taskManagement(5);
  t.deepEqual(await other.receive(), []);
  device.release();
  const [reply] = await other.receive();
  t.deepEqual([reply?.tag, reply?.byte2], [reset, 0]);
});

test('a copy that is stuck writing to another LUN makes that one busy as well', async (t) => {
  const all = world();
  const destination = new HeldDevice({ bytes: 2 ** 20 });
  all.target.scsi.add(1, destination);
  const host = new Host(all.server);
  await host.enter();
  host.command(Buffer.alloc(16), { lun: 1 });
  await host.receive();
  // A hole would be copied as one.
  host.command(rw10(0x2a, 0, 1), oneBlock(1));
  await host.receive();
  destination.holdWrites = true;
  const names = [all.device, destination].map((each) => cscd(each.identity.naa));
  const data = Buffer.from(list(names, [segment({ destination: 1, blocks: 8, from: 0, to: 0 })]));
  const copy = host.command(cdb(xcopy(data.length)), { write: true, length: data.length, data });
  all.device.release();
  t.is(destination.log.length, 1, 'the source was read, and the destination is being written to');
  const abort = host.taskManagement(1, copy);
  all.clock.advance(2_000);
  const [rejected] = await host.receive();
  t.deepEqual([rejected?.tag, rejected?.byte2], [abort, REJECTED]);
  const writeBoth = async (): Promise<(number | undefined)[]> => {
    const found = [];
    for (const lun of [0, 1]) {
      const tag = host.command(rw10(0x2a, 0, 1), { ...oneBlock(5), lun });
      found.push((await host.receive()).find((pdu) => pdu.tag === tag)?.byte3);
    }
    return found;
  };
  t.deepEqual(await writeBoth(), [BUSY, BUSY]);
  destination.holdWrites = false;
  destination.releaseAll();
  await host.receive();
  t.deepEqual(await writeBoth(), [GOOD, GOOD]);
});
