/** Parameter lists of POPULATE TOKEN and WRITE USING TOKEN: what is refused and how (SBC-3 5.7, 5.45). */
import test from 'ava';
import fc from 'fast-check';
import { scsiLimits } from '../../../target/scsi/limits.ts';
import { pointer, sector, verdict } from './kit.ts';
import {
  informationCdb,
  populateList,
  type Range,
  RodWorld,
  rodCdb,
  writeList,
  zeroToken,
} from './rod-kit.ts';

const MiB = 1024 * 1024;
const size = (16 * MiB) / sector;
const many = (count: number): Range[] => Array.from({ length: count }, (_, i) => [i * 2, 1]);

/** `list` with some bytes put over it. */
function bent(list: Buffer, at: number, ...bytes: number[]): Buffer {
  list.set(bytes, at);
  return list;
}

const put = (ranges: readonly Range[], options = {}) => populateList(ranges, options);
const use = (ranges: readonly Range[], options = {}) => writeList(zeroToken, ranges, options);

// [name, service action, list, verdict, field pointer]
const rows: readonly (readonly [string, 0x10 | 0x11, Buffer, string, string?])[] = [
  ['one block', 0x10, put([[0, 1]]), '00'],
  ['the last block', 0x10, put([[size - 1, 1]]), '00'],
  ['beyond the last block', 0x10, put([[size - 1, 2]]), '02 05/2100'],
  ['nothing, beyond the last block', 0x10, put([[size + 1, 0]]), '02 05/2100'],
  ['no block', 0x10, put([[5, 0]]), '00'],
  ['no descriptor', 0x10, put([]), '02 05/2600', 'list 0'],
  ['a data length too small', 0x10, bent(put([[0, 1]]), 0, 0, 0x1d), '02 05/2600', 'list 0'],
  ['a descriptor length too small', 0x10, bent(put([[0, 1]]), 14, 0, 15), '02 05/2600', 'list 14'],
  [
    'a cut descriptor is not there',
    0x10,
    bent(
      put([
        [0, 1],
        [size, 1],
      ]),
      14,
      0,
      31,
    ),
    '00',
  ],
  ['descriptors beyond the list are not there', 0x10, bent(put([[0, 1]]), 14, 0xff, 0xff), '00'],
  [
    'the same block twice',
    0x10,
    put([
      [3, 2],
      [9, 1],
      [4, 1],
    ]),
    '02 05/2600',
    'list 16',
  ],
  [
    'neighbours',
    0x10,
    put([
      [4, 1],
      [3, 1],
      [5, 0],
      [4, 0],
    ]),
    '00',
  ],
  ['as many ranges as announced', 0x10, put(many(scsiLimits.rodRanges)), '00'],
  ['one more', 0x10, put(many(scsiLimits.rodRanges + 1)), '02 05/2608', 'list 14'],
  ['the longest timeout', 0x10, put([[0, 1]], { timeout: 600 }), '00'],
  ['a longer one', 0x10, put([[0, 1]], { timeout: 601 }), '02 05/2600', 'list 4'],
  ['the type there is', 0x10, put([[0, 1]], { type: 0x0080_0001 }), '00'],
  ['another point in time', 0x10, put([[0, 1]], { type: 0x0080_0002 }), '02 05/2600', 'list 8'],
  ['the zero type', 0x10, put([[0, 1]], { type: 0xffff_0001 }), '02 05/2600', 'list 8'],
  ['a type that is not valid', 0x10, bent(put([[0, 1]]), 8, 9, 9, 9, 9), '00'],

  ['one block', 0x11, use([[0, 1]]), '00'],
  ['the last block', 0x11, use([[size - 1, 1]]), '00'],
  ['beyond the last block', 0x11, use([[size - 1, 2]]), '02 05/2100'],
  [
    'an address of 2^64 - 1',
    0x11,
    bent(use([[0, 1]]), 536, 255, 255, 255, 255, 255, 255, 255, 255),
    '02 05/2100',
  ],
  ['no block', 0x11, use([[5, 0]]), '00'],
  ['no descriptor', 0x11, use([]), '02 05/2600', 'list 0'],
  ['a data length too small', 0x11, bent(use([[0, 1]]), 0, 2, 0x25), '02 05/2600', 'list 0'],
  [
    'a descriptor length too small',
    0x11,
    bent(use([[0, 1]]), 534, 0, 15),
    '02 05/2600',
    'list 534',
  ],
  [
    'a cut descriptor is not there',
    0x11,
    bent(
      use([
        [0, 1],
        [size, 1],
      ]),
      534,
      0,
      31,
    ),
    '00',
  ],
  [
    'the same block twice',
    0x11,
    use([
      [3, 2],
      [9, 1],
      [4, 1],
    ]),
    '02 05/2600',
    'list 536',
  ],
  ['as many ranges as announced', 0x11, use(many(scsiLimits.rodRanges)), '00'],
  ['one more', 0x11, use(many(scsiLimits.rodRanges + 1)), '02 05/2608', 'list 534'],
];

for (const [name, action, list, end, field] of rows) {
  const command = action === 0x10 ? 'POPULATE TOKEN' : 'WRITE USING TOKEN';
  test(`${command}: ${name}`, async (t) => {
    const world = new RodWorld();
    await world.attach(world.a);
    const result = await world.send(action, list);
    t.is(verdict(result), end);
    t.is(pointer(result.sense), field ?? '');
    if (end === '00') t.like(await world.information(), { action, state: 1 });
    else {
      t.is(verdict(await world.run(informationCdb(257))), '02 05/2400', 'nothing is kept of it');
      t.is(world.target.rodTokens.size, 0);
      t.deepEqual(world.device.calls, []);
    }
  });
}

test('more blocks than a token may have', async (t) => {
  const world = new RodWorld({ bytes: 512 * MiB });
  await world.attach(world.a);
  const most = scsiLimits.rodBytes / sector;
  for (const list of [populateList, (ranges: Range[]) => writeList(zeroToken, ranges)]) {
    const action = list === populateList ? 0x10 : 0x11;
    t.is(verdict(await world.send(action, list([[0, most]]))), '00');
    t.is(
      verdict(
        await world.send(
          action,
          list([
            [0, most],
            [most, 1],
          ]),
        ),
      ),
      '02 05/2600',
    );
    t.is(verdict(await world.send(action, list([[0, most + 1]]))), '02 05/2600');
  }
});

test('parameter list lengths', async (t) => {
  const world = new RodWorld();
  await world.attach(world.a);
  for (const action of [0x10, 0x11] as const) {
    const list = action === 0x10 ? populateList([[0, 1]]) : writeList(zeroToken, [[0, 1]]);
    const least = action === 0x10 ? 16 : 536;
    const none = await world.run(rodCdb(action, 9, 0));
    t.is(verdict(none), '00', 'no list is no error');
    for (const length of [1, least - 1, scsiLimits.copyListBytes + 1, 0xffff_ffff]) {
      const result = await world.run(rodCdb(action, 9, length), { out: Buffer.alloc(5000) });
      t.is(verdict(result), '02 05/1a00', String(length));
    }
    const short = await world.run(rodCdb(action, 9, list.length), { out: list.subarray(0, 20) });
    t.is(verdict(short), '02 05/1a00', 'less than the CDB says');
    t.is(verdict(await world.run(informationCdb(9))), '02 05/2400');
  }
});

test('reserved bits of the CDB', async (t) => {
  const world = new RodWorld();
  await world.attach(world.a);
  const out = populateList([[0, 1]]);
  const cdb = (over: Record<number, number>) => {
    const bytes = Buffer.from(rodCdb(0x10, 9, out.length).replaceAll(' ', ''), 'hex');
    for (const [at, value] of Object.entries(over)) bytes[Number(at)] = value;
    return world.run(new Uint8Array(bytes), { out });
  };
  t.is(verdict(await cdb({ 14: 0x1f })), '00', 'GROUP NUMBER');
  t.is(pointer((await cdb({ 14: 0x20 })).sense), 'cdb 14.5');
  t.is(pointer((await cdb({ 5: 1 })).sense), 'cdb 5.0');
  t.is(verdict(await cdb({ 1: 0x12 })), '02 05/2400', 'a service action there is not');
});

test('whatever a list holds, a command ends once, in bounds, and its result can be asked for', async (t) => {
  const world = new RodWorld({ bytes: MiB });
  await world.attach(world.a);
  const token = await world.token(
    [
      [0, 64],
      [512, 64],
    ],
    { timeout: 600 },
  );
  const edge = fc.constantFrom(2047, 2048, 2 ** 32, 2 ** 53);
  const odd = fc.constantFrom(2048, 0x10_0000, 0xffff_ffff);
  const range = fc.tuple(
    fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 2000 }) }, { weight: 1, arbitrary: edge }),
    fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 40 }) }, { weight: 1, arbitrary: odd }),
  );
  const byte = fc.tuple(fc.nat({ max: 600 }), fc.nat({ max: 255 }));
  const wild = fc.oneof(fc.constant([]), fc.array(byte, { maxLength: 4 }));
  let good = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(0x10 as const, 0x11 as const),
      fc.array(range, { maxLength: 4 }),
      fc.record({
        immed: fc.boolean(),
        delete: fc.constant(false),
        timeout: fc.constantFrom(0, 0, 1, 600, 601),
        offset: fc.constantFrom(0, 0, 1, 127, 128, 2n ** 64n - 1n),
      }),
      fc.constantFrom(token, zeroToken),
      wild,
      async (action, ranges, options, which, over) => {
        const list =
          action === 0x10 ? populateList(ranges, options) : writeList(which, ranges, options);
        for (const [at, value] of over) if (at < list.length) list[at] = value;
        const result = await world.send(action, list);
        t.true(['00', '02', '08'].includes(verdict(result).slice(0, 2)));
        const told = await world.run(informationCdb(257));
        if (result.status === 0) {
          good++;
          t.is(verdict(told), '00');
        }
        await new Promise((resolve) => setImmediate(resolve));
      },
    ),
    { numRuns: 400 },
  );
  t.true(good > 50, `${good} of them good`);
});
