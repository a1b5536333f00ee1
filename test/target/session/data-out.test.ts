/**
 * A write's data arrives immediately, unsolicited or by R2T, in any mixture that was negotiated, and
 * is written as it was sent; a Data-Out that does not fit ends its task and writes nothing.
 */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { HeldDevice, Host, rw10, senseOf, world } from './kit.ts';

const NO_TAG = 0xffffffff;
const UNASKED = { InitialR2T: 'No', ImmediateData: 'Yes', FirstBurstLength: '65536' };

function stored(device: HeldDevice, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  device.readNow(0, length, bytes, 0);
  return bytes;
}

for (const step of [Number.MAX_SAFE_INTEGER, 4096, 1000, 49]) {
  test(`immediate, unsolicited and solicited data make one write, in chunks of ${step}`, async (t) => {
    const { server, device } = world();
    const host = new Host(server);
    await host.enter({ ...UNASKED, MaxBurstLength: '131072', MaxOutstandingR2T: '2' });
    const data = randomBytes(512 * 1024);
    const send = host.send.bind(host);
    host.send = (bytes: Buffer) => send(bytes, Math.min(step, bytes.length));
    const tag = host.command(rw10(0x2a, 0, 1024), {
      flags: 0x21,
      length: data.length,
      data: data.subarray(0, 20_480),
    });
    host.dataOut(tag, NO_TAG, 0, 20_480, data.subarray(20_480, 40_960), 0);
    host.dataOut(tag, NO_TAG, 1, 40_960, data.subarray(40_960, 65_536));
    let received = 65_536;
    const asked: number[] = [];
    let replies = await host.receive();
    while (replies[0]?.op === 0x31) {
      t.true(replies.length <= 2, 'MaxOutstandingR2T');
      for (const r2t of replies) {
        const offset = r2t.head.readUInt32BE(40);
        const length = r2t.head.readUInt32BE(44);
        t.is(offset, received);
        t.is(r2t.head.readUInt32BE(36), asked.length, 'R2TSN');
        asked.push(length);
        const half = length / 2;
        const ttt = r2t.head.readUInt32BE(20);
        host.dataOut(tag, ttt, 0, offset, data.subarray(offset, offset + half), 0);
        host.dataOut(tag, ttt, 1, offset + half, data.subarray(offset + half, offset + length));
        received += length;
      }
      replies = await host.receive();
    }
    t.deepEqual(asked, [131072, 131072, 131072, 65536]);
    t.deepEqual(
      replies.map((reply) => [reply.op, reply.byte3, reply.flags, reply.head.readUInt32BE(44)]),
      [[0x21, 0, 0x80, 0]],
    );
    t.is(device.log.length, 1, 'one write');
    t.true(stored(device, data.length).equals(data));
  });
}

test('data beyond what the CDB asks is taken and dropped', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter(UNASKED);
  const data = randomBytes(2048);
  const tag = host.command(rw10(0x2a, 0, 1), {
    flags: 0x21,
    length: 2048,
    data: data.subarray(0, 256),
  });
  host.dataOut(tag, NO_TAG, 0, 256, data.subarray(256));
  const [reply] = await host.receive();
  t.is(reply?.byte3, 0);
  t.is(reply!.flags & 0x06, 0x02, 'underflow');
  t.is(reply!.head.readUInt32BE(44), 2048 - 512);
  t.true(stored(device, 512).equals(data.subarray(0, 512)));
  t.true(stored(device, 1024).subarray(512).equals(Buffer.alloc(512)));
});

interface Fault {
  /** Of the Data-Out that answers an R2T for 8192 bytes at 0. */
  transferTag?: number;
  sn?: number;
  offset?: number;
  length?: number;
  reason: number;
  sense: string;
}

const faults: Record<string, Fault> = {
  'a wrong DataSN': { sn: 5, reason: 4, sense: 'b/4b00' },
  'an offset ahead': { offset: 512, reason: 4, sense: 'b/4b00' },
  'an offset beyond 4 GiB': { offset: 0xfffffe00, reason: 4, sense: 'b/4b00' },
  'more than was asked for': { length: 8704, reason: 4, sense: 'b/4b00' },
  'an unknown transfer tag': { transferTag: 0x1234567, reason: 9, sense: 'b/4b00' },
  'unsolicited data instead': { transferTag: NO_TAG, reason: 4, sense: 'b/4b00' },
};

for (const [name, fault] of Object.entries(faults)) {
  test(`${name} ends the task`, async (t) => {
    const { server, device } = world();
    const host = new Host(server);
    await host.enter();
    const tag = host.command(rw10(0x2a, 0, 16), { write: true, length: 8192 });
    const [r2t] = await host.receive();
    const transferTag = fault.transferTag ?? r2t!.head.readUInt32BE(20);
    const data = Buffer.alloc(fault.length ?? 8192, 0xee);
    host.dataOut(tag, transferTag, fault.sn ?? 0, fault.offset ?? 0, data);
    const [reject, response] = await host.receive();
    t.is(reject?.op, 0x3f);
    t.is(reject?.byte2, fault.reason);
    t.is(response?.op, 0x21);
    t.is(response?.tag, tag);
    t.is(senseOf(response!), fault.sense);
    t.deepEqual(device.log, []);
    host.command(rw10(0x2a, 0, 1), { write: true, length: 512, data: Buffer.alloc(512, 7) });
    t.is((await host.receive())[0]?.byte3, 0, 'the session serves on');
  });
}

test('a burst that ends too early ends the task', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter();
  const tag = host.command(rw10(0x2a, 0, 16), { write: true, length: 8192 });
  const [r2t] = await host.receive();
  host.dataOut(tag, r2t!.head.readUInt32BE(20), 0, 0, Buffer.alloc(512));
  t.is(senseOf((await host.receive())[0]!), 'b/0c0d');
  t.deepEqual(device.log, []);
});

test('a refused command is answered when its unsolicited data has passed', async (t) => {
  const { server } = world();
  const host = new Host(server);
  await host.enter(UNASKED);
  const tag = host.command(rw10(0x2a, 0xfffffff0, 16), { flags: 0x21, length: 8192 });
  t.deepEqual(await host.receive(), []);
  host.dataOut(tag, NO_TAG, 0, 0, Buffer.alloc(8192));
  const [response] = await host.receive();
  t.is(senseOf(response!), '5/2100');
});

test('without InitialR2T=No nothing but immediate data comes unasked', async (t) => {
  const { server } = world();
  const host = new Host(server);
  await host.enter({ InitialR2T: 'Yes' });
  const tag = host.command(rw10(0x2a, 0, 16), { flags: 0x21, length: 8192 });
  host.dataOut(tag, NO_TAG, 0, 0, Buffer.alloc(8192));
  t.is(senseOf((await host.receive())[0]!), 'b/0c0c');
});

test('an initiator that owes data for too long is dropped', async (t) => {
  const { server, clock } = world();
  const host = new Host(server);
  await host.enter();
  host.command(rw10(0x2a, 0, 16), { write: true, length: 8192 });
  for (let s = 0; s < 70 && host.stream.ended === null; s += 5) {
    clock.advance(5_000);
    host.send(
      host.digested(
        Buffer.concat([
          Buffer.from([0x40, 0x80]),
          Buffer.alloc(14),
          Buffer.alloc(4, 255),
          Buffer.alloc(28),
        ]),
      ),
    );
  }
  t.is(host.stream.ended, 'destroy');
});

test('memory for writes is bounded: R2Ts wait, unasked data gets TASK SET FULL, all is given back', async (t) => {
  const limits = {
    window: 16,
    firstBurstBytes: 65_536,
    maxBurstBytes: 262_144,
    transferBytes: 1_048_576,
    sessionWriteBytes: 1_048_576,
    totalWriteBytes: 1_048_576 + 131_072,
  };
  const device = new HeldDevice({ bytes: 16 * 1024 * 1024 });
  const { server } = world({ limits }, device);
  const host = new Host(server);
  await host.enter(UNASKED);
  const first = host.command(rw10(0x2a, 0, 2048), { write: true, length: 1_048_576 });
  const waits = host.command(rw10(0x2a, 4096, 128), { write: true, length: 65_536 });
  const replies = await host.receive();
  t.true(
    replies.every((reply) => reply.op === 0x31 && reply.tag === first),
    'only the first is asked',
  );
  const small = Array.from({ length: 3 }, () =>
    host.command(rw10(0x2a, 8192, 128), { flags: 0x21, length: 65_536, data: Buffer.alloc(512) }),
  );
  host.dataOut(small[2]!, NO_TAG, 0, 512, Buffer.alloc(65_024));
  const full = await host.receive();
  t.deepEqual(
    full.map((reply) => [reply.tag, reply.byte3]),
    [[small[2], 0x28]],
  );
  for (const tag of small.slice(0, 2)) host.dataOut(tag, NO_TAG, 0, 512, Buffer.alloc(65_024));
  let ended = 2;
  let pending = [...replies, ...(await host.receive())];
  while (ended < 4) {
    for (const reply of pending) {
      if (reply.op === 0x21) {
        t.is(reply.byte3, 0);
        continue;
      }
      const length = reply.head.readUInt32BE(44);
      const offset = reply.head.readUInt32BE(40);
      host.dataOut(reply.tag, reply.head.readUInt32BE(20), 0, offset, Buffer.alloc(length, 1));
    }
    pending = await host.receive();
    if (pending.some((reply) => reply.op === 0x21 && reply.tag === first)) ended++;
    if (pending.some((reply) => reply.op === 0x21 && reply.tag === waits)) ended++;
    if (pending.length === 0) break;
  }
  t.is(ended, 4);
  t.is(server.budget.used, 0);
});
