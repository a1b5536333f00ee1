/**
 * The crash-point checker: a load was recorded as the writes that the disks saw and the acknowledgements
 * that the caller saw; for every prefix of that trace the disks are made as a crash may leave them, one of
 * them lost, the store is opened on what is left, and what it holds is judged against what was
 * acknowledged. Some states are opened twice: recovery itself must not change what is there.
 *
 * What is looked at in a state: whether each space is there, every block that the operations of the last
 * `recentPoints` points touch (those in flight and many before them: where this state can differ from the
 * one before it), and of all other blocks of all spaces one in `rotation`, other ones the next time. A
 * block that recovery or the reuse of a segment destroyed stays destroyed in the states that follow, so the
 * next `rotation` of them find it (with several disks: of them with the same one lost). Each `wholeEvery`-th
 * state is looked at whole.
 */
import type { Clock } from '../../storage/base/clock.ts';
import type { Disk } from '../../storage/disk/disk.ts';
import type { Blocks } from '../../storage/map/blocks.ts';
import { SimClock } from './clock.ts';
import { Arena, CrashDisk } from './crash-disk.ts';
import type { Image } from './disk.ts';
import { SimRandom } from './random.ts';
import { blankDisk, type DiskState, type Reordering, Replay, type Tagged } from './replay.ts';
import { type History, stampOf } from './store-history.ts';
import type { Mark } from './store-load.ts';

export interface Recording {
  /** Of each disk; those that came while it ran were blank when it began. */
  readonly size: number;
  readonly start: readonly Image[];
  readonly trace: readonly Tagged[];
  readonly history: History;
  readonly writes: number;
}

/** Opens the store on these disks. */
export type Opener = (
  disks: readonly Disk[],
  ports: { readonly clock: Clock; readonly random: SimRandom },
) => Promise<Blocks>;

export interface CheckOptions {
  readonly seed: number;
  /** Look at every n-th point only. */
  readonly every?: number;
  /** And of those at every n-th from one on: the work of one of several. */
  readonly part?: { readonly of: number; readonly which: number };
  /** End with the first violation. */
  readonly untilFound?: boolean;
  /** Open every n-th state twice; 0: none. */
  readonly twice?: number;
  /** Which disks are lost, one in each state, in turn; -1: none. */
  readonly lose?: readonly number[];
  /** At each point so many subsets of the pending writes, when there are two or more. */
  readonly subsets?: number;
  /** Of the ways of a crash so many at each point, by chance; default all. */
  readonly ways?: number;
  /** So many states at most. */
  readonly most?: number;
  readonly progress?: (verdict: Verdict) => void;
}

export interface Verdict {
  states: number;
  reopened: number;
  /** Looked at whole. */
  whole: number;
  readonly modes: Record<Reordering, number>;
  /** States with a disk lost. */
  degraded: number;
  readonly violations: string[];
}

export const emptyVerdict = (): Verdict => ({
  states: 0,
  reopened: 0,
  whole: 0,
  modes: { drop: 0, keep: 0, tear: 0, some: 0 },
  degraded: 0,
  violations: [],
});

const recentPoints = 16;
const rotation = 8;
const wholeEvery = 16;

/**
 * In which ways a crash is to be tried at a point of a trace. A write that was just issued is dropped in the
 * states before; one made durable is kept in them.
 */
function modesAt(pending: number, wrote: boolean, subsets: number): Reordering[] {
  if (pending === 0) return ['drop'];
  const modes: Reordering[] = wrote ? ['keep', 'tear'] : ['drop', 'tear'];
  if (pending > 1) for (let each = 0; each < subsets; each += 1) modes.push('some');
  return modes;
}

/** `count` of them, from number `from` on, round the end. */
function inTurn<T>(all: readonly T[], from: number, count: number): readonly T[] {
  if (count >= all.length) return all;
  return Array.from({ length: count }, (_, index) => all[(from + index) % all.length]!);
}

/**
 * A point is where the disks may be found in another state than before: an event of a disk, with what was told
 * and asked for until the next one. Acknowledgements belong to the point before them.
 */
const isPoint = ({ trace }: Recording, index: number): boolean =>
  trace[index + 1]?.event.kind !== 'note';

export const pointsOf = (recording: Recording): number =>
  recording.trace.filter((_, index) => isPoint(recording, index)).length;

/** Judge the states that a crash may leave at each point of the trace. */
export async function checkStates(
  open: Opener,
  recording: Recording,
  options: CheckOptions,
): Promise<Verdict> {
  const { seed, every = 1, subsets = 0 } = options;
  const { most = Number.POSITIVE_INFINITY, ways = most } = options;
  const { of, which } = options.part ?? { of: 1, which: 0 };
  const judge = new Judge(open, recording, options);
  const { verdict } = judge;
  const replay = new Replay(recording.start);
  let mark: Mark = { issued: 0, acked: 0 };
  let point = 0;
  let wrote = false;
  for (const [index, tagged] of recording.trace.entries()) {
    const { event } = tagged;
    replay.step(tagged);
    if (event.kind === 'note') mark = event.note as Mark;
    if (event.kind === 'write') wrote = true;
    if (!isPoint(recording, index)) continue;
    point += 1;
    if (point % every !== 0) continue;
    // Chance of this point alone, so that a share of the points sees what all of them would.
    const random = new SimRandom(seed + index);
    const all = modesAt(replay.pending, wrote, subsets);
    const modes = inTurn(all, random.below(all.length), ways);
    wrote = false;
    if ((point / every) % of !== which) continue;
    for (const mode of modes) {
      if (verdict.states >= most) return verdict;
      const { lost, wrong } = await judge.state(replay.crash(mode, random), mode, mark);
      options.progress?.(verdict);
      if (wrong === null) continue;
      const without = lost < 0 ? '' : `, without disk ${lost}`;
      verdict.violations.push(`seed ${seed}, event ${index}, ${mode}${without}: ${wrong}`);
      if (options.untilFound === true) return verdict;
    }
  }
  return verdict;
}

/** What a store may hold, and on how large disks it is. */
type Judged = Pick<Recording, 'history' | 'size'>;

/** Judge one state, looked at whole: what is wrong with it, or null. `again`: it is opened twice. */
export async function judgeState(
  open: Opener,
  judged: Judged,
  states: readonly DiskState[],
  mark: Mark,
  again: boolean,
): Promise<string | null> {
  const judge = new Judge(open, judged, { seed: 0, twice: again ? 1 : 0 });
  return (await judge.state(states, 'drop', mark)).wrong;
}

class Judge {
  readonly verdict = emptyVerdict();
  readonly #open: Opener;
  readonly #recording: Judged;
  readonly #lose: readonly number[];
  readonly #twice: number;
  readonly #arena = new Arena();
  /** Goes up when each disk was lost once: what is done in some turns only is done with each of them. */
  #turn = 0;

  constructor(open: Opener, recording: Judged, { lose = [-1], twice = 4 }: CheckOptions) {
    this.#open = open;
    this.#recording = recording;
    this.#lose = lose;
    this.#twice = twice;
  }

  async state(states: readonly DiskState[], mode: Reordering, mark: Mark) {
    const { verdict } = this;
    const lost = this.#lose[verdict.states % this.#lose.length]!;
    this.#turn = Math.floor(verdict.states / this.#lose.length);
    verdict.states += 1;
    verdict.modes[mode] += 1;
    if (lost >= 0) verdict.degraded += 1;
    this.#arena.reset();
    const wrong = await this.#judge(states, lost, mark).catch(
      (error: Error) => `recovery failed: ${error.stack}`,
    );
    return { lost, wrong };
  }

  async #judge(
    states: readonly DiskState[],
    lost: number,
    { issued, acked }: Mark,
  ): Promise<string | null> {
    const { history } = this.#recording;
    const looked = this.#looked(issued, acked);
    const disks = this.#disks(states, lost);
    const first = await this.#observe(disks, looked);
    const wrong = history.judge(acked, issued, first.exists, first.stamp, looked);
    if (wrong !== null || this.#turn % this.#twice !== 0) return wrong;
    this.verdict.reopened += 1;
    // What was shown stays, whichever further disk is lost: none was lost before.
    const others = this.#lose.filter((disk) => disk >= 0);
    const gone = lost < 0 && others.length > 0 ? others[issued % others.length]! : lost;
    const left = disks.map((disk) => disk.crash());
    const second = await this.#observe(this.#disks(left, gone), looked);
    const how = gone === lost ? 'by itself' : `without disk ${gone}`;
    for (const ref of history.refs) {
      if (first.exists(ref) !== second.exists(ref)) return `space ${ref} changed ${how}`;
      for (const block of looked(ref)) {
        const [was, is] = [first.stamp(ref, block), second.stamp(ref, block)];
        if (was === is) continue;
        return `block ${block} of space ${ref} turned from ${was} to ${is} ${how}`;
      }
    }
    return null;
  }

  /** A disk that is lost is a blank one: it is known by its label. */
  #disks(states: readonly DiskState[], lost: number): CrashDisk[] {
    return states.map((state, disk) => {
      const { size } = this.#recording;
      return new CrashDisk(size, disk === lost ? blankDisk : state, this.#arena);
    });
  }

  async #observe(disks: readonly CrashDisk[], looked: Looked): Promise<Observation> {
    const clock = new SimClock();
    const random = new SimRandom(7);
    const store = await clock.until(this.#open(disks, { clock, random }));
    return await clock.until(survey(store, this.#recording.history, looked));
  }

  /** Which blocks of each space are looked at in this state. */
  #looked(issued: number, acked: number): Looked {
    const { history } = this.#recording;
    const turn = this.#turn;
    if (turn % wholeEvery === 0) {
      this.verdict.whole += 1;
      return (ref) => history.blocks(ref);
    }
    const touched = history.touched(acked - recentPoints, issued);
    const chosen = new Map<number, readonly number[]>();
    return (ref) => {
      const before = chosen.get(ref);
      if (before !== undefined) return before;
      const recent = touched.get(ref);
      // By eights: neighbours are read at once.
      const due = (index: number): boolean => ((index >> 3) + turn) % rotation === 0;
      const blocks = history
        .blocks(ref)
        .filter((block, index) => due(index) || recent?.has(block) === true);
      chosen.set(ref, blocks);
      return blocks;
    };
  }
}

type Looked = (ref: number) => readonly number[];

export interface Observation {
  exists(ref: number): boolean;
  /** As `stampOf`; blocks that cannot be read are -1. */
  stamp(ref: number, block: number): number;
}

/** Read all that the history knows of, or what is to be looked at of it. */
export async function survey(
  store: Blocks,
  history: History,
  looked: Looked = (ref) => history.blocks(ref),
): Promise<Observation> {
  const refs = new Set(store.refs());
  const stamps = new Map<number, Map<number, number>>();
  const into = new Uint8Array(4096 * 64);
  for (const ref of history.refs) {
    if (!refs.has(ref)) continue;
    const found = new Map<number, number>();
    stamps.set(ref, found);
    for (const blocks of runs(looked(ref))) {
      const error = await new Promise<Error | null>((complete) => {
        store.read(ref, blocks[0]!, blocks.length, into, 0, { complete });
      });
      blocks.forEach((block, index) => {
        const data = into.subarray(index * 4096, (index + 1) * 4096);
        found.set(block, error === null ? stampOf(0, block, data) : -1);
      });
    }
  }
  return {
    exists: (ref) => refs.has(ref),
    stamp: (ref, block) => stamps.get(ref)?.get(block) ?? 0,
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
