/**
 * A token stands for the data as it was: once a byte of it is about to change, by whatever command and on
 * whatever path, it is cancelled (SPC-4 5.17.6.2.3.3), and never is changed data written for it.
 */
import test from 'ava';
import { list as copyList, cscd, segment, xcopy } from './copy-kit.ts';
import { sector, verdict, Watched } from './kit.ts';
import { fill, populateList, RodWorld, read, same, writeList, zeroToken } from './rod-kit.ts';

const MiB = 1024 * 1024;

async function ready(): Promise<RodWorld> {
  const world = new RodWorld({
    bytes: 8 * MiB,
    capabilities: { atomicBytes: 65_536, sanitize: true, thin: true },
  });
  world.target.add(1, new Watched({ bytes: 8 * MiB }));
  await world.attach(world.a, world.b);
  for (const from of [world.a, world.b]) await world.run('03 00 00 00 12', { lun: 1, from });
  return world;
}

const one = Buffer.alloc(sector, 1);
const unmapAt = (lba: number) => {
  const out = Buffer.alloc(24);
  out.writeUInt16BE(22, 0);
  out.writeUInt16BE(16, 2);
  out.writeUInt32BE(lba, 12);
  out.writeUInt32BE(1, 16);
  return out;
};
const h8 = (lba: number) => lba.toString(16).padStart(8, '0');
const h16 = (lba: number) => lba.toString(16).padStart(16, '0');

// [name, how one block at `lba` is changed]
type Change = (world: RodWorld, lba: number) => Promise<unknown>;
const changes: readonly (readonly [string, Change])[] = [
  ['WRITE(10)', (w, lba) => w.run(`2a 00 ${h8(lba)} 00 0001 00`, { from: w.b, out: one })],
  ['WRITE(16)', (w, lba) => w.run(`8a 00 ${h16(lba)} 00000001 00 00`, { from: w.b, out: one })],
  ['WRITE AND VERIFY', (w, lba) => w.run(`2e 00 ${h8(lba)} 00 0001 00`, { from: w.b, out: one })],
  ['WRITE SAME', (w, lba) => w.run(`93 00 ${h16(lba)} 00000001 00 00`, { from: w.b, out: one })],
  ['WRITE SAME, no data', (w, lba) => w.run(`93 09 ${h16(lba)} 00000001 00 00`, { from: w.b })],
  ['UNMAP', (w, lba) => w.run('42 00 00 00 00 00 00 0018 00', { from: w.b, out: unmapAt(lba) })],
  ['ORWRITE', (w, lba) => w.run(`8b 00 ${h16(lba)} 00000001 00 00`, { from: w.b, out: one })],
  [
    'COMPARE AND WRITE',
    (w, lba) => {
      const out = Buffer.concat([read(w.device, lba, 1), one]);
      return w.run(`89 00 ${h16(lba)} 000000 01 00 00`, { from: w.b, out });
    },
  ],
  [
    'WRITE ATOMIC',
    (w, lba) => {
      const start = lba - (lba % 128);
      const length = (lba - start + 1) * sector;
      const out = Buffer.from(read(w.device, start, lba - start + 1));
      out.fill(1, length - sector);
      return w.run(
        `9c 00 ${h16(start)} 0000 ${(lba - start + 1).toString(16).padStart(4, '0')} 00 00`,
        { from: w.b, out },
      );
    },
  ],
  [
    'EXTENDED COPY commanded of another LUN',
    (w, lba) => {
      const other = w.target.route(0x10000, 0).device!;
      fill(other as Watched, 0, 1, 77);
      const naas = [cscd(other.identity.naa), cscd(w.device.identity.naa)];
      const out = copyList(naas, [segment({ destination: 1, blocks: 1, from: 0, to: lba })]);
      return w.run(xcopy(out.length), { from: w.b, lun: 1, out });
    },
  ],
  [
    'WRITE USING TOKEN',
    (w, lba) => w.send(0x11, writeList(zeroToken, [[lba, 1]]), { from: w.b, listId: 3 }),
  ],
];

for (const [name, change] of changes) {
  test(`${name} cancels a token of the block, and no other`, async (t) => {
    const world = await ready();
    fill(world.device, 0, 4096, 1);
    // First and last block of a range, the blocks beside it, and one in a gap.
    for (const [lba, ends] of [
      [255, false],
      [256, true],
      [383, true],
      [384, false],
      [2048, true],
    ] as const) {
      const token = await world.token([
        [2048, 1],
        [256, 128],
      ]);
      const before = read(world.device, lba, 1);
      const result = (await change(world, lba)) as { status: number; sense: Uint8Array | null };
      t.is(verdict(result), '00');
      t.not(Buffer.compare(read(world.device, lba, 1), before), 0, 'the block did change');
      t.is(await world.use(token, [[8000, 1]]), ends ? '02 05/2308' : '00', `block ${lba}`);
      fill(world.device, lba, 1, lba);
    }
  });
}

test('SANITIZE and a smaller size cancel what they reach', async (t) => {
  const world = await ready();
  const low = await world.token([[0, 8]]);
  const high = await world.token([[8192, 8]]);
  world.device.ram.resize(4 * MiB);
  t.is(verdict(await world.run('03 00 00 00 12')), '00');
  t.is(await world.use(high, [[100, 1]]), '02 05/2308');
  t.is(await world.use(low, [[100, 1]]), '00');
  t.is(verdict(await world.run('48 02 00 00 00 00 00 0000 00', { from: world.b })), '02 06/2a09');
  t.is(verdict(await world.run('48 02 00 00 00 00 00 0000 00', { from: world.b })), '00');
  t.is(await world.use(low, [[100, 1]]), '02 05/2308');
});

test('a failed or refused write that never began leaves the token; one that began does not', async (t) => {
  const world = await ready();
  const token = await world.token([[0, 8]]);
  const beyond = await world.run('2a 00 7fffffff 00 0001 00', { out: one });
  t.is(verdict(beyond), '02 05/2100');
  t.is(await world.use(token, [[100, 1]]), '00');
  const miscompare = Buffer.alloc(1024, 9);
  t.is((await world.run(`89 00 ${h16(0)} 000000 01 00 00`, { out: miscompare })).status, 2);
  t.is(await world.use(token, [[100, 1]]), '02 05/2308');
});

test('without a living token the device is called without anything in between', async (t) => {
  const world = await ready();
  const unit = world.target.route(0, 0);
  t.is(unit.device, world.device);
  const token = await world.token([[0, 8]], { timeout: 5 });
  const second = await world.token([[8, 8]], { timeout: 60 });
  t.not(unit.device, world.device);
  t.is(await world.use(token, [[100, 1]], { delete: true }), '00');
  t.not(unit.device, world.device);
  t.is(await world.use(second, [[100, 1]], { delete: true }), '00');
  t.is(unit.device, world.device);
  await world.token([[0, 8]], { timeout: 5 });
  world.clock.advance(6000);
  await world.run(`2a 00 ${h8(4000)} 00 0001 00`, { out: one });
  t.is(unit.device, world.device, 'the first write after the time is over lets go');
});

test('a write that was under way before POPULATE TOKEN is waited for and is part of it', async (t) => {
  const world = await ready();
  fill(world.device, 0, 8, 1);
  let release: (() => void) | null = null;
  world.target.onSettle = (_lun, _nexuses, done) => {
    release = done;
  };
  let answered = false;
  const running = world.send(0x10, populateList([[0, 8]])).then((result) => {
    answered = true;
    return verdict(result);
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.false(answered);
  const during = await world.information();
  t.like(during, { action: 0x10, state: 0x11, delay: 100, token: null });
  const late = fill(world.device, 0, 8, 2);
  (release as (() => void) | null)?.();
  t.is(await running, '00');
  const { token } = await world.information();
  t.is(await world.use(token!, [[100, 8]]), '00');
  t.true(same(world.device, 100, late));
});

test('a write that begins while older ones are waited for ends the token', async (t) => {
  const world = await ready();
  let release: (() => void) | null = null;
  world.target.onSettle = (_lun, _nexuses, done) => {
    release = done;
  };
  const running = world.send(0x10, populateList([[0, 8]]));
  await world.run(`2a 00 ${h8(3)} 00 0001 00`, { from: world.b, out: one });
  (release as (() => void) | null)?.();
  t.is(verdict(await running), '00');
  const { token } = await world.information();
  t.is(await world.use(token!, [[100, 8]]), '02 05/2308');
});

for (const call of [0, 1, 2, 3, 4, 5, 6, 7]) {
  test(`a change before device call ${call} of a WRITE USING TOKEN: what is counted is the old data`, async (t) => {
    const world = new RodWorld({ bytes: 8 * MiB, capabilities: { thin: false } });
    await world.attach(world.a, world.b);
    const data = fill(world.device, 0, 2048, 3);
    const token = await world.token([[0, 2048]]);
    world.device.behaviour.later = true;
    let calls = 0;
    let changed: Promise<unknown> | null = null;
    world.device.behaviour.before = () => {
      if (calls++ !== call || changed !== null) return;
      changed = world.run(`2a 00 ${h8(2047)} 00 0001 00`, { from: world.b, out: one });
    };
    const result = await world.use(token, [[8192, 2048]]);
    await changed;
    const { count, state, sense } = await world.information();
    t.true(same(world.device, 8192, data.subarray(0, count * sector)));
    if (result === '00') t.is(count, 2048);
    else {
      t.is(result, '02 05/2308');
      t.is(sense, result);
      t.is(state, 2);
      t.true(count < 2048);
    }
    t.is(result === '00', call === 7, 'only when all had been read');
  });
}

test('a copy onto its own source ends where it would read what it wrote', async (t) => {
  const world = new RodWorld({ bytes: 8 * MiB, capabilities: { thin: false } });
  await world.attach(world.a);
  const data = fill(world.device, 0, 2048, 3);
  const token = await world.token([[0, 2048]]);
  t.is(await world.use(token, [[512, 2048]]), '02 05/2308');
  const { count } = await world.information();
  t.is(count, 512);
  t.true(same(world.device, 512, data.subarray(0, 512 * sector)));
  t.true(
    same(world.device, 1024, data.subarray(1024 * sector)),
    'beyond the count nothing changed',
  );
});

test('two LUNs that show one medium: a write through the other is noticed', async (t) => {
  const world = await ready();
  world.target.add(2, world.device);
  await world.run('03 00 00 00 12', { lun: 2, from: world.b });
  await world.run('03 00 00 00 12', { from: world.a });
  await world.run('03 00 00 00 12', { from: world.a, lun: 1 });
  await world.run('03 00 00 00 12', { from: world.a });
  const token = await world.token([[0, 8]]);
  await world.run('03 00 00 00 12', { lun: 2, from: world.b });
  t.is(
    verdict(await world.run(`2a 00 ${h8(3)} 00 0001 00`, { from: world.b, lun: 2, out: one })),
    '00',
  );
  t.is(await world.use(token, [[100, 8]]), '02 05/2308');
});
