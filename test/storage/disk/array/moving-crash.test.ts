/**
 * A disk is lost and rebuilt, added, or replaced while a load runs: whatever the disks hold after a crash
 * in the middle of it, with one of them lost, every acknowledged write is there.
 */
import test from 'ava';
import type { Layout } from '#storage/disk/array/geometry.ts';
import type { ArrayBed } from '#test/sim/array-bed.ts';
import { arrayChanges } from '#test/sim/array-changes.ts';
import { checkArray, recordArray } from '#test/sim/array-crash.ts';
import type { Tagged } from '#test/sim/replay.ts';
import { software } from './kit.ts';

const cases: readonly [Layout, number, keyof typeof arrayChanges][] = [
  ['mirrored', 2, 'lost'],
  ['mirrored', 2, 'rebuilt'],
  ['mirrored', 3, 'added'],
  ['mirrored', 2, 'replaced'],
  ['parity', 3, 'lost'],
  ['parity', 3, 'rebuilt'],
  ['parity', 3, 'added'],
  ['parity', 4, 'replaced'],
  ['striped', 2, 'replaced'],
];

for (const [layout, disks, what] of cases) {
  test(`${layout} on ${disks} disks, one is ${what}`, async (t) => {
    const seed = 7 + disks;
    let end: ArrayBed | null = null;
    const during = async (bed: ArrayBed, trace: Tagged[]): Promise<void> => {
      end = bed;
      bed.mover!.share = 0.9;
      await arrayChanges[what](bed, trace);
    };
    const recording = await recordArray({ software, layout, disks, seed, operations: 360, during });
    const count = end!.disks.length;
    // A lost one is the one that may be lost: another was not there to be borne.
    const mayGo = what === 'lost' || what === 'rebuilt' ? [1] : [...Array(count).keys()];
    const lose = [-1, ...(layout === 'striped' ? [] : mayGo)];
    const { states, violations } = await checkArray(recording, { software, seed, every: 11, lose });
    t.log(`${states} states of ${recording.writes} writes`);
    t.true(states > 30);
    t.deepEqual(violations, []);
    const { table } = end!.array!.members;
    const left = table.disks.filter((entry) => entry !== null && entry.state === 1).length;
    t.is(left, what === 'lost' ? disks - 1 : what === 'added' ? disks + 1 : disks);
  });
}
