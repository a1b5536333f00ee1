/**
 * What is known of each segment: its state and how many live blocks it holds.
 *
 * A segment is reused only when the newest durable checkpoint and the log behind it cannot name it
 * any more: after a checkpoint has completed that was begun after its last live block died.
 * `awaits` is the number of that checkpoint. A block that dies *because* a checkpoint wrote its
 * successor (a map page, the roots before) awaits that same checkpoint.
 */
import assert from 'node:assert/strict';
import { limits } from '../base/limits.ts';

export const SegmentState = {
  free: 1,
  /** Being filled, or reserved to be filled next. */
  open: 2,
  full: 3,
  /** The cleaner took what it could; the rest goes with the next checkpoint. */
  cleaned: 4,
  /** Holds a live block that cannot be read: left alone. */
  damaged: 5,
} as const;
export type SegmentState = (typeof SegmentState)[keyof typeof SegmentState];

/** log2 of the blocks in a segment: segment of an address. */
const shift = Math.log2(limits.blocksPerSegment);
assert(Number.isInteger(shift));

export const segmentOf = (address: number): number => address >>> shift;
export const slotOf = (address: number): number => address & (limits.blocksPerSegment - 1);

export class Segments {
  #count: number;
  #state: Uint8Array;
  #live: Uint16Array;
  #awaits: Uint32Array;
  #sequence: Float64Array;
  readonly #pins = new Map<number, number>();
  /** Free segments, the longest free first. */
  readonly #free = new Set<number>();
  /** Free segments that were never written, in ascending order. */
  readonly #raw = new Set<number>();
  #touched = 0;
  /** No live block, not free yet. */
  readonly #dead = new Set<number>();
  readonly #reused: (segment: number) => void;
  readonly #cleaned: number[] = [];
  /** Recovery replays in the order of the log: a count of zero means nothing before its end. */
  #loading = true;
  #begun = 0;
  #completed = 0;
  #damaged = 0;

  /** Called when a segment has become free. */
  released: () => void = () => {};

  /** `reused` hears of every segment that is about to be filled anew. */
  constructor(count: number, reused: (segment: number) => void) {
    this.#count = count;
    this.#state = new Uint8Array(count + 1).fill(SegmentState.full);
    this.#live = new Uint16Array(count + 1);
    this.#awaits = new Uint32Array(count + 1);
    this.#sequence = new Float64Array(count + 1);
    this.#reused = reused;
  }

  /** Segments 1…count exist. */
  get count(): number {
    return this.#count;
  }

  /** There are so many segments from now on. False: one of those that would go was written. */
  resize(count: number): boolean {
    for (let segment = count + 1; segment <= this.#count; segment += 1) {
      if (!this.#raw.has(segment)) return false;
    }
    for (let segment = count + 1; segment <= this.#count; segment += 1) this.#raw.delete(segment);
    if (count > this.#count) {
      this.#state = resized(this.#state, new Uint8Array(count + 1));
      this.#live = resized(this.#live, new Uint16Array(count + 1));
      this.#awaits = resized(this.#awaits, new Uint32Array(count + 1));
      this.#sequence = resized(this.#sequence, new Float64Array(count + 1));
      for (let segment = this.#count + 1; segment <= count; segment += 1) {
        this.#neverWritten(segment);
      }
    }
    this.#count = count;
    this.released();
    return true;
  }

  get free(): number {
    return this.#free.size + this.#raw.size;
  }

  /** Free segments whose first write was paid for. */
  get ready(): number {
    return this.#free.size;
  }

  /** Free segments that were never written. */
  get raw(): number {
    return this.#raw.size;
  }

  /** Segments above this number were never written. */
  get touched(): number {
    return this.#touched;
  }

  /** Segments that the next checkpoint likely makes free: dead, or cleaned but for map pages. */
  get coming(): number {
    let coming = this.#dead.size;
    for (const segment of this.#cleaned) if (this.#live[segment] !== 0) coming += 1;
    return coming;
  }

  get damaged(): number {
    return this.#damaged;
  }

  state(segment: number): number {
    return this.#state[segment]!;
  }

  live(segment: number): number {
    return this.#live[segment]!;
  }

  /** Rises with time; 0: from before this open. */
  sequence(segment: number): number {
    return this.#sequence[segment]!;
  }

  /** Whether an address read from disk can be one at all. */
  contains(address: number): boolean {
    const segment = segmentOf(address);
    return segment >= 1 && segment <= this.count && slotOf(address) !== 0;
  }

  /** A free segment, reserved from now on. The caller has looked that there is one. */
  take(): number {
    const from = this.#free.size > 0 ? this.#free : this.#raw;
    for (const segment of from) {
      from.delete(segment);
      this.#state[segment] = SegmentState.open;
      this.#touched = Math.max(this.#touched, segment);
      this.#reused(segment);
      return segment;
    }
    assert.fail('a segment is taken only when one is free');
  }

  /** Neighbouring raw segments, at most `count`, that are nobody else's until `conditioned`. */
  takeRaw(count: number): number[] {
    const taken: number[] = [];
    for (const segment of this.#raw) {
      if (taken.length === count || (taken.length > 0 && taken.at(-1)! + 1 !== segment)) break;
      taken.push(segment);
    }
    for (const segment of taken) {
      this.#raw.delete(segment);
      this.#state[segment] = SegmentState.open;
    }
    return taken;
  }

  /** Taken raw segments are free again, and their first write is paid for. */
  conditioned(taken: readonly number[]): void {
    for (const segment of taken) {
      this.#state[segment] = SegmentState.free;
      this.#free.add(segment);
      this.#touched = Math.max(this.#touched, segment);
    }
    this.released();
  }

  /** A reserved segment begins to be filled. */
  opened(segment: number, sequence: number): void {
    assert(this.#state[segment] === SegmentState.open);
    this.#sequence[segment] = sequence;
  }

  /** Nothing is added any more. */
  filled(segment: number): void {
    assert(this.#state[segment] === SegmentState.open);
    this.#state[segment] = SegmentState.full;
    if (this.#live[segment] === 0) this.#died(segment, this.#begun + 1);
  }

  cleaned(segment: number): void {
    if (this.#state[segment] !== SegmentState.full) return;
    this.#state[segment] = SegmentState.cleaned;
    this.#cleaned.push(segment);
  }

  spoiled(segment: number): void {
    if (this.#state[segment] !== SegmentState.full) return;
    this.#state[segment] = SegmentState.damaged;
    this.#damaged += 1;
  }

  born(address: number): void {
    const segment = segmentOf(address);
    const live = this.#live[segment]! + 1;
    assert(live < limits.blocksPerSegment, 'a segment has no more blocks than that');
    this.#live[segment] = live;
  }

  /** `byCheckpoint`: its successor was written by the checkpoint that is under way. */
  dies(address: number, byCheckpoint = false): void {
    const segment = segmentOf(address);
    assert(this.#live[segment]! > 0, 'a block dies once');
    this.#live[segment]! -= 1;
    const awaits = byCheckpoint ? this.#begun : this.#begun + 1;
    if (awaits > this.#awaits[segment]!) this.#awaits[segment] = awaits;
    if (this.#live[segment] === 0 && this.#state[segment] !== SegmentState.open) {
      this.#died(segment, 0);
    }
  }

  #died(segment: number, awaits: number): void {
    if (this.#loading) return;
    if (awaits > this.#awaits[segment]!) this.#awaits[segment] = awaits;
    this.#dead.add(segment);
  }

  beginCheckpoint(): void {
    this.#begun += 1;
  }

  /** The checkpoint begun last is durable. */
  completeCheckpoint(): void {
    this.#completed = this.#begun;
    for (const segment of this.#dead) {
      if (this.#mayGo(segment)) this.#release(segment);
    }
    for (const segment of this.#cleaned) {
      if (this.#state[segment] === SegmentState.cleaned) this.#state[segment] = SegmentState.full;
    }
    this.#cleaned.length = 0;
  }

  #mayGo(segment: number): boolean {
    return this.#awaits[segment]! <= this.#completed && !this.#pins.has(segment);
  }

  #release(segment: number): void {
    assert(this.#live[segment] === 0 && this.#state[segment] !== SegmentState.open);
    if (this.#state[segment] === SegmentState.damaged) this.#damaged -= 1;
    this.#dead.delete(segment);
    this.#state[segment] = SegmentState.free;
    this.#awaits[segment] = 0;
    this.#free.add(segment);
    this.released();
  }

  /**
   * At open: whatever nothing names is free; `named` segments wait for a checkpoint. Those above
   * `touched` were never written when the newest superblock was.
   */
  settleAtOpen(named: ReadonlySet<number>, touched: number): void {
    this.#loading = false;
    this.#touched = touched;
    for (let segment = 1; segment <= this.count; segment += 1) {
      const written = this.#live[segment] !== 0 || named.has(segment);
      if (written) this.#touched = Math.max(this.#touched, segment);
      if (this.#live[segment] !== 0) continue;
      if (written) this.#died(segment, this.#begun + 1);
      else if (segment > touched) this.#neverWritten(segment);
      else this.#release(segment);
    }
  }

  #neverWritten(segment: number): void {
    this.#state[segment] = SegmentState.free;
    this.#raw.add(segment);
  }

  /** While held (by a read that is under way), a segment does not become free. */
  hold(segment: number): void {
    this.#pins.set(segment, (this.#pins.get(segment) ?? 0) + 1);
  }

  letGo(segment: number): void {
    const pins = this.#pins.get(segment);
    assert(pins !== undefined);
    if (pins > 1) {
      this.#pins.set(segment, pins - 1);
      return;
    }
    this.#pins.delete(segment);
    if (this.#dead.has(segment) && this.#mayGo(segment)) this.#release(segment);
  }
}

/** `into` with the content of `from` at its front; a part of it when `into` is shorter. */
function resized<T extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(
  from: T,
  into: T,
): T {
  into.set(from.subarray(0, into.length));
  return into;
}
