/** Scrubbing finds what nobody has read: on every copy and in the parity, repairs and reports it. */
import test from 'ava';
import type { Layout } from '#storage/disk/array/geometry.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { Bed } from './kit.ts';

const blocks = 1200;

async function filled(layout: Layout, disks: number): Promise<Bed> {
  const bed = await Bed.made(layout, disks);
  for (let block = 0; block < blocks; block += 100) await bed.put(block, 100, 1);
  await bed.until(bed.store!.close());
  return await bed.again([]);
}

async function scrubbed(bed: Bed) {
  const { scrubber } = bed.store!;
  scrubber.start();
  await bed.until(
    (async () => {
      while (scrubber.state.begun !== null) {
        await new Promise<void>((resolve) => bed.clock.after(50, resolve));
      }
    })(),
  );
  return scrubber.state;
}

for (const [layout, disks] of [
  ['mirrored', 2],
  ['parity', 3],
  ['parity', 5],
] as const) {
  for (let harmed = 0; harmed < disks; harmed += 1) {
    test(`${layout} on ${disks}: bits turned over on disk ${harmed}`, async (t) => {
      const bed = await filled(layout, disks);
      const random = new SeededRandom(harmed + 1);
      const first = bed.array!.members.at(harmed)!.areas.extents.offset / 4096;
      for (let block = first; block < first + 800; block += 1) {
        if (random.chance(0.3)) bed.disks[harmed]!.flip(block, random.below(4096 * 8));
      }
      // The segment that was being filled has its turn once it is full.
      for (let block = 0; block < 300; block += 100) await bed.put(block, 100, 1);
      const state = await scrubbed(bed);
      t.is(state.bad, 0);
      t.true(state.repaired > 20, `${state.repaired} repaired`);
      t.true(state.blocks >= blocks);
      const again = await scrubbed(bed);
      t.is(again.repaired, 0, 'all of it the first time');
      // Each other disk may go now: the harmed one has all that it should.
      const other = (harmed + 1) % disks;
      const without = await bed.again([other]);
      t.deepEqual(await without.wrong(blocks, 1), []);
    });
  }
}

test('what no disk can give is counted, and the rest goes on', async (t) => {
  const bed = await filled('mirrored', 2);
  for (const member of bed.array!.members.alive()) {
    const first = member.areas.extents.offset / 4096;
    for (let block = first + 300; block < first + 320; block += 1)
      bed.disks[member.index]!.flip(block, 9);
  }
  const state = await scrubbed(bed);
  t.true(state.bad >= 19 && state.bad <= 120, `${state.bad} bad`);
  t.true(bed.log.some(({ message }) => message.includes('no disk has a good copy')));
  t.true(state.blocks >= blocks - 140);
});

test('a store on one disk is verified as well', async (t) => {
  const bed = await filled('single', 1);
  const first = bed.array!.members.at(0)!.areas.extents.offset / 4096;
  for (let block = first + 300; block < first + 310; block += 1) bed.disks[0]!.flip(block, 9);
  const state = await scrubbed(bed);
  t.true(state.bad > 0);
  t.is(state.repaired, 0);
});
