/**
 * No offset, length, number or tag of a Data-Out puts a byte where no R2T asked for one: at every
 * boundary of 32 bits, for any combination, before and after an abort, in one piece or byte by byte.
 */
import test from 'ava';
import { SeededRandom } from '../../kit/random.ts';
import { HeldDevice, Host, pdu, rw10, world } from './kit.ts';

const NO_TAG = 0xffffffff;
const EDTL = 16_384;
const BURST = 4096;
const KEYS = {
  MaxBurstLength: String(BURST),
  FirstBurstLength: String(BURST),
  MaxOutstandingR2T: '2',
};
const OLD = 0x11;
const NEW = 0x22;
const BAD = 0xee;

/** A device full of 11h, and a write of it that has been asked for its first two bursts. */
async function asked() {
  const device = new HeldDevice({ bytes: 1024 * 1024 });
  device.write(0, Buffer.alloc(1024 * 1024, OLD), false, { complete: () => {} });
  device.log.length = 0;
  const { server, clock } = world({}, device);
  const host = new Host(server);
  await host.enter(KEYS);
  const tag = host.command(rw10(0x2a, 64, EDTL / 512), { write: true, length: EDTL });
  const r2ts = await host.receive();
  const transferTags = r2ts.map((reply) => reply.head.readUInt32BE(20));
  return { device, server, clock, host, tag, transferTags };
}

function untouched(device: HeldDevice): boolean {
  const bytes = Buffer.alloc(1024 * 1024);
  device.readNow(0, bytes.length, bytes, 0);
  return bytes.every((byte) => byte === OLD);
}

const words = [
  0,
  1,
  511,
  512,
  BURST,
  2 * BURST,
  EDTL - 512,
  EDTL,
  0x7fffffff,
  0x80000000,
  0xfffff000,
  0xfffffe00,
  0xfffffffe,
  0xffffffff,
];
const sizes = [0, 1, 512, BURST - 1, BURST, BURST + 1, EDTL, 65_536];

for (const step of ['whole', 'in pieces'] as const) {
  test(`every offset and length, ${step}`, async (t) => {
    for (const offset of words) {
      for (const size of sizes) {
        if (offset === 0 && size <= BURST) continue;
        const { device, server, host, tag, transferTags } = await asked();
        const bytes = pdu(0x05, {
          tag,
          w20: transferTags[0]!,
          w40: offset,
          data: Buffer.alloc(size, BAD),
        });
        host.send(bytes, step === 'whole' ? bytes.length : 1021);
        const [first, second] = await host.receive();
        t.is(first?.op, 0x3f, `${offset}+${size}`);
        t.is(second?.op, 0x21);
        t.is(second?.byte3, 2);
        t.deepEqual(device.log, []);
        t.is(server.budget.used, 0);
      }
    }
  });
}

test('every DataSN but the next', async (t) => {
  for (const sn of words.filter((word) => word !== 0)) {
    const { device, host, tag, transferTags } = await asked();
    host.dataOut(tag, transferTags[0]!, sn, 0, Buffer.alloc(BURST, BAD));
    t.deepEqual(
      (await host.receive()).map((reply) => reply.op),
      [0x3f, 0x21],
      `${sn}`,
    );
    t.deepEqual(device.log, []);
  }
});

test('every transfer tag but the first that is due', async (t) => {
  const { transferTags } = await asked();
  const other = [
    ...words,
    ...transferTags.map((tag) => (tag ^ 0x80000000) >>> 0),
    transferTags[1]!,
    transferTags[1]! + 1,
  ];
  for (const wrong of other) {
    if (wrong === transferTags[0]) continue;
    const { device, host, tag } = await asked();
    host.dataOut(tag, wrong, 0, wrong === transferTags[1] ? BURST : 0, Buffer.alloc(BURST, BAD));
    t.deepEqual(
      (await host.receive()).map((reply) => reply.op),
      [0x3f, 0x21],
      `${wrong}`,
    );
    t.deepEqual(device.log, []);
  }
});

test('data for the task of another session is data for nothing', async (t) => {
  const { device, server, host, tag, transferTags } = await asked();
  const thief = new Host(server);
  await thief.enter(KEYS, 9);
  thief.dataOut(tag, transferTags[0]!, 0, 0, Buffer.alloc(BURST, BAD));
  t.is((await thief.receive())[0]?.op, 0x3f);
  t.deepEqual(await host.receive(), []);
  t.true(untouched(device));
});

test('after an abort, and after a task with the same tag, late data goes nowhere', async (t) => {
  for (const fn of [1, 2, 4, 5, 6]) {
    const { device, server, host, tag, transferTags } = await asked();
    host.taskManagement(fn, fn === 1 ? tag : NO_TAG);
    const [aborted] = await host.receive();
    t.is(aborted?.op, 0x22);
    t.is(aborted?.byte2, 0);
    t.is(server.budget.used, 0);
    for (const transferTag of transferTags) {
      host.dataOut(tag, transferTag, 0, 0, Buffer.alloc(BURST, BAD));
    }
    await host.receive();
    host.command(rw10(0x2a, 64, 8), { tag, write: true, length: BURST });
    await host.receive();
    host.dataOut(tag, transferTags[0]!, 0, 0, Buffer.alloc(BURST, BAD));
    await host.receive();
    t.deepEqual(device.log, [], `function ${fn}`);
    t.true(untouched(device));
  }
});

test('any sequence of right and wrong Data-Outs writes what was asked for or nothing', async (t) => {
  const random = new SeededRandom(7);
  let written = 0;
  for (let round = 0; round < 400; round++) {
    const { device, server, host, tag, transferTags } = await asked();
    const tags = [...transferTags];
    let offset = 0;
    let wrong = false;
    while (offset < EDTL && !wrong) {
      wrong = random.chance(0.08);
      const bytes = pdu(0x05, {
        tag,
        w20: wrong && random.chance(0.5) ? random.word() : tags.shift()!,
        w36: wrong && random.chance(0.5) ? random.pick(words) : 0,
        w40: wrong ? random.pick(words) : offset,
        data: Buffer.alloc(wrong ? random.pick(sizes) : BURST, wrong ? BAD : NEW),
      });
      host.send(bytes, random.pick([bytes.length, 700, 4096]));
      offset += BURST;
      for (const reply of await host.receive()) {
        if (reply.op === 0x31) tags.push(reply.head.readUInt32BE(20));
      }
    }
    const now = Buffer.alloc(EDTL);
    device.readNow(64 * 512, EDTL, now, 0);
    const around = Buffer.alloc(1024);
    device.readNow(63 * 512, 512, around, 0);
    device.readNow(64 * 512 + EDTL, 512, around, 512);
    t.true(around.every((byte) => byte === OLD));
    if (now.every((byte) => byte === NEW)) written++;
    else if (!now.every((byte) => byte === OLD)) {
      // Only a wrong PDU that happened to be right may have been taken; then nothing is partly new.
      t.fail(`round ${round}: a part was written`);
    }
    host.handler.closed();
    t.is(server.budget.used, 0);
  }
  t.true(written > 100 && written < 400, `${written} of 400 were right`);
});
