/** After a crash at any write of any disk, and with any one disk lost, every acknowledged write is there. */
import test from 'ava';
import type { Layout } from '#storage/disk/array/geometry.ts';
import { checkArray, recordArray } from '#test/sim/array-crash.ts';
import { software } from './kit.ts';

const cases: readonly { layout: Layout; disks: number; operations: number; every: number }[] = [
  { layout: 'single', disks: 2, operations: 450, every: 29 },
  { layout: 'striped', disks: 3, operations: 450, every: 29 },
  { layout: 'mirrored', disks: 2, operations: 600, every: 19 },
  { layout: 'mirrored', disks: 3, operations: 450, every: 19 },
  { layout: 'parity', disks: 3, operations: 600, every: 19 },
  { layout: 'parity', disks: 5, operations: 450, every: 19 },
];

for (const { layout, disks, operations, every } of cases) {
  test(`${layout} on ${disks} disks`, async (t) => {
    const seed = 20_261_125 + disks;
    const recording = await recordArray({ software, layout, disks, seed, operations });
    const redundant = layout === 'mirrored' || layout === 'parity';
    const lose = [-1, ...(redundant ? Array.from({ length: disks }, (_, disk) => disk) : [])];
    const { states, violations } = await checkArray(recording, { software, seed, every, lose });
    t.log(`${states} states of ${recording.writes} writes`);
    t.true(states > 10);
    t.deepEqual(violations, []);
  });
}
