/** What one disk lost or got wrong comes from the others, is written anew, and is never shown. */
import test from 'ava';
import type { Layout } from '#storage/disk/array/geometry.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { Bed } from './kit.ts';

const blocks = 1500;

/** Sealed segments with known content; the store opened anew, nothing in memory. */
async function filled(layout: Layout, disks: number): Promise<Bed> {
  const bed = await Bed.made(layout, disks);
  for (let block = 0; block < blocks; block += 100) await bed.put(block, 100, 1);
  await bed.until(bed.store!.close());
  return await bed.again([]);
}

for (const [layout, disks] of [
  ['mirrored', 2],
  ['parity', 3],
  ['parity', 5],
] as const) {
  for (const harm of ['flip', 'spoil'] as const) {
    test(`${layout} on ${disks}: ${harm === 'flip' ? 'flipped bits' : 'unreadable blocks'} on one disk`, async (t) => {
      const bed = await filled(layout, disks);
      const random = new SeededRandom(3);
      const first = bed.array!.members.at(1)!.areas.extents.offset / 4096;
      const disk = bed.disks[1]!;
      for (let block = first; block < first + 900; block += 1) {
        if (!random.chance(0.6)) continue;
        if (harm === 'flip') disk.flip(block, random.below(4096 * 8));
        else disk.spoil(block);
      }
      t.deepEqual(await bed.wrong(blocks, 1), []);
      const { repairedBlocks } = bed.array!.members.at(1)!;
      t.true(repairedBlocks > 100, `${repairedBlocks} repaired`);
      if (harm === 'spoil') return;
      // What was read was repaired: the other disk is not needed for it any more.
      const images = bed.images('drop');
      const clean = new Bed({ images });
      await clean.open();
      const before = clean.array!.members.at(1)!.repairedBlocks;
      t.deepEqual(await clean.wrong(blocks, 1), []);
      t.is(clean.array!.members.at(1)!.repairedBlocks, before);
    });
  }

  test(`${layout} on ${disks}: where no good copy is left it is said`, async (t) => {
    const bed = await filled(layout, disks);
    for (const disk of bed.array!.members.alive()) {
      const first = disk.areas.extents.offset / 4096;
      for (let block = first; block < first + 900; block += 1)
        bed.disks[disk.index]!.flip(block, 5);
    }
    let errors = 0;
    for (let block = 0; block < blocks; block += 1) {
      const read = await bed.read(block);
      if (read === 'MEDIUM_ERROR') errors += 1;
      else t.is(read, 1, `block ${block}`);
    }
    t.true(errors > 100);
  });
}
