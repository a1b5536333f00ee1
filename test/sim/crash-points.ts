/** Crash points of a store on one disk: see `crash-check.ts`. */
import type { BlocksOptions } from '../../storage/map/open.ts';
import { SimClock } from './clock.ts';
import {
  type CheckOptions,
  checkStates,
  type Observation,
  type Opener,
  type Recording,
  survey,
  type Verdict,
} from './crash-check.ts';
import { SimDisk } from './disk.ts';
import { ImagesPlan } from './images-plan.ts';
import { SimRandom } from './random.ts';
import { type Tagged, TaggedTrace } from './replay.ts';
import type { History } from './store-history.ts';
import { Load, type Software, smallStore } from './store-load.ts';

export interface OneRecording extends Recording {
  readonly checkpoints: number;
  readonly segmentsCleaned: number;
  readonly segmentsOpened: number;
  readonly images: Readonly<Record<string, number>>;
}

export interface RecordOptions {
  readonly seed: number;
  readonly operations: number;
  /** And as many more as it takes until the disk has seen so many writes. */
  readonly writes?: number;
  readonly size?: number;
  readonly syncDoesNothing?: boolean;
  readonly options?: BlocksOptions;
  /** See `Load`. */
  readonly focus?: number;
  /** Snapshots, clones and rollbacks as well, and smaller writes. */
  readonly images?: boolean;
}

/** Run a load to its end and keep what the disk and the caller saw. */
export async function record(software: Software, options: RecordOptions): Promise<OneRecording> {
  const { seed, operations, size = 16 * 1024 * 1024, syncDoesNothing = false } = options;
  const settings = options.options ?? smallStore;
  const clock = new SimClock();
  const random = new SimRandom(seed);
  const disk = new SimDisk({ clock, random, size, slowMs: 4, syncDoesNothing });
  const storeId = random.bytes(16);
  await clock.until(software.formatBlocks(disk, { storeId, random }));
  const store = await clock.until(software.openBlocks({ disk, clock, random }, settings));
  const start = [disk.crash('keep')];
  const trace: Tagged[] = [];
  disk.trace = TaggedTrace.tagging(0, trace);
  const load = new Load(store, clock, disk, random);
  load.focus = options.focus ?? 1;
  if (options.images === true) branching(load, random);
  do await load.run(operations);
  while (load.failures.length === 0 && disk.writes < (options.writes ?? 0));
  if (load.failures.length > 0) throw new Error(`seed ${seed}: ${load.failures[0]}`);
  const stats = store.stats();
  await clock.until(store.close());
  return {
    size,
    trace,
    history: load.history,
    start,
    writes: disk.writes,
    checkpoints: stats.checkpoints,
    segmentsCleaned: stats.segmentsCleaned,
    segmentsOpened: (stats.userBlocks + stats.cleanerBlocks + stats.headerBlocks) / 256,
    images: load.images?.counts ?? {},
  };
}

/** A load of small writes with few in flight, so that a trace has many of them, and of images. */
export function branching(load: Load, random: SimRandom): void {
  load.depth = 8;
  load.longest = 4;
  load.longer = 40;
  load.images = new ImagesPlan(random, 0.05, 700);
}

/** The checkpoints of a store come often: the less log, the less each state costs to recover. */
export const crashStore: BlocksOptions = { ...smallStore, checkpointBytes: 700 * 1024 };

/** Judge the states that a crash may leave at each point of the trace. */
export async function check(
  software: Software,
  recording: Recording,
  options: CheckOptions,
): Promise<Verdict> {
  return await checkStates(openerOf(software), recording, options);
}

/** Nothing that was verified once is taken for good the next time. */
export const openerOf =
  (software: Software): Opener =>
  (disks, ports) =>
    software.openBlocks({ disk: disks[0]!, ...ports }, { ...smallStore, cacheBytes: 0 });

/** Open a store and read all that the history knows of. */
export async function observe(
  software: Software,
  clock: SimClock,
  disk: SimDisk,
  history: History,
): Promise<Observation> {
  const random = new SimRandom(1);
  return survey(await software.openBlocks({ disk, clock, random }, smallStore), history);
}
