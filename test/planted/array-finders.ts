/** Looks for faults in the layer of several disks: see `finders.ts`. */
import { join } from 'node:path';
import type { Layout } from '../../storage/disk/array/geometry.ts';
import { ArrayBed, type ArraySoftware, ourSoftware } from '../sim/array-bed.ts';
import { checkArray, recordArray } from '../sim/array-crash.ts';
import { stamped, stampOf } from '../sim/store-history.ts';

type Finder = (software: unknown, directory: string) => Promise<string | null>;

async function crash(
  software: ArraySoftware,
  layout: Layout,
  disks: number,
  every: number,
): Promise<string | null> {
  const recording = await recordArray({ software, layout, disks, seed: 3, operations: 450 }).catch(
    String,
  );
  if (typeof recording === 'string') return recording;
  const lose = [-1, ...Array(disks).keys()];
  const options = { software, seed: 3, every, lose, untilFound: true };
  const { violations } = await checkArray(recording, options);
  return violations[0] ?? null;
}

/** Blocks of space 1 written or read in one go. */
function put(bed: ArrayBed, block: number, count: number, stamp: number): Promise<Error | null> {
  const data = new Uint8Array(count * 4096);
  for (let index = 0; index < count; index += 1) {
    data.set(stamped(1, block + index, stamp), index * 4096);
  }
  return new Promise((complete) => bed.store!.write(1, block, data, { complete }));
}

async function wrong(bed: ArrayBed, count: number, stamp: number): Promise<string | null> {
  for (let block = 0; block < count; block += 1) {
    const into = new Uint8Array(4096);
    const error = await bed.until(
      new Promise<Error | null>((complete) => bed.store!.read(1, block, 1, into, 0, { complete })),
    );
    const is = error === null ? stampOf(1, block, into) : error.message;
    if (is !== stamp) return `block ${block} is ${is}, not ${stamp}`;
  }
  return null;
}

async function made(software: ArraySoftware, layout: Layout, disks: number): Promise<ArrayBed> {
  const bed = new ArrayBed({ software, disks });
  await bed.format(layout);
  const store = await bed.open();
  await bed.until(store.create(1, 0));
  return bed;
}

async function without(
  software: ArraySoftware,
  bed: ArrayBed,
  lost: readonly number[],
): Promise<ArrayBed> {
  const images = bed.images('drop').map((image, disk) => (lost.includes(disk) ? undefined : image));
  const again = new ArrayBed({ software, images });
  await again.open();
  return again;
}

const ours = (finder: (software: ArraySoftware) => Promise<string | null>): Finder => {
  return async (_software, directory) => {
    try {
      return await finder(await ourSoftware(join(directory, '..')));
    } catch (error) {
      return `the store does not open: ${(error as Error).message}`;
    }
  };
};

export const arrayFinders: Readonly<Record<string, Finder>> = {
  /** Crash points with a disk lost. */
  'mirrored crash': ours((software) => crash(software, 'mirrored', 2, 11)),
  'parity crash': ours((software) => crash(software, 'parity', 3, 11)),

  /** A disk fails under the store; at the instant of the acknowledgement the power goes. */
  loss: ours(async (software) => {
    const bed = await made(software, 'mirrored', 3);
    await bed.until(put(bed, 0, 100, 1));
    for (const disk of bed.disks.slice(0, 1)) disk.failWrite = disk.writes + 1;
    let told = false;
    const writes = [0, 1, 2, 3].map((each) =>
      put(bed, each * 50, 50, 2).then((error) => {
        told = true;
        return error;
      }),
    );
    while (!told && bed.clock.step()) await new Promise((resolve) => setImmediate(resolve));
    const after = await without(software, bed, []);
    const state = after.array!.members.table.disks[0]!.state;
    await bed.until(Promise.all(writes));
    return state === 3 ? null : 'a write was told, and nothing says that a disk missed it';
  }),

  /** A disk that was missing, or lost, is here again. */
  stale: ours(async (software) => {
    const bed = await made(software, 'mirrored', 2);
    await bed.until(put(bed, 0, 60, 1));
    const alone = await without(software, bed, [1]);
    await alone.until(put(alone, 0, 60, 2));
    const images = [alone.images('drop')[0], bed.images('drop')[1]];
    const both = new ArrayBed({ software, images });
    await both.open();
    if (both.array!.members.at(1) !== null) return 'a stale disk is used';
    return await wrong(both, 60, 2);
  }),

  /** An extent moves slowly while a host writes, wherever the log just is; then the new disk is all there is. */
  moving: ours(async (software) => {
    for (const more of [0, 40, 80, 120, 160, 200]) {
      const found = await moved(software, more);
      if (found !== null) return found;
    }
    return null;
  }),

  /** No parity reaches its disk before the power goes, and a data disk with it. */
  journal: ours(async (software) => {
    const bed = await made(software, 'parity', 3);
    const { chunkBytes } = bed.array!.zones;
    for (const disk of bed.disks) {
      const write = disk.write.bind(disk);
      disk.write = (offset, data, durable) => {
        const parity = durable && data.length === 1 && data[0]!.length === chunkBytes;
        return parity ? new Promise(() => {}) : write(offset, data, durable);
      };
    }
    for (let block = 0; block < 1200; block += 40) await bed.until(put(bed, block, 40, 1));
    for (const lost of [0, 1, 2]) {
      const found = await wrong(await without(software, bed, [lost]), 1200, 1);
      if (found !== null) return `without disk ${lost}: ${found}`;
    }
    return null;
  }),

  /** Full segments read without one disk, from the mirror or by the parity. */
  degraded: ours(async (software) => {
    const bed = await made(software, 'parity', 4);
    for (let block = 0; block < 1200; block += 100) await bed.until(put(bed, block, 100, 1));
    await bed.until(bed.store!.close());
    for (const lost of [0, 1, 2, 3]) {
      const found = await wrong(await without(software, bed, [lost]), 1200, 1);
      if (found !== null) return `without disk ${lost}: ${found}`;
    }
    return null;
  }),

  /** Bits of one mirror turned over. */
  repair: ours(async (software) => {
    const bed = await made(software, 'mirrored', 2);
    for (let block = 0; block < 600; block += 100) await bed.until(put(bed, block, 100, 1));
    await bed.until(bed.store!.close());
    const again = await without(software, bed, []);
    for (const disk of [0, 1]) {
      const first = again.array!.members.at(disk)!.areas.extents.offset / 4096;
      // Of each block one copy only.
      for (let block = first; block < first + 900; block += 1) {
        if (block % 2 === disk) again.disks[disk]!.flip(block, 77);
      }
    }
    return await wrong(again, 600, 1);
  }),
};

/** With `more` writes before the extent begins to move. */
async function moved(software: ArraySoftware, more: number): Promise<string | null> {
  const bed = await made(software, 'mirrored', 2);
  for (let block = 0; block < 600; block += 100) await bed.until(put(bed, block, 100, 1));
  for (let each = 0; each < more; each += 1) await bed.until(put(bed, each, 1, 1));
  bed.mover!.share = 0.05;
  await bed.until(bed.addDisk(null, [1]));
  const last = new Array<number>(600).fill(1);
  for (let stamp = 2; bed.mover!.progress !== null && stamp < 2000; stamp += 1) {
    // Small ones: the segment that is being filled stays where an extent moves.
    const block = (stamp * 37) % 600;
    await bed.until(put(bed, block, 1, stamp));
    last[block] = stamp;
  }
  await bed.until(bed.store!.close());
  const alone = await without(software, bed, [0, 1]);
  for (const [block, stamp] of last.entries()) {
    const into = new Uint8Array(4096);
    const read = new Promise<Error | null>((complete) =>
      alone.store!.read(1, block, 1, into, 0, { complete }),
    );
    const error = await alone.until(read);
    const is = error === null ? stampOf(1, block, into) : error.message;
    if (is !== stamp) return `on the new disk block ${block} is ${is}, not ${stamp}`;
  }
  return null;
}
