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

/** Live counts in 4 KiB of a checkpoint, 16 bits each. */
export const countsPerSheet = limits.blockBytes / 2;

/** The live counts as a checkpoint writes them, with the blocks that it writes itself. */
export class LiveCounts {
  live: Uint16Array;
  /** Sheet → whether it differs from the checkpoint before. */
  changed: Uint8Array;

  constructor(live: Uint16Array, changed: Uint8Array) {
    this.live = live;
    this.changed = changed;
  }

  /** A page of the map is written at `to` instead of `from`; 0: nowhere. */
  move(from: number, to: number): void {
    if (from !== 0) this.#add(segmentOf(from), -1);
    this.#add(segmentOf(to), 1);
  }

  #add(segment: number, delta: number): void {
    // The store has become larger since the checkpoint began.
    if (segment >= this.live.length) {
      this.live = resized(this.live, new Uint16Array(segment * 2));
      this.changed = resized(this.changed, new Uint8Array((segment * 2) / countsPerSheet + 1));
    }
    this.live[segment]! += delta;
    this.changed[(segment / countsPerSheet) | 0] = 1;
  }

  sheet(number: number): Uint8Array {
    const sheet = new Uint16Array(countsPerSheet);
    sheet.set(this.live.subarray(number * countsPerSheet, (number + 1) * countsPerSheet));
    return new Uint8Array(sheet.buffer);
  }
}

/** First in, first out, four bytes each. */
class Queue {
  #items = new Uint32Array(64);
  #first = 0;
  size = 0;

  push(item: number): void {
    if (this.size === this.#items.length) this.#grow();
    this.#items[(this.#first + this.size) % this.#items.length] = item;
    this.size += 1;
  }

  shift(): number | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#first]!;
    this.#first = (this.#first + 1) % this.#items.length;
    this.size -= 1;
    return item;
  }

  #grow(): void {
    const items = new Uint32Array(this.#items.length * 2);
    for (let at = 0; at < this.size; at += 1) {
      items[at] = this.#items[(this.#first + at) % this.#items.length]!;
    }
    this.#items = items;
    this.#first = 0;
  }
}

export class Segments {
  #count: number;
  #state: Uint8Array;
  #live: Uint16Array;
  #awaits: Uint32Array;
  #sequence: Float64Array;
  readonly #pins = new Map<number, number>();
  /** Free segments whose first write was paid for, the longest free first. */
  readonly #free = new Queue();
  /** Segments above this number are free and were never written. */
  #touched = 0;
  /** Sheets of the live counts that have changed since the last checkpoint began. */
  #changed: Uint8Array;
  #changedCount = 0;
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
  /** Called when a block has died. */
  hole: (address: number) => void = () => {};
  /** Called while recovering, when a segment has lost its last live block. */
  emptied: (segment: number) => void = () => {};

  /** `reused` hears of every segment that is about to be filled anew. */
  constructor(count: number, reused: (segment: number) => void) {
    this.#count = count;
    this.#state = new Uint8Array(count + 1).fill(SegmentState.full);
    this.#live = new Uint16Array(count + 1);
    this.#awaits = new Uint32Array(count + 1);
    this.#sequence = new Float64Array(count + 1);
    this.#changed = new Uint8Array(Math.ceil((count + 1) / countsPerSheet));
    this.#reused = reused;
  }

  /** Segments 1…count exist. */
  get count(): number {
    return this.#count;
  }

  /** There are so many segments from now on. False: one of those that would go was written. */
  resize(count: number): boolean {
    if (count < this.#touched) return false;
    if (count > this.#count) {
      this.#state = resized(this.#state, new Uint8Array(count + 1));
      this.#state.fill(SegmentState.free, this.#count + 1);
      this.#live = resized(this.#live, new Uint16Array(count + 1));
      this.#awaits = resized(this.#awaits, new Uint32Array(count + 1));
      this.#sequence = resized(this.#sequence, new Float64Array(count + 1));
      const sheets = Math.ceil((count + 1) / countsPerSheet);
      this.#changed = resized(this.#changed, new Uint8Array(sheets));
      for (let sheet = 0; sheet < sheets; sheet += 1) this.changeSheet(sheet);
    }
    this.#count = count;
    this.released();
    return true;
  }

  get free(): number {
    return this.#free.size + this.raw;
  }

  /** Free segments whose first write was paid for. */
  get ready(): number {
    return this.#free.size;
  }

  /** Free segments that were never written. */
  get raw(): number {
    return this.count - this.#touched;
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
    let segment = this.#free.shift();
    if (segment === undefined) {
      assert(this.raw > 0, 'a segment is taken only when one is free');
      segment = this.#touched + 1;
      this.#touched = segment;
    }
    this.#state[segment] = SegmentState.open;
    this.#reused(segment);
    return segment;
  }

  /** Neighbouring raw segments, at most `count`, that are nobody else's until `conditioned`. */
  takeRaw(count: number): number[] {
    const taken: number[] = [];
    for (let left = Math.min(count, this.raw); left > 0; left -= 1) {
      this.#touched += 1;
      this.#state[this.#touched] = SegmentState.open;
      taken.push(this.#touched);
    }
    return taken;
  }

  /** Taken raw segments are free again, and their first write is paid for. */
  conditioned(taken: readonly number[]): void {
    for (const segment of taken) {
      this.#state[segment] = SegmentState.free;
      this.#free.push(segment);
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
    this.#change(segment);
  }

  #change(segment: number): void {
    const sheet = (segment / countsPerSheet) | 0;
    if (this.#changed[sheet] === 1) return;
    this.#changed[sheet] = 1;
    this.#changedCount += 1;
  }

  /** Sheets of the live counts that the next checkpoint writes. */
  get changed(): number {
    return this.#changedCount;
  }

  /** The sheet of this number is to be written by the next checkpoint. */
  changeSheet(sheet: number): void {
    this.#change(sheet * countsPerSheet);
  }

  /** `byCheckpoint`: its successor was written by the checkpoint that is under way. */
  dies(address: number, byCheckpoint = false): void {
    const segment = segmentOf(address);
    assert(this.#live[segment]! > 0, 'a block dies once');
    this.#live[segment]! -= 1;
    this.#change(segment);
    this.hole(address);
    const awaits = byCheckpoint ? this.#begun : this.#begun + 1;
    if (awaits > this.#awaits[segment]!) this.#awaits[segment] = awaits;
    if (this.#live[segment] === 0 && this.#state[segment] !== SegmentState.open) {
      this.#died(segment, 0);
    }
  }

  #died(segment: number, awaits: number): void {
    if (this.#loading) {
      this.emptied(segment);
      return;
    }
    if (awaits > this.#awaits[segment]!) this.#awaits[segment] = awaits;
    this.#dead.add(segment);
  }

  /** A checkpoint begins: the live counts as they are now, without those blocks of its own. */
  beginCheckpoint(own: Iterable<number>): LiveCounts {
    this.#begun += 1;
    const counts = new LiveCounts(this.#live.slice(), this.#changed);
    for (const address of own) counts.live[segmentOf(address)]! -= 1;
    this.#changed = new Uint8Array(this.#changed.length);
    this.#changedCount = 0;
    return counts;
  }

  /** At open: live counts of the checkpoint, from the first segment of a sheet on. */
  load(sheet: number, counts: Uint16Array): boolean {
    const first = sheet * countsPerSheet;
    for (const [index, live] of counts.entries()) {
      if (live === 0) continue;
      const segment = first + index;
      if (segment < 1 || segment > this.count || live >= limits.blocksPerSegment) return false;
      this.#live[segment] = live;
    }
    return true;
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
    this.#free.push(segment);
    this.released();
  }

  /**
   * At open: whatever nothing names is free; `named` segments wait for a checkpoint. Those above
   * `touched` were never written when the newest superblock was.
   */
  settleAtOpen(named: ReadonlySet<number>, touched: number): void {
    this.#loading = false;
    this.#touched = touched;
    for (const segment of named) this.#touched = Math.max(this.#touched, segment);
    for (let segment = 1; segment <= this.count; segment += 1) {
      if (this.#live[segment] !== 0) this.#touched = Math.max(this.#touched, segment);
      else if (named.has(segment)) this.#died(segment, this.#begun + 1);
      else this.#state[segment] = SegmentState.free;
    }
    for (let segment = 1; segment <= this.#touched; segment += 1) {
      if (this.#state[segment] === SegmentState.free) this.#free.push(segment);
    }
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
