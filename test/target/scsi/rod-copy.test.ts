/** A token carries the data of its ranges to wherever its holder writes it (SBC-3 5.7, 5.45). */
import test from 'ava';
import fc from 'fast-check';
import { scsiLimits } from '../../../target/scsi/limits.ts';
import { sector, Watched } from './kit.ts';
import { fill, type Range, RodWorld, read, same, zeroToken } from './rod-kit.ts';

const MiB = 1024 * 1024;

async function ready(options: ConstructorParameters<typeof RodWorld>[0] = {}): Promise<RodWorld> {
  const world = new RodWorld(options);
  await world.attach(world.a, world.b);
  return world;
}

test('the data of several ranges, in the order of the token, to several others', async (t) => {
  const world = await ready();
  const first = fill(world.device, 100, 700, 1);
  const second = fill(world.device, 5, 8, 2);
  const token = await world.token([
    [100, 700],
    [9000, 0],
    [5, 8],
  ]);
  t.is(
    await world.use(token, [
      [20_000, 300],
      [30_000, 408],
    ]),
    '00',
  );
  t.like(await world.information(), { action: 0x11, state: 1, count: 708, token: null });
  t.true(same(world.device, 20_000, first.subarray(0, 300 * sector)));
  t.true(same(world.device, 30_000, first.subarray(300 * sector)));
  t.true(same(world.device, 30_400, second));
  t.true(read(world.device, 30_408, 8).every((byte) => byte === 0));
  t.true(world.device.largest <= scsiLimits.pieceBytes);
});

test('OFFSET INTO ROD counts blocks of the unit that is written to', async (t) => {
  const world = await ready();
  const data = fill(world.device, 0, 64, 3);
  const token = await world.token([[0, 64]]);
  t.is(await world.use(token, [[1000, 10]], { offset: 7 }), '00');
  t.true(same(world.device, 1000, data.subarray(7 * sector, 17 * sector)));
  t.is(await world.use(token, [[1000, 10]], { offset: 63 }), '00');
  t.like(await world.information(), { state: 3, count: 1 }, 'the token had no more');
  for (const offset of [64, 65, 2n ** 40n, 2n ** 63n, 2n ** 64n - 1n]) {
    t.is(await world.use(token, [[1000, 10]], { offset }), '02 05/2600', String(offset));
  }
});

test('a token of one LUN is good at another of the target, and thin stays thin', async (t) => {
  const world = new RodWorld();
  const other = new Watched({ bytes: 16 * MiB });
  world.target.add(1, other);
  await world.attach(world.a);
  await world.run('03 00 00 00 12', { lun: 1 });
  const data = fill(world.device, 1000, 16, 4);
  fill(other, 0, 4096, 9);
  const before = other.ram.allocation(2048 * sector, sector).mapped;
  t.true(before);
  const token = await world.token([[0, 4096]]);
  t.is(await world.use(token, [[0, 4096]], {}, { lun: 1 }), '00');
  t.true(same(other, 1000, data));
  t.true(read(other, 0, 1000).every((byte) => byte === 0));
  t.false(other.ram.allocation(2048 * sector, sector).mapped);
});

test('the zero token writes zeros at any offset and gives space back', async (t) => {
  const world = await ready();
  fill(world.device, 0, 4096, 5);
  const kept = read(world.device, 3000, 96);
  t.is(
    await world.use(
      zeroToken,
      [
        [0, 3000],
        [3096, 1000],
      ],
      { offset: 2n ** 60n, delete: true },
    ),
    '00',
  );
  t.like(await world.information(), { action: 0x11, state: 1, count: 4000, token: null });
  t.true(read(world.device, 0, 3000).every((byte) => byte === 0));
  t.true(read(world.device, 3096, 1000).every((byte) => byte === 0));
  t.true(same(world.device, 3000, kept));
  t.false(world.device.ram.allocation(0, sector).mapped);
  const thick = await ready({ capabilities: { thin: false } });
  fill(thick.device, 0, 8, 6);
  t.is(await thick.use(zeroToken, [[0, 8]]), '00');
  t.true(read(thick.device, 0, 8).every((byte) => byte === 0));
  t.true(thick.device.calls.every((call) => call.startsWith('zero ') && !call.includes('unmap')));
});

test('DEL_TKN ends the token with the command, also for no block at all', async (t) => {
  const world = await ready();
  fill(world.device, 0, 8, 7);
  const token = await world.token([[0, 8]]);
  t.is(await world.use(token, [[100, 8]], { delete: true }), '00');
  t.is(await world.use(token, [[100, 8]]), '02 05/2309');
  const next = await world.token([[0, 8]]);
  t.is(await world.use(next, [[0, 0]], { delete: true }), '00');
  t.is(await world.use(next, [[100, 8]]), '02 05/2309');
});

/** Bytes of the ranges of a device, one after the other. */
function gather(device: Watched, ranges: readonly Range[]): Buffer {
  const { sectorBytes } = device;
  return Buffer.concat(
    ranges.map(([lba, blocks]) => {
      const out = Buffer.alloc(blocks * sectorBytes);
      if (blocks > 0) device.ram.readNow(lba * sectorBytes, out.length, out, 0);
      return out;
    }),
  );
}

/** Ranges that do not overlap, in any order: gaps and lengths become them. */
const ranges = (unit: number) =>
  fc
    .array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 700 })), {
      minLength: 1,
      maxLength: 6,
    })
    .chain((parts) => {
      let at = 0;
      const made = parts.map(([gap, length]): Range => {
        const lba = at + Math.floor(gap / unit);
        const blocks = Math.floor(length / unit);
        at = lba + blocks;
        return [lba, blocks];
      });
      return fc.shuffledSubarray(made, { minLength: made.length });
    });

for (const [from, to] of [
  [512, 512],
  [512, 4096],
  [4096, 512],
] as const) {
  test(`sectors of ${from} to sectors of ${to}: the same bytes, the last block filled with zeros`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        ranges(from / 512),
        ranges(to / 512),
        fc.integer({ min: 0, max: 300 }),
        async (sources, targets, offset) => {
          const world = new RodWorld({
            bytes: 3 * MiB,
            sectorBytes: from,
            physicalSectorBytes: 4096,
          });
          const other = new Watched({ bytes: 3 * MiB, sectorBytes: to, physicalSectorBytes: 4096 });
          world.target.add(1, other);
          await world.attach(world.a);
          await world.run('03 00 00 00 12', { lun: 1 });
          // Half of it is never written.
          const data = Buffer.alloc(MiB);
          for (let i = 0; i < data.length; i++) data[i] = (i * 31 + (i >> 9)) & 0xff;
          world.device.ram.write(0, data, false, { complete: () => {} });
          other.ram.write(0, Buffer.alloc(2 * MiB, 0xee), false, { complete: () => {} });
          const rod = gather(world.device, sources);
          const token = await world.token(sources);
          const start = offset * to;
          const verdictOf = await world.use(token, targets, { offset }, { lun: 1 });
          if (start >= rod.length) {
            t.is(verdictOf, '02 05/2600');
            return;
          }
          t.is(verdictOf, '00');
          const asked = targets.reduce((sum, [, blocks]) => sum + blocks * to, 0);
          const most = Math.ceil((rod.length - start) / to) * to;
          const moved = Math.min(asked, most);
          const wanted = Buffer.alloc(asked, 0xee);
          wanted.fill(0, 0, moved);
          rod.subarray(start, start + moved).copy(wanted);
          t.is(Buffer.compare(gather(other, targets), wanted), 0);
          t.like(await world.information({ lun: 1 }), {
            count: moved / to,
            state: moved === asked ? 1 : 3,
          });
        },
      ),
      { numRuns: 40 },
    );
  });
}

test('a command that takes too long ends with what it has done, and the rest follows', async (t) => {
  const world = await ready({ capabilities: { thin: false } });
  const data = fill(world.device, 0, 4096, 8);
  const token = await world.token([[0, 4096]]);
  world.device.behaviour.before = () => world.clock.advance(1000);
  let done = 0;
  let commands = 0;
  while (done < 4096) {
    const ranges: Range[] = [[8192 + done, 4096 - done]];
    t.is(await world.use(token, ranges, { offset: done, delete: true }), '00');
    const { count, state } = await world.information();
    t.true(count > 0);
    done += count;
    commands++;
    t.is(state, done < 4096 ? 3 : 1);
  }
  t.true(commands > 1);
  t.true(same(world.device, 8192, data));
  t.is(await world.use(token, [[8192, 1]]), '02 05/2309', 'deleted with the last');
});

test('a device that fails tells how much was written', async (t) => {
  const world = await ready({ capabilities: { thin: false } });
  const data = fill(world.device, 0, 2048, 8);
  const token = await world.token([[0, 2048]]);
  const { DeviceError } = await import('../../../target/scsi/device.ts');
  let calls = 0;
  world.device.behaviour.before = () => {
    calls++;
    if (calls === 4) world.device.behaviour.fail = new DeviceError('noSpace', 'full');
  };
  t.is(await world.use(token, [[8192, 2048]]), '02 07/2707');
  t.like(await world.information(), {
    state: 2,
    count: 512,
    completion: 2,
    sense: '02 07/2707',
  });
  t.true(same(world.device, 8192, data.subarray(0, 512 * sector)));
});
