/** A rebuild that does not go smoothly: its new disk is lost as well, the store is closed in its middle. */
import test from 'ava';
import { Bed } from './kit.ts';

const blocks = 3000;

async function degraded(layout: 'mirrored' | 'parity', disks: number): Promise<Bed> {
  const bed = await Bed.made(layout, disks);
  for (let block = 0; block < blocks; block += 100) await bed.put(block, 100, 1);
  bed.fail(1);
  await bed.put(0, 100, 1);
  bed.mover!.share = 0.01;
  return bed;
}

/** Time passes until so many extents have moved, under writes. */
async function until(bed: Bed, extents: number): Promise<void> {
  for (let stamp = 0; (bed.mover!.progress?.done ?? 0) < extents; stamp += 1) {
    if (stamp > 3000) throw new Error('nothing moves');
    await bed.put((stamp * 37) % (blocks - 20), 20, 1);
  }
}

for (const [layout, disks] of [
  ['mirrored', 2],
  ['parity', 3],
] as const) {
  test(`${layout}: the new disk is lost in the middle, and another one takes its place`, async (t) => {
    const bed = await degraded(layout, disks);
    await bed.until(bed.addDisk(null));
    await until(bed, 1);
    t.true(bed.mover!.progress!.total! > 1);
    bed.fail(disks);
    await until(bed, 0);
    await bed.put(0, blocks, 1);
    t.is(bed.array!.members.failed, null);
    t.deepEqual(await bed.wrong(blocks, 1), []);
    await bed.until(bed.addDisk(null));
    bed.mover!.share = 1;
    await bed.until(bed.settled());
    t.is(bed.states.filter((state) => state === 'in').length, disks);
    t.deepEqual(await bed.wrong(blocks, 1), []);
    // Healthy again: an old disk may go.
    t.deepEqual(await (await bed.again([0])).wrong(blocks, 1), []);
  });

  test(`${layout}: closed in the middle, it goes on with what is left`, async (t) => {
    const bed = await degraded(layout, disks);
    await bed.until(bed.addDisk(null));
    await until(bed, 1);
    await bed.until(bed.mover!.stop());
    await bed.until(bed.store!.close());
    const again = await bed.again([]);
    const { total } = again.mover!.progress ?? { total: null };
    t.is(total, null, 'nothing moves before the log is open and says so');
    again.mover!.wake();
    await again.put(0, 20, 1);
    const left = again.mover!.progress!;
    t.is(left.why, 'rebuild');
    await again.until(again.settled());
    t.is(again.states.filter((state) => state === 'in').length, disks);
    t.deepEqual(await (await again.again([0])).wrong(blocks, 1), []);
  });

  test(`${layout}: the last good copy is lost before it is done, and the store fails closed`, async (t) => {
    const bed = await degraded(layout, disks);
    await bed.until(bed.addDisk(null));
    await until(bed, 1);
    bed.fail(0);
    let failed: string | null = null;
    for (let stamp = 0; failed === null && stamp < 50; stamp += 1)
      failed = await bed.put(0, 100, 1);
    t.is(failed, 'DISK_FAILED');
    t.is(bed.states[0], 'in');
    const again = await bed.again([]);
    again.mover!.wake();
    await again.until(again.settled());
    t.deepEqual(await again.wrong(blocks, 1), []);
  });
}
