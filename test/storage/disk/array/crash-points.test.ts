/** After a crash at any write of any disk, and with any one disk lost, every acknowledged write is there. */
import test from 'ava';
import type { Layout } from '#storage/disk/array/geometry.ts';
import { checkArray, recordArray } from '#test/sim/array-crash.ts';
import { crashStore } from '#test/sim/crash-points.ts';
import { software } from './kit.ts';

const cases: readonly { layout: Layout; disks: number; operations: number; every: number }[] = [
  { layout: 'single', disks: 2, operations: 450, every: 3 },
  { layout: 'striped', disks: 3, operations: 450, every: 5 },
  { layout: 'mirrored', disks: 2, operations: 600, every: 5 },
  { layout: 'mirrored', disks: 3, operations: 450, every: 5 },
  { layout: 'parity', disks: 3, operations: 600, every: 7 },
  { layout: 'parity', disks: 5, operations: 450, every: 9 },
];

for (const { layout, disks, operations, every } of cases) {
  test(`${layout} on ${disks} disks`, async (t) => {
    const seed = 20_261_125 + disks;
    const load = { seed, operations, images: true, options: crashStore };
    const recording = await recordArray({ software, layout, disks, ...load });
    const redundant = layout === 'mirrored' || layout === 'parity';
    const lose = [-1, ...(redundant ? Array.from({ length: disks }, (_, disk) => disk) : [])];
    const options = { software, seed, every, lose, subsets: 1 };
    const { states, degraded, violations } = await checkArray(recording, options);
    t.log(`${states} states of ${recording.writes} writes, ${degraded} with a disk lost`);
    t.true(states > 100);
    t.deepEqual(violations, []);
  });
}
