/**
 * Crash points of a store on several disks, times each lost disk: after any prefix of the writes of
 * all disks, with one of them gone, every acknowledged write is there.
 */
import type { Layout } from '../../storage/disk/array/geometry.ts';
import { ArrayBed, ArrayReplay, type ArraySoftware, type Tagged } from './array-bed.ts';
import { modesAt, survey } from './crash-points.ts';
import type { Image } from './disk.ts';
import { SimRandom } from './random.ts';
import type { History } from './store-history.ts';
import { Load, type Mark } from './store-load.ts';

export interface ArrayRecording {
  readonly trace: readonly Tagged[];
  readonly history: History;
  readonly start: readonly Image[];
  readonly writes: number;
}

export interface ArrayLoad {
  readonly software: ArraySoftware;
  readonly layout: Layout;
  readonly disks: number;
  readonly seed: number;
  readonly operations: number;
  /** Called after so many operations: a disk is lost, an extent moves. */
  readonly during?: (bed: ArrayBed, trace: Tagged[]) => Promise<void>;
}

/** Run a load and keep what the disks and the caller saw. */
export async function recordArray(options: ArrayLoad): Promise<ArrayRecording> {
  const { software, layout, disks, seed, operations } = options;
  const bed = new ArrayBed({ software, disks, seed, slowMs: 4 });
  await bed.format(layout);
  const store = await bed.open();
  const start = bed.images('keep');
  const trace = bed.trace();
  const load = new Load(store, bed.clock, bed.disks[0]!, bed.random);
  if (options.during !== undefined) {
    await load.run(Math.floor(operations / 3));
    const during = options.during(bed, trace);
    await load.run(Math.floor(operations / 3));
    await bed.until(during);
  }
  await load.run(options.during === undefined ? operations : Math.floor(operations / 3));
  if (load.failures.length > 0) throw new Error(`seed ${seed}: ${load.failures[0]}`);
  await bed.until(store.close());
  // Disks that came later were blank when it all began.
  for (const _ of bed.disks.slice(start.length)) start.push([]);
  const writes = trace.filter(({ event }) => event.kind === 'write').length;
  return { trace, history: load.history, start, writes };
}

export interface ArrayVerdict {
  states: number;
  readonly violations: string[];
}

export interface ArrayCheck {
  readonly software: ArraySoftware;
  readonly seed: number;
  readonly every?: number;
  readonly untilFound?: boolean;
  /** Which disks are lost, one in each state; -1: none. */
  readonly lose: readonly number[];
}

export async function checkArray(
  recording: ArrayRecording,
  options: ArrayCheck,
): Promise<ArrayVerdict> {
  const { seed, every = 1, lose } = options;
  const verdict: ArrayVerdict = { states: 0, violations: [] };
  const random = new SimRandom(seed);
  const replay = new ArrayReplay(recording.start);
  let mark: Mark = { issued: 0, acked: 0 };
  let point = 0;
  let wrote = false;
  for (const [index, tagged] of recording.trace.entries()) {
    const { event } = tagged;
    replay.step(tagged);
    if (event.kind === 'note') mark = event.note as Mark;
    if (event.kind === 'write') wrote = true;
    if (recording.trace[index + 1]?.event.kind === 'note') continue;
    point += 1;
    if (point % every !== 0) continue;
    const modes = modesAt(replay.pending, wrote);
    wrote = false;
    for (const mode of modes) {
      // Each state with one disk lost; which one goes round, so that all meet every kind of point.
      const lost = lose[verdict.states % lose.length]!;
      const images = replay.crash(mode, random);
      verdict.states += 1;
      const wrong = await judge(options, recording, images, lost, mark);
      if (wrong === null) continue;
      verdict.violations.push(`seed ${seed}, event ${index}, ${mode}, lost ${lost}: ${wrong}`);
      if (options.untilFound === true) return verdict;
    }
  }
  return verdict;
}

async function judge(
  { software, lose }: ArrayCheck,
  recording: ArrayRecording,
  images: readonly Image[],
  lost: number,
  { issued, acked }: Mark,
): Promise<string | null> {
  const redundant = lose.length > 1;
  try {
    const kept = images.map((image, disk) => (disk === lost ? undefined : image));
    const first = await reopen(software, kept, recording.history);
    const wrong = recording.history.judge(acked, issued, first.exists, first.stamp);
    if (wrong !== null) return wrong;
    // What was shown stays, whichever further disk is lost: none was lost before.
    if (lost >= 0 || !redundant) return null;
    const other = lose[1 + (issued % (lose.length - 1))]!;
    const rest = first.images.map((image, disk) => (disk === other ? undefined : image));
    const second = await reopen(software, rest, recording.history);
    for (const ref of recording.history.refs) {
      if (first.exists(ref) !== second.exists(ref)) return `space ${ref} changed by itself`;
      for (const block of recording.history.blocks(ref)) {
        const [was, is] = [first.stamp(ref, block), second.stamp(ref, block)];
        if (was !== is) {
          return `block ${block} of space ${ref} turned from ${was} to ${is} without disk ${other}`;
        }
      }
    }
    return null;
  } catch (error) {
    return `recovery failed: ${(error as Error).stack}`;
  }
}

/** Open the store on what is left of its disks and read all that the history knows of. */
export async function reopen(
  software: ArraySoftware,
  images: readonly (Image | undefined)[],
  history: History,
) {
  const bed = new ArrayBed({ software, images, seed: 7, slowMs: 0 });
  const store = await bed.open();
  const seen = await bed.until(survey(store, history));
  return { ...seen, images: bed.images('drop') };
}
