/**
 * Replays a log of writes and judges what a store is at each flush mark: the device as it was up to
 * there is opened, and holds all that had been acknowledged, or what was issued later, and nothing
 * else. Between two flush marks a crash may keep each unflushed block or not: some such states are
 * judged as well. Opening writes to a copy of its own; the replay goes on from what was logged.
 */
import type { Image, TraceEvent } from '../../sim/disk.ts';
import { SimRandom } from '../../sim/random.ts';
import { type DiskState, Replay } from '../../sim/replay.ts';
import type { Mark } from '../../sim/store-load.ts';
import { Flag, type LogEntry, pointOf } from './log.ts';

const blockBytes = 4096;

/** Null: nothing is wrong. `again`: what recovery leaves is opened once more. */
export type Judge = (state: DiskState, mark: Mark, again: boolean) => Promise<string | null>;

export interface ReplayOptions {
  /** Bytes of the device. */
  readonly size: number;
  /** Points of the plan. */
  readonly issued: number;
  readonly judge: Judge;
  readonly seed: number;
  /** The device when the log began; default blank. */
  readonly start?: Image;
  /** Of the states between flush marks judge every n-th. */
  readonly every?: number;
  /** Of all states open every n-th twice. */
  readonly twice?: number;
}

export interface ReplayVerdict {
  /** Entries of the log. */
  entries: number;
  /** Writes, by entries, that the log has. */
  writes: number;
  /** Flush marks (FLUSH or FUA) behind the first acknowledgement, each of them judged. */
  flushes: number;
  /** Marks of acknowledgements. */
  marks: number;
  /** States judged in all, and those of them opened twice. */
  states: number;
  reopened: number;
  readonly violations: string[];
}

/** Violations after which there is nothing more to learn. */
const violationsMost = 20;

export async function replayLog(
  log: Iterable<LogEntry>,
  options: ReplayOptions,
): Promise<ReplayVerdict> {
  const replayer = new Replayer(options);
  const { verdict } = replayer;
  let before: LogEntry | null = null;
  for (const entry of log) {
    // An acknowledgement belongs to the state before it.
    if (before !== null && pointOf(entry.text) === null) await replayer.judge(before);
    replayer.step(entry);
    before = entry;
    if (verdict.violations.length >= violationsMost) return verdict;
  }
  if (before !== null) await replayer.judge(before);
  return verdict;
}

const isFlush = ({ flags }: LogEntry): boolean => (flags & (Flag.flush | Flag.fua)) !== 0;

class Replayer {
  readonly verdict: ReplayVerdict = {
    ...{ entries: 0, writes: 0, flushes: 0, marks: 0, states: 0, reopened: 0 },
    violations: [],
  };
  readonly #options: ReplayOptions;
  readonly #replay: Replay;
  readonly #random: SimRandom;
  /** Written and not flushed. */
  #pending: number[] = [];
  #ids = 0;
  #between = 0;
  /** Null: the store is not made yet. */
  #acknowledged: number | null = null;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#replay = new Replay([options.start ?? []]);
    this.#random = new SimRandom(options.seed);
  }

  step(entry: LogEntry): void {
    const { verdict } = this;
    verdict.entries += 1;
    const point = pointOf(entry.text);
    if (point !== null) {
      verdict.marks += 1;
      this.#acknowledged = point;
      return;
    }
    if ((entry.flags & Flag.mark) !== 0) return;
    if (isFlush(entry) && this.#acknowledged !== null) verdict.flushes += 1;
    // A FLUSH covers what came before it, not the data that it carries itself.
    if ((entry.flags & Flag.flush) !== 0) this.#settle();
    if (entry.length === 0) return;
    verdict.writes += 1;
    const id = this.#write(entry);
    if ((entry.flags & Flag.fua) !== 0) this.#happen({ kind: 'durable', ids: [id] });
    else this.#pending.push(id);
  }

  #happen(event: TraceEvent): void {
    this.#replay.step({ disk: 0, event });
  }

  #settle(): void {
    this.#happen({ kind: 'durable', ids: this.#pending });
    this.#pending = [];
  }

  #write({ offset, length, flags, data }: LogEntry): number {
    if (offset % blockBytes !== 0 || length % blockBytes !== 0) {
      throw new Error(`a write of ${length} bytes at ${offset} is not of whole blocks`);
    }
    const bytes = (flags & Flag.discard) === 0 ? data : new Uint8Array(length);
    const blocks: Uint8Array[] = [];
    for (let at = 0; at < length; at += blockBytes)
      blocks.push(bytes.subarray(at, at + blockBytes));
    this.#ids += 1;
    this.#happen({ kind: 'write', id: this.#ids, block: offset / blockBytes, data: blocks });
    return this.#ids;
  }

  /** The states that a crash right after `last` may leave. */
  async judge(last: LogEntry): Promise<void> {
    if (this.#acknowledged === null) return;
    const { every = 1 } = this.#options;
    if (isFlush(last) || (last.flags & Flag.mark) !== 0) await this.#judgeState('drop');
    else {
      this.#between += 1;
      if (this.#between % every === 0) await this.#judgeState('tear');
    }
  }

  async #judgeState(mode: 'drop' | 'tear'): Promise<void> {
    const { verdict } = this;
    const { judge, issued, seed, twice = 4 } = this.#options;
    const acked = this.#acknowledged!;
    const [state] = this.#replay.crash(mode, this.#random);
    verdict.states += 1;
    const again = verdict.states % twice === 0;
    if (again) verdict.reopened += 1;
    const wrong = await judge(state!, { issued, acked }, again);
    if (wrong !== null) {
      verdict.violations.push(`seed ${seed}, entry ${verdict.entries}, ${mode}: ${wrong}`);
    }
  }
}
