/**
 * A copy between targets ends with whatever ends its command, and with a reset of the unit it writes to; once
 * that is answered nothing of the copy lands.
 */
import test from 'ava';
import { cscd, list, segment } from '../scsi/copy-kit.ts';
import { HeldDevice, Host, type Pdu, rw10, senseOf, world } from './kit.ts';

const MiB = 2 ** 20;
const other = 'iqn.2026-11.test:other';

/** A copy of 1 MiB whose second write is inside the device of the other target. */
async function copying() {
  const all = world({}, new HeldDevice({ bytes: 8 * MiB }));
  const there = new HeldDevice({ bytes: 8 * MiB });
  all.server.addTarget({ name: other, access: () => 'read-write' }).scsi.add(0, there);
  all.device.write(0, Buffer.alloc(MiB, 'some data '), false, { complete: () => {} });
  const host = new Host(all.server);
  await host.enter();
  there.holdWrites = true;
  const cscds = [cscd(all.device.identity.naa), cscd(there.identity.naa)];
  const out = Buffer.from(list(cscds, [segment({ destination: 1, blocks: 2048, from: 0, to: 0 })]));
  const cdb = Buffer.alloc(16);
  cdb[0] = 0x83;
  cdb.writeUInt32BE(out.length, 10);
  const tag = host.command(cdb, { write: true, length: out.length, data: out });
  const more = async () => {
    all.device.releaseAll();
    await turn();
  };
  while (there.waiting === 0) await more();
  there.release();
  while (there.waiting === 0) await more();
  if (there.log.length !== 2) throw new Error('two writes began');
  return { ...all, there, host, tag, more };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const brief = (all: Pdu[]): string[] =>
  all.map((p) => `${p.op.toString(16)} ${p.tag} ${p.op === 0x22 ? p.byte2 : p.byte3}`);

const LUN_RESET = 5;
const WARM_RESET = 6;
const CLEAR_TASK_SET = 4;
const ABORT_TASK_SET = 2;

for (const [name, fn] of [
  ['ABORT TASK SET', ABORT_TASK_SET],
  ['CLEAR TASK SET', CLEAR_TASK_SET],
  ['LOGICAL UNIT RESET', LUN_RESET],
  ['TARGET WARM RESET', WARM_RESET],
] as const) {
  test(`${name} by the one who commands it`, async (t) => {
    const all = await copying();
    const asked = all.host.taskManagement(fn);
    await all.more();
    t.deepEqual(brief(await all.host.receive()), [], 'a write is inside the other device');
    all.there.release();
    t.deepEqual(brief(await all.host.receive()), [`22 ${asked} 0`]);
    await all.more();
    t.is(all.there.log.length, 2);
    t.is(all.device.waiting, 0, 'nor is anything read');
  });
}

for (const [name, fn] of [
  ['LOGICAL UNIT RESET', LUN_RESET],
  ['TARGET WARM RESET', WARM_RESET],
] as const) {
  test(`${name} at the other target, by another`, async (t) => {
    const all = await copying();
    const there = new Host(all.server);
    await there.enter({ TargetName: other }, 2);
    const asked = there.taskManagement(fn);
    await all.more();
    t.deepEqual(brief(await there.receive()), [], 'a write is inside the device that is reset');
    all.there.release();
    t.deepEqual(brief(await there.receive()), [`22 ${asked} 0`]);
    const [answer] = await all.host.receive();
    t.is(answer?.tag, all.tag);
    t.is(senseOf(answer!), 'a/0d01');
    await all.more();
    t.is(all.there.log.length, 2);
  });

  test(`${name} there is rejected when the device does not let go, and answered once`, async (t) => {
    const all = await copying();
    const there = new Host(all.server);
    await there.enter({ TargetName: other }, 2);
    const asked = there.taskManagement(fn);
    all.clock.advance(2_000);
    t.deepEqual(brief(await there.receive()), [`22 ${asked} 255`]);
    const one = { write: true, length: 512, data: Buffer.alloc(512) };
    const early = there.command(rw10(0x2a, 0, 1), one);
    t.deepEqual(
      brief(await there.receive()),
      [`21 ${early} 8`],
      'BUSY while the old write may land',
    );
    all.there.releaseAll();
    await all.more();
    t.deepEqual(brief(await there.receive()), []);
    t.is(senseOf((await all.host.receive())[0]!), 'a/0d01', 'the copy ends all the same');
    t.is(all.there.log.length, 2);
    const late = there.command(rw10(0x2a, 0, 1), one);
    all.there.releaseAll();
    t.deepEqual(brief(await there.receive()), [`21 ${late} 0`], 'served again');
  });
}

for (const [name, fn] of [
  ['CLEAR TASK SET', CLEAR_TASK_SET],
  ['ABORT TASK SET', ABORT_TASK_SET],
] as const) {
  test(`${name} at the other target leaves the copy alone: it is no task there`, async (t) => {
    const all = await copying();
    const there = new Host(all.server);
    await there.enter({ TargetName: other }, 2);
    const asked = there.taskManagement(fn);
    t.deepEqual(brief(await there.receive()), [`22 ${asked} 0`]);
    all.there.holdWrites = false;
    all.there.releaseAll();
    while (all.there.log.length < 4) await all.more();
    await all.more();
    t.deepEqual(brief(await all.host.receive()), [`21 ${all.tag} 0`]);
  });
}

test('the session is dropped: the copy ends with the call it is in', async (t) => {
  const all = await copying();
  all.server.kick(all.server.sessions()[0]!.id);
  all.there.release();
  for (let i = 0; i < 3; i++) await all.more();
  t.is(all.there.log.length, 2);
});

test('the session is reinstated: what the new one writes to the commanding unit waits for the old copy', async (t) => {
  const all = await copying();
  const again = new Host(all.server);
  await again.login();
  t.is(all.host.stream.ended, 'destroy');
  again.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  await again.receive();
  const write = again.command(rw10(0x2a, 0, 1), {
    write: true,
    length: 512,
    data: Buffer.alloc(512),
  });
  const own = all.device.log.length;
  await all.more();
  t.is(all.device.log.length, own, 'held back');
  all.there.release();
  t.deepEqual(brief(await again.receive()), [`21 ${write} 0`]);
  await all.more();
  t.is(all.there.log.length, 2, 'nothing of the old copy follows');
});

test('the target that commands it is removed: it waits for the call, and the copy ends', async (t) => {
  const all = await copying();
  let removed = false;
  const removal = all.server.removeTarget(all.target.name).then(() => {
    removed = true;
  });
  all.clock.advance(3_000);
  for (let i = 0; i < 3; i++) await all.more();
  t.false(removed);
  all.there.release();
  await removal;
  await all.more();
  t.is(all.there.log.length, 2);
});

test('a removal does not wait for ever for a device that keeps a call', async (t) => {
  const all = await copying();
  const removal = all.server.removeTarget(other);
  await turn();
  all.clock.advance(60_000);
  await removal;
  t.is(all.there.waiting, 1);
});
