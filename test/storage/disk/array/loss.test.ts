/** A disk is lost while the store is in use, comes back, is missing at open; a second one is lost. */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import type { Layout } from '#storage/disk/array/geometry.ts';
import { Bed } from './kit.ts';

const redundant: readonly [Layout, number][] = [
  ['mirrored', 2],
  ['parity', 3],
  ['parity', 5],
];

for (const [layout, disks] of redundant) {
  for (let lost = 0; lost < disks; lost += 1) {
    test(`${layout} on ${disks}: disk ${lost} fails, writes and reads go on, and after a crash`, async (t) => {
      const bed = await Bed.made(layout, disks);
      t.is(await bed.put(0, 200, 1), null);
      bed.fail(lost);
      t.is(await bed.put(100, 300, 2), null);
      t.is(bed.states[lost], 'out');
      t.is(await bed.put(0, 400, 3), null);
      t.deepEqual(await bed.wrong(400, 3), []);
      // The lost one is here again: it is stale, and nothing of it is seen.
      const again = await bed.again([]);
      t.is(again.states[lost], 'out');
      t.true(again.log.some(({ message }) => message.includes('stale')));
      t.deepEqual(await again.wrong(400, 3), []);
      const without = await bed.again([lost]);
      t.deepEqual(await without.wrong(400, 3), []);
    });
  }

  test(`${layout} on ${disks}: a second loss fails closed and takes nothing away`, async (t) => {
    const bed = await Bed.made(layout, disks);
    t.is(await bed.put(0, 300, 1), null);
    bed.fail(0);
    t.is(await bed.put(0, 300, 2), null);
    bed.fail(1);
    t.is(await bed.put(0, 300, 3), 'DISK_FAILED');
    t.is(await bed.put(0, 1, 4), 'DISK_FAILED');
    t.is(bed.states[1], 'in', 'a loss that is not borne is not recorded');
    const again = await bed.again([0]);
    for (let block = 0; block < 300; block += 1)
      t.true([2, 3].includes(Number(await again.read(block))));
  });

  test(`${layout} on ${disks}: with two disks missing it is refused, and they are named`, async (t) => {
    const bed = await Bed.made(layout, disks);
    t.is(await bed.put(0, 50, 1), null);
    const error = await t.throwsAsync(bed.again([0, 1]), { instanceOf: StorageError });
    const { disks: entries } = bed.array!.members.table;
    if (disks === 2) return;
    t.is(error?.code, 'INVALID');
    t.true(error?.message.includes(entries[0]!.id));
    t.true(error?.message.includes(entries[1]!.id));
  });

  test(`${layout} on ${disks}: a disk that was missing at open is stale when it comes back`, async (t) => {
    const bed = await Bed.made(layout, disks);
    t.is(await bed.put(0, 50, 1), null);
    const degraded = await bed.again([1]);
    t.is(degraded.states[1], 'out');
    t.is(await degraded.put(0, 50, 2), null);
    const images = degraded
      .images('drop')
      .map((image, disk) => (disk === 1 ? bed.images('drop')[1] : image));
    const back = new Bed({ images });
    await back.open();
    t.is(back.states[1], 'out');
    t.deepEqual(await back.wrong(50, 2), []);
  });
}

test('two mirrors that each went on alone are refused together', async (t) => {
  const bed = await Bed.made('mirrored', 2);
  t.is(await bed.put(0, 50, 1), null);
  const [first, second] = [await bed.again([1]), await bed.again([0])];
  t.is(await first.put(0, 1, 2), null);
  t.is(await second.put(0, 1, 3), null);
  const images = [first.images('drop')[0], second.images('drop')[1]];
  const error = await t.throwsAsync(new Bed({ images }).open(), { instanceOf: StorageError });
  t.is(error?.code, 'CORRUPT');
  t.regex(error?.message ?? '', /without the other/);
});

for (const [layout, disks] of [
  ['single', 2],
  ['striped', 3],
] as const) {
  test(`${layout}: a lost disk fails the store closed, and it is whole when the disk is back`, async (t) => {
    const bed = await Bed.made(layout, disks);
    t.is(await bed.put(0, 200, 1), null);
    bed.fail(0);
    t.is(await bed.put(0, 200, 2), 'DISK_FAILED');
    t.is(await bed.put(0, 1, 3), 'DISK_FAILED');
    const again = await bed.again([]);
    for (let block = 0; block < 200; block += 1)
      t.true([1, 2].includes(Number(await again.read(block))));
    t.is(await again.put(0, 200, 4), null);
    const error = await t.throwsAsync(bed.again([0]), { instanceOf: StorageError });
    t.regex(error?.message ?? '', /missing: [0-9a-f]{32}/);
  });
}

test('the loss is on the other disks before a write that the disk missed is told', async (t) => {
  const bed = await Bed.made('mirrored', 3);
  t.is(await bed.put(0, 100, 1), null);
  bed.fail(0);
  let told = false;
  const write = bed.write(0, 100, 2).then((error) => {
    told = true;
    return error;
  });
  // At every instant: either nobody was told, or the table on the others says so.
  while (!told) {
    if (!bed.clock.step()) break;
    await new Promise((resolve) => setImmediate(resolve));
    if (!told) continue;
    const others = new Bed({ images: bed.images('drop') });
    await others.open();
    t.is(others.states[0], 'out');
  }
  t.is(await bed.until(write), null);
  t.is(bed.states[0], 'out');
});
