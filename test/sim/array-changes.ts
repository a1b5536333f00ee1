/** What befalls the disks of a store while a load runs: one is lost, lost and rebuilt, added, or replaced. */
import { pause } from '#storage/base/clock.ts';
import type { ArrayBed } from './array-bed.ts';
import type { Tagged } from './replay.ts';

export type ArrayChange = (bed: ArrayBed, trace: Tagged[]) => Promise<void>;

export const arrayChanges = {
  async lost(bed: ArrayBed) {
    bed.disks[1]!.failWrite = bed.disks[1]!.writes + 3;
    await pause(bed.clock, 200);
  },
  async rebuilt(bed: ArrayBed, trace: Tagged[]) {
    bed.disks[1]!.failWrite = bed.disks[1]!.writes + 3;
    await pause(bed.clock, 100);
    await bed.addDisk(trace);
    await bed.settled();
  },
  async added(bed: ArrayBed, trace: Tagged[]) {
    await bed.addDisk(trace);
    await bed.settled();
  },
  async replaced(bed: ArrayBed, trace: Tagged[]) {
    await bed.addDisk(trace, [1]);
    await bed.settled();
  },
} as const satisfies Readonly<Record<string, ArrayChange>>;
