/**
 * Crash points of a store on several disks, times each lost disk: after any prefix of the writes of
 * all disks, with one of them gone, every acknowledged write is there. See `crash-check.ts`.
 */
import type { Layout } from '../../storage/disk/array/geometry.ts';
import type { BlocksOptions } from '../../storage/map/open.ts';
import { ArrayBed, type ArraySoftware, diskBytes, openStore } from './array-bed.ts';
import {
  type CheckOptions,
  checkStates,
  type Opener,
  type Recording,
  type Verdict,
} from './crash-check.ts';
import { branching } from './crash-points.ts';
import type { Tagged } from './replay.ts';
import { Load, smallStore } from './store-load.ts';

export interface ArrayRecording extends Recording {
  readonly images: Readonly<Record<string, number>>;
}

export interface ArrayLoad {
  readonly software: ArraySoftware;
  readonly layout: Layout;
  readonly disks: number;
  readonly seed: number;
  readonly operations: number;
  /** And as many more as it takes until the disks have seen so many writes. */
  readonly writes?: number;
  readonly options?: BlocksOptions;
  /** Snapshots, clones and rollbacks as well, and smaller writes. */
  readonly images?: boolean;
  /** Called after a third of the operations: a disk is lost, an extent moves. */
  readonly during?: (bed: ArrayBed, trace: Tagged[]) => Promise<void>;
}

/** Run a load and keep what the disks and the caller saw. */
export async function recordArray(options: ArrayLoad): Promise<ArrayRecording> {
  const { software, layout, disks, seed, operations } = options;
  const bed = new ArrayBed({ software, disks, seed, slowMs: 4 });
  await bed.format(layout);
  const store = await bed.open(options.options ?? smallStore);
  const start = bed.images('keep');
  const trace = bed.trace();
  const load = new Load(store, bed.clock, bed.disks[0]!, bed.random);
  if (options.images === true) branching(load, bed.random);
  if (options.during !== undefined) {
    await load.run(Math.floor(operations / 3));
    const during = options.during(bed, trace);
    await load.run(Math.floor(operations / 3));
    await bed.until(during);
  }
  const written = (): number => trace.filter(({ event }) => event.kind === 'write').length;
  do await load.run(options.during === undefined ? operations : Math.floor(operations / 3));
  while (load.failures.length === 0 && written() < (options.writes ?? 0));
  if (load.failures.length > 0) throw new Error(`seed ${seed}: ${load.failures[0]}`);
  await bed.until(store.close());
  // Disks that came later were blank when it all began.
  for (const _ of bed.disks.slice(start.length)) start.push([]);
  const writes = written();
  const images = load.images?.counts ?? {};
  return { size: diskBytes, trace, history: load.history, start, writes, images };
}

export interface ArrayCheck extends CheckOptions {
  readonly software: ArraySoftware;
}

export async function checkArray(recording: Recording, options: ArrayCheck): Promise<Verdict> {
  return await checkStates(arrayOpenerOf(options.software), recording, options);
}

/** Nothing that was verified once is taken for good the next time. */
export function arrayOpenerOf(software: ArraySoftware): Opener {
  const silent = (): void => {};
  const log = { info: silent, warn: silent, error: silent };
  const settings = { ...smallStore, cacheBytes: 0 };
  return (disks, ports) => openStore(software, disks, { ...ports, log }, settings);
}
