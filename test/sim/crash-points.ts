/**
 * The crash-point checker: a load is recorded as the writes that the disk saw and the
 * acknowledgements that the caller saw; then for every prefix of that trace the disk is made as a
 * crash may leave it, the store is opened on it, and what it holds is judged against what was
 * acknowledged. Some states are opened twice: recovery itself must not change what is there.
 */
import type { Blocks } from '../../storage/map/blocks.ts';
import type { BlocksOptions } from '../../storage/map/open.ts';
import { SimClock } from './clock.ts';
import { type CrashMode, type Image, Replay, SimDisk, type TraceEvent } from './disk.ts';
import { SimRandom } from './random.ts';
import { type History, stampOf } from './store-history.ts';
import { Load, type Mark, type Software, smallStore } from './store-load.ts';

export interface Recording {
  readonly size: number;
  readonly trace: readonly TraceEvent<Mark>[];
  readonly history: History;
  readonly start: Image;
  readonly writes: number;
  readonly checkpoints: number;
  readonly segmentsCleaned: number;
  readonly segmentsOpened: number;
}

export interface RecordOptions {
  readonly seed: number;
  readonly operations: number;
  readonly size?: number;
  readonly syncDoesNothing?: boolean;
  readonly options?: BlocksOptions;
  /** See `Load`. */
  readonly focus?: number;
}

/** Run a load to its end and keep what the disk and the caller saw. */
export async function record(software: Software, options: RecordOptions): Promise<Recording> {
  const { seed, operations, size = 16 * 1024 * 1024, syncDoesNothing = false } = options;
  const settings = options.options ?? smallStore;
  const clock = new SimClock();
  const random = new SimRandom(seed);
  const disk = new SimDisk({ clock, random, size, slowMs: 4, syncDoesNothing });
  const storeId = random.bytes(16);
  await clock.until(software.formatBlocks(disk, { storeId, random }));
  const store = await clock.until(software.openBlocks({ disk, clock, random }, settings));
  const start = disk.crash('keep');
  const trace: TraceEvent<Mark>[] = [];
  disk.trace = trace;
  const load = new Load(store, clock, disk, random);
  load.focus = options.focus ?? 1;
  await load.run(operations);
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
  };
}

/**
 * In which ways a crash is to be tried at a point of a trace. A write that was just issued is dropped in the
 * states before; one made durable is kept in them.
 */
export function modesAt(pending: number, wrote: boolean): readonly CrashMode[] {
  if (pending === 0) return ['drop'];
  return wrote ? ['keep', 'tear'] : ['drop', 'tear'];
}

export interface Verdict {
  states: number;
  reopened: number;
  readonly violations: string[];
}

export interface CheckOptions {
  readonly seed: number;
  /** Look at every n-th point only. */
  readonly every?: number;
  /** End with the first violation. */
  readonly untilFound?: boolean;
  /** Open every n-th state twice. */
  readonly twice?: number;
}

/** Judge the states that a crash may leave at each point of the trace. */
export async function check(
  software: Software,
  recording: Recording,
  options: CheckOptions,
): Promise<Verdict> {
  const { seed, every = 1, twice = 4 } = options;
  const verdict: Verdict = { states: 0, reopened: 0, violations: [] };
  const random = new SimRandom(seed);
  const replay = new Replay(recording.start);
  let mark: Mark = { issued: 0, acked: 0 };
  let point = 0;
  let wrote = false;
  for (const [index, event] of recording.trace.entries()) {
    replay.step(event);
    if (event.kind === 'note') mark = event.note;
    if (event.kind === 'write') wrote = true;
    // Acknowledgements belong to the point before them: judged with all that came until the next
    // write.
    if (recording.trace[index + 1]?.kind === 'note') continue;
    point += 1;
    if (point % every !== 0) continue;
    const modes = modesAt(replay.pending, wrote);
    wrote = false;
    for (const mode of modes) {
      const image = replay.crash(mode, random);
      verdict.states += 1;
      const again = verdict.states % twice === 0;
      if (again) verdict.reopened += 1;
      const wrong = await judge(software, recording, image, mark, again);
      if (wrong === null) continue;
      verdict.violations.push(`seed ${seed}, event ${index}, ${mode}: ${wrong}`);
      if (options.untilFound === true) return verdict;
    }
  }
  return verdict;
}

/**
 * Open the store on an image and say what it holds that it may not, or null. `again`: open it twice.
 */
export async function judge(
  software: Software,
  recording: Pick<Recording, 'size' | 'history'>,
  image: Image,
  mark: Mark,
  again: boolean,
): Promise<string | null> {
  const clock = new SimClock();
  const random = new SimRandom(7);
  const disk = new SimDisk({ clock, random, size: recording.size, image });
  try {
    const first = await clock.until(observe(software, clock, disk, recording.history));
    const { issued, acked } = mark;
    const wrong = recording.history.judge(acked, issued, first.exists, first.stamp);
    if (wrong !== null || !again) return wrong;
    const rest = new SimDisk({ clock, random, size: recording.size, image: disk.crash('drop') });
    const second = await clock.until(observe(software, clock, rest, recording.history));
    for (const ref of recording.history.refs) {
      if (first.exists(ref) !== second.exists(ref)) return `space ${ref} changed by itself`;
      for (const block of recording.history.blocks(ref)) {
        const [was, is] = [first.stamp(ref, block), second.stamp(ref, block)];
        if (was !== is)
          return `block ${block} of space ${ref} turned from ${was} to ${is} by itself`;
      }
    }
    return null;
  } catch (error) {
    return `recovery failed: ${(error as Error).stack}`;
  }
}

export interface Observation {
  exists(ref: number): boolean;
  /** As `stampOf`; blocks that cannot be read are -1. */
  stamp(ref: number, block: number): number;
}

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

/** Read all that the history knows of. */
export async function survey(store: Blocks, history: History): Promise<Observation> {
  const refs = new Set(store.refs());
  const stamps = new Map<string, number>();
  const into = new Uint8Array(4096 * 64);
  for (const ref of history.refs) {
    if (!refs.has(ref)) continue;
    for (const blocks of runs(history.blocks(ref))) {
      const error = await new Promise<Error | null>((complete) => {
        store.read(ref, blocks[0]!, blocks.length, into, 0, { complete });
      });
      blocks.forEach((block, index) => {
        const data = into.subarray(index * 4096, (index + 1) * 4096);
        stamps.set(
          `${ref}/${block}`,
          error === null ? stampOf(history.origin(ref), block, data) : -1,
        );
      });
    }
  }
  return {
    exists: (ref) => refs.has(ref),
    stamp: (ref, block) => stamps.get(`${ref}/${block}`) ?? 0,
  };
}

/** Neighbours together, at most 64. */
function* runs(blocks: readonly number[]): Generator<number[]> {
  let run: number[] = [];
  for (const block of blocks) {
    if (run.length > 0 && (block !== run.at(-1)! + 1 || run.length === 64)) {
      yield run;
      run = [];
    }
    run.push(block);
  }
  if (run.length > 0) yield run;
}
