/**
 * A disk image for tests: runs of random data between holes, made from a seed. Where the data lies is
 * known, so that a client's view of what is allocated can be held against it.
 */
import { open } from 'node:fs/promises';
import { SeededRandom } from '../kit/random.ts';

export interface Extent {
  /** Bytes. */
  readonly start: number;
  readonly length: number;
}

const UNIT_BYTES = 2 ** 20;

/**
 * Writes `sizeBytes` to `path`, sparse: about a quarter is random data, in runs of 1…8 MiB, and some
 * 4 KiB islands. Returns where the data is, in order, runs that touch joined.
 */
export async function makeImage(path: string, sizeBytes: number, seed: number): Promise<Extent[]> {
  const random = new SeededRandom(seed);
  const extents: Extent[] = [];
  const file = await open(path, 'w');
  try {
    await file.truncate(sizeBytes);
    const buffer = Buffer.alloc(UNIT_BYTES);
    for (let at = 0; at < sizeBytes; ) {
      const run = Math.min(random.between(1, 8) * UNIT_BYTES, sizeBytes - at);
      if (random.chance(0.25)) {
        for (let done = 0; done < run; done += UNIT_BYTES) {
          await file.write(random.fill(buffer), 0, UNIT_BYTES, at + done);
        }
        add(extents, at, run);
      } else if (random.chance(0.3)) {
        const island = random.fill(Buffer.alloc(4096));
        const where = at + random.below(run / 4096) * 4096;
        await file.write(island, 0, island.length, where);
        add(extents, where, island.length);
      }
      at += run;
    }
  } finally {
    await file.close();
  }
  return extents;
}

function add(extents: Extent[], start: number, length: number): void {
  const last = extents.at(-1);
  if (last !== undefined && last.start + last.length === start) {
    extents[extents.length - 1] = { start: last.start, length: last.length + length };
  } else {
    extents.push({ start, length });
  }
}

export function totalBytes(extents: readonly Extent[]): number {
  return extents.reduce((sum, { length }) => sum + length, 0);
}

/** Whether every byte of every extent of `inner` lies in one extent of `outer`. */
export function covers(outer: readonly Extent[], inner: readonly Extent[]): boolean {
  return inner.every(({ start, length }) =>
    outer.some((each) => each.start <= start && start + length <= each.start + each.length),
  );
}
