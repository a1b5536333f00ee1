/**
 * A trace of writes of which seven in ten blocks die young, from a seed: overwritten in place or unmapped
 * within half a minute, as most of what file systems write is (Baker et al., Measurements of a
 * Distributed File System, SOSP 1991). The rest stays.
 */
import { SeededRandom } from '../kit/random.ts';

export interface TraceEvent {
  readonly atMs: number;
  readonly kind: 'write' | 'unmap';
  readonly block: number;
  readonly count: number;
}

export interface TraceOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Blocks written in a second. */
  readonly rate: number;
  /** Blocks of the disk. */
  readonly span: number;
}

/** Of blocks that die young, the longest and the mean of their lives. */
const youngMs = { most: 29_000, mean: 8_000 } as const;
/** A little more than seven in ten, because what is written last has no time to die. */
const youngShare = 0.722;
const overwriteShare = 0.6;
const runMax = 8;

interface Death {
  readonly atMs: number;
  readonly block: number;
  readonly count: number;
}

/** Events in the order of their times. */
export function makeTrace({ seed, seconds, rate, span }: TraceOptions): TraceEvent[] {
  const random = new SeededRandom(seed);
  const events: TraceEvent[] = [];
  let deaths: Death[] = [];
  const free = Array.from({ length: Math.floor(span / runMax) }, (_, slot) => slot * runMax);
  let written = 0;

  const write = (atMs: number, block: number, count: number): void => {
    events.push({ atMs, kind: 'write', block, count });
    written += count;
    if (!random.chance(youngShare)) return;
    const unit = (random.below(2 ** 24) + 1) / 2 ** 24;
    const life = Math.min(youngMs.most, -Math.log(unit) * youngMs.mean);
    deaths.push({ atMs: atMs + life, block, count });
  };

  for (let now = 0; now < seconds * 1000; now += 10) {
    const due = deaths.filter(({ atMs }) => atMs <= now).sort((a, b) => a.atMs - b.atMs);
    deaths = deaths.filter(({ atMs }) => atMs > now);
    for (const { block, count } of due) {
      if (random.chance(overwriteShare)) {
        write(now, block, count);
        continue;
      }
      events.push({ atMs: now, kind: 'unmap', block, count });
      free.push(block);
    }
    while (written < (now / 1000) * rate) {
      const at = random.below(free.length);
      const place = free[at];
      const last = free.pop();
      if (place === undefined || last === undefined) {
        throw new RangeError('the disk is full: a shorter trace or a larger one');
      }
      if (at < free.length) free[at] = last;
      write(now, place, random.between(1, runMax));
    }
  }
  return events;
}

/** Share of the blocks written that are overwritten or unmapped within half a minute. */
export function youngDeaths(trace: readonly TraceEvent[]): number {
  const born = new Map<number, number>();
  let [written, young] = [0, 0];
  for (const { atMs, kind, block, count } of trace) {
    for (let at = block; at < block + count; at += 1) {
      const since = born.get(at);
      if (since !== undefined && atMs - since <= 30_000) young += 1;
      born.delete(at);
      if (kind === 'unmap') continue;
      born.set(at, atMs);
      written += 1;
    }
  }
  return young / written;
}
