/** EXTENDED COPY moves what it says, nowhere else, and is refused where SPC-4 6.4 says so. */
import test from 'ava';
import fc from 'fast-check';
import { scsiLimits } from '../../../target/scsi/limits.ts';
import { ScsiTarget } from '../../../target/scsi/scsi-target.ts';
import { cscd, fill, list, MiB, read, segment, send, xcopy } from './copy-kit.ts';
import { carry, cdb, nexus, pointer, sector, TestTask, verdict, Watched, World } from './kit.ts';

test('a segment of many pieces arrives whole, and nothing beside it', async (t) => {
  const world = new World();
  await world.attach(world.a);
  const data = fill(world.device, 0, 2000, 1);
  const one = segment({ blocks: 2000, from: 0, to: 20_000 });
  const result = await send(world, list([cscd(world.device.identity.naa)], [one]));
  t.is(verdict(result), '00');
  t.is(Buffer.compare(read(world.device, 20_000, 2000), data), 0);
  t.true(read(world.device, 22_000, 100).every((byte) => byte === 0));
  t.true(read(world.device, 19_900, 100).every((byte) => byte === 0));
  t.true(world.device.largest <= scsiLimits.pieceBytes);
});

test('overlapping ranges come out as if the source had been read first', async (t) => {
  const world = new World({ bytes: 4 * MiB, capabilities: { thin: false } });
  await world.attach(world.a);
  const naa = world.device.identity.naa;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 3000 }),
      fc.integer({ min: 0, max: 3000 }),
      fc.integer({ min: 0, max: 2000 }),
      async (from, to, blocks) => {
        fill(world.device, 0, 8192, from + to);
        const before = read(world.device, 0, 8192);
        const data = before.slice(from * sector, (from + blocks) * sector);
        const result = await send(world, list([cscd(naa)], [segment({ blocks, from, to })]));
        t.is(verdict(result), '00');
        before.set(data, to * sector);
        t.is(Buffer.compare(read(world.device, 0, 8192), before), 0);
      },
    ),
    { numRuns: 25 },
  );
});

test('a clone of what was never written allocates nothing', async (t) => {
  const world = new World();
  await world.attach(world.a);
  fill(world.device, 16_384, 1024, 3);
  const one = segment({ blocks: 8192, from: 0, to: 16_384 });
  t.is(verdict(await send(world, list([cscd(world.device.identity.naa)], [one]))), '00');
  t.true(read(world.device, 16_384, 1024).every((byte) => byte === 0));
  t.false(world.device.ram.allocation(16_384 * sector, 1024 * sector).mapped);
  t.true(world.device.calls.every((call) => call.startsWith('zero unmap')));
});

test('between units of different sector sizes', async (t) => {
  const world = new World();
  const other = new Watched({ bytes: 16 * MiB, sectorBytes: 4096 });
  world.target.add(1, other);
  await world.attach(world.a);
  await world.run('03 00 00 00 12');
  const data = fill(world.device, 8, 64, 5);
  const both = [cscd(world.device.identity.naa), cscd(other.identity.naa, { 30: 0x10 })];
  const good = segment({ blocks: 64, from: 8, to: 3, destination: 1 });
  t.is(verdict(await send(world, list(both, [good]))), '00');
  const got = new Uint8Array(64 * sector);
  other.ram.readNow(3 * 4096, got.length, got, 0);
  t.is(Buffer.compare(got, data), 0);
  // DC: eight blocks of the destination are 64 of the source.
  const counted = segment({ blocks: 8, from: 8, to: 100, destination: 1, flags: 2 });
  t.is(verdict(await send(world, list(both, [counted]))), '00');
  other.ram.readNow(100 * 4096, got.length, got, 0);
  t.is(Buffer.compare(got, data), 0);
  const odd = segment({ blocks: 63, from: 8, to: 3, destination: 1 });
  t.is(verdict(await send(world, list(both, [odd]))), '02 0a/260a');
});

// 16 MiB of 512-byte sectors: 8000h sectors. [name, list, status and sense, pointer]
type Make = (naa: Uint8Array) => Uint8Array;
const one = segment({ blocks: 8, from: 0, to: 100 });
const rows: readonly (readonly [string, Make, string, string])[] = [
  ['no segments', (naa) => list([cscd(naa)], []), '00', ''],
  ['no descriptors', () => list([], []), '00', ''],
  [
    'a segment of nothing',
    (naa) => list([cscd(naa)], [segment({ blocks: 0, from: 0, to: 0 })]),
    '00',
    '',
  ],
  [
    'up to the last block',
    (n) => list([cscd(n)], [segment({ blocks: 8, from: 0x7ff8, to: 0 })]),
    '00',
    '',
  ],
  [
    'source past the end',
    (n) => list([cscd(n)], [segment({ blocks: 8, from: 0x7ff9, to: 0 })]),
    '02 0a/0000',
    '',
  ],
  [
    'destination past the end',
    (n) => list([cscd(n)], [segment({ blocks: 8, from: 0, to: 0x7ff9 })]),
    '02 0a/0000',
    '',
  ],
  [
    'the unit itself by FFFFh',
    () => list([], [segment({ source: 0xffff, destination: 0xffff, blocks: 8, from: 0, to: 9 })]),
    '00',
    '',
  ],
  [
    'source index too high',
    (n) => list([cscd(n)], [segment({ source: 1, blocks: 8, from: 0, to: 9 })]),
    '02 0a/0804',
    '',
  ],
  [
    'destination index too high',
    (n) => list([cscd(n)], [segment({ destination: 1, blocks: 8, from: 0, to: 9 })]),
    '02 0a/0804',
    '',
  ],
  [
    'an unknown unit',
    (n) => list([cscd(n.map((b, i) => (i === 15 ? b ^ 1 : b)))], [one]),
    '02 0a/0d02',
    '',
  ],
  ['NUL', (n) => list([cscd(n, { 1: 0x20 })], [one]), '02 0a/0d02', ''],
  ['a tape', (n) => list([cscd(n, { 1: 0x01 })], [one]), '02 0a/0d03', ''],
  ['a T10 designator', (n) => list([cscd(n, { 5: 1 })], [one]), '02 0a/0d02', ''],
  ['a target port designator', (n) => list([cscd(n, { 5: 0x13 })], [one]), '02 0a/0d02', ''],
  ['another block length', (n) => list([cscd(n, { 30: 0x10 })], [one]), '02 05/2600', 'list 45'],
  ['no block length', (n) => list([cscd(n, { 30: 0 })], [one]), '00', ''],
  [
    'a Fibre Channel descriptor',
    (n) => list([cscd(n, { 0: 0xe0 })], [one]),
    '02 05/2607',
    'list 16',
  ],
  [
    'a stream segment',
    (n) => list([cscd(n)], [Uint8Array.of(3, ...one.subarray(1))]),
    '02 05/2609',
    'list 48',
  ],
  [
    'a segment length of 20',
    (n) => list([cscd(n)], [one.map((b, i) => (i === 3 ? 20 : b))]),
    '02 05/2600',
    'list 50',
  ],
  ['half a segment', (n) => list([cscd(n)], [one.subarray(0, 20)]), '02 05/2600', 'list 50'],
  ['half a CSCD descriptor', (n) => list([cscd(n)], [one], { 3: 31 }), '02 05/2600', 'list 2'],
  ['CSCD list beyond the list', (n) => list([cscd(n)], [one], { 3: 64 }), '02 05/1a00', ''],
  ['segment list beyond the list', (n) => list([cscd(n)], [one], { 11: 29 }), '02 05/1a00', ''],
  ['inline data', (n) => list([cscd(n)], [one], { 15: 4 }), '02 05/260b', 'list 12'],
  ['LIST ID USAGE 01b', (n) => list([cscd(n)], [one], { 1: 0x08 }), '02 05/2600', 'list 1.4'],
  [
    'LIST ID USAGE 11b with an identifier',
    (n) => list([cscd(n)], [one], { 1: 0x18 }),
    '02 05/2600',
    'list 0',
  ],
  ['LIST ID USAGE 11b', (n) => list([cscd(n)], [one], { 0: 0, 1: 0x18 }), '00', ''],
  ['as many CSCDs as allowed', (n) => list(new Array(8).fill(cscd(n)), [one]), '00', ''],
  ['one CSCD too many', (n) => list(new Array(9).fill(cscd(n)), [one]), '02 05/2606', 'list 2'],
  ['as many segments as allowed', (n) => list([cscd(n)], new Array(16).fill(one)), '00', ''],
  ['one segment too many', (n) => list([cscd(n)], new Array(17).fill(one)), '02 05/2608', 'list 8'],
  [
    'too long a list',
    (n) => list(new Array(9).fill(cscd(n)), new Array(17).fill(one)),
    '02 05/1a00',
    '',
  ],
  [
    'a list beyond all limits',
    () => new Uint8Array(scsiLimits.copyListBytes + 1),
    '02 05/1a00',
    '',
  ],
  ['half a header', () => new Uint8Array(15), '02 05/1a00', ''],
];

for (const [name, make, expected, field] of rows) {
  test(`EXTENDED COPY: ${name}`, async (t) => {
    const world = new World();
    await world.attach(world.a);
    const result = await send(world, make(world.device.identity.naa));
    t.is(verdict(result), expected);
    if (expected.includes('05/')) t.is(pointer(result.sense), field);
    if (expected !== '00') t.deepEqual(world.device.calls, [], 'nothing was touched');
  });
}

test('less data than the CDB says is refused', async (t) => {
  const world = new World();
  await world.attach(world.a);
  const out = list([cscd(world.device.identity.naa)], [one]);
  t.is(verdict(await world.run(xcopy(out.length), { out: out.subarray(0, 40) })), '02 05/1a00');
  t.is(verdict(await world.run(xcopy(0))), '00');
});

test('the second segment is named when it fails', async (t) => {
  const world = new World();
  await world.attach(world.a);
  const bad = segment({ blocks: 8, from: 0, to: 0x8000 });
  const result = await send(world, list([cscd(world.device.identity.naa)], [one, bad]));
  t.is(result.sense?.[11], 1);
});

test('a unit that the initiator may not use is not reachable, nor writable when it may only read', async (t) => {
  const hidden = new Watched({ bytes: 16 * MiB });
  const readable = new Watched({ bytes: 16 * MiB });
  const far = new ScsiTarget({ name: 'iqn.2026-11.test:far', relativePort: 1, portalGroup: 1 });
  far.add(0, hidden);
  far.add(1, readable);
  const world = new World({
    target: {
      copyTargets: (_nexus, naa) => {
        const own = world.target.unitOf(naa);
        if (own) return { unit: own, readOnly: false };
        const unit = far.unitOf(naa);
        return unit === null || unit.lun === 0 ? null : { unit, readOnly: true };
      },
    },
  });
  await world.attach(world.a);
  const data = fill(readable, 0, 8, 9);
  fill(hidden, 0, 8, 10);
  const naas = [world.device, hidden, readable].map((each) => cscd(each.identity.naa));
  const from = (source: number, destination: number) =>
    send(world, list(naas, [segment({ source, destination, blocks: 8, from: 0, to: 50 })]));
  t.is(verdict(await from(1, 0)), '02 0a/0d02');
  t.is(verdict(await from(0, 1)), '02 0a/0d02');
  t.is(verdict(await from(0, 2)), '02 07/2700');
  t.is(verdict(await from(2, 0)), '00');
  t.is(Buffer.compare(read(world.device, 50, 8), data), 0);
  t.deepEqual(hidden.calls, []);
});

test('by default no other target is reachable, and a read-only nexus copies nothing', async (t) => {
  const world = new World();
  const reader = nexus('reader', { readOnly: true });
  await world.attach(world.a, reader);
  const out = list([cscd(world.device.identity.naa)], [one]);
  t.is(verdict(await send(world, out, reader)), '02 07/2700');
  t.is(verdict(await send(world, out)), '00');
});

function reserve(type: number): Uint8Array {
  const out = new Uint8Array(24);
  out[type === 0 ? 15 : 7] = 1;
  return out;
}

test('reservations of source and destination keep a copy out', async (t) => {
  const world = new World();
  const other = new Watched({ bytes: 16 * MiB });
  world.target.add(1, other);
  await world.attach(world.a, world.b);
  for (const from of [world.a, world.b]) await world.run('03 00 00 00 12', { from, lun: 1 });
  const naas = [cscd(world.device.identity.naa), cscd(other.identity.naa)];
  const to = list(naas, [segment({ destination: 1, blocks: 8, from: 0, to: 0 })]);
  const back = list(naas, [segment({ source: 1, blocks: 8, from: 0, to: 0 })]);
  const out = (action: string, type: string, data: Uint8Array) =>
    world.run(`5f ${action} ${type} 0000 00000018`, { from: world.b, lun: 1, out: data });
  t.is(verdict(await out('00', '00', reserve(0))), '00');
  t.is(verdict(await out('01', '01', reserve(1))), '00');
  t.is(verdict(await send(world, to)), '18', 'write exclusive: not written');
  t.is(verdict(await send(world, back)), '00', 'but read');
  t.is(verdict(await out('02', '01', reserve(1))), '00');
  t.is(verdict(await out('01', '03', reserve(1))), '00');
  t.is(verdict(await send(world, back)), '18', 'exclusive access: not read');
  t.is(verdict(await send(world, to, world.b)), '00');
});

test('a reservation that comes in the middle stops the copy', async (t) => {
  const world = new World({ bytes: 16 * MiB, capabilities: { thin: false } });
  await world.attach(world.a, world.b);
  world.device.behaviour.later = true;
  world.device.behaviour.before = () => {
    if (world.device.calls.length === 3) void world.run('16', { from: world.b });
  };
  const long = segment({ blocks: 8192, from: 0, to: 8192 });
  t.is(verdict(await send(world, list([cscd(world.device.identity.naa)], [long]))), '18');
  t.is(world.device.calls.length, 4);
});

test('an aborted copy makes no further device call; COPY STATUS tells of it', async (t) => {
  const world = new World({ bytes: 16 * MiB, capabilities: { thin: false } });
  await world.attach(world.a);
  world.device.behaviour.later = true;
  const out = list(
    [cscd(world.device.identity.naa)],
    [segment({ blocks: 8192, from: 0, to: 8192 })],
  );
  const task = new TestTask(cdb(xcopy(out.length)), world.a, out.length);
  let running = '';
  world.device.behaviour.before = () => {
    if (world.device.calls.length !== 4) return;
    task.aborted = true;
    void world.run('84 00 07 00000000000000 000000ff').then((result) => {
      running = Buffer.from(result.data).toString('hex');
    });
  };
  await carry(world.target.route(0, 0), task, out);
  t.is(world.device.calls.length, 5);
  t.is(running, '000000080000000100000200', 'in progress, 512 KiB');
  const ended = await world.run('84 00 07 00000000000000 000000ff');
  t.is(Buffer.from(ended.data).toString('hex'), '000000080200000100000200');
});
