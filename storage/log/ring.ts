/**
 * The segments written last, whole in memory: the open one is filled here, groups are written to
 * disk from here, and reads of recent blocks are answered from here. A buffer takes a new segment
 * when all its groups are on disk, the oldest first.
 *
 * No block is here and in the cache: reads are answered here first, and what was not read from disk
 * is not cached. When a segment leaves, its blocks that were asked for meanwhile go to the cache.
 */
import assert from 'node:assert/strict';
import { limits } from '../base/limits.ts';
import { wordsOf } from './frame.ts';
import { segmentOf, slotOf } from './segments.ts';

export class SegmentBuffer {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(limits.segmentBytes).fill(0);
  readonly words: Uint32Array = wordsOf(this.bytes);
  /** Block by block, so that a checksum needs no new view. */
  readonly blocks: readonly Buffer[] = Array.from({ length: limits.blocksPerSegment }, (_, slot) =>
    this.bytes.subarray(slot * limits.blockBytes, (slot + 1) * limits.blockBytes),
  );
  /** 0: none. */
  segment = 0;
  /** Groups in it that are not known to be on disk, and 1 while it is being filled. */
  busy = 0;
  /** How often each block was asked for, up to 3. */
  readonly asked = new Uint8Array(limits.blocksPerSegment);
}

/** Takes over the block `from[at…]` of a segment that leaves, which was asked for `count` times. */
export type Heir = (address: number, from: Uint8Array, at: number, count: number) => void;

export class Ring {
  readonly #max: number;
  readonly #buffers: SegmentBuffer[] = [];
  /** In the order in which they were opened. */
  #order: SegmentBuffer[] = [];
  /** Segment → buffer number + 1; 0: not in memory. */
  #index: Uint16Array;
  readonly #heir: Heir;
  #idle = 0;
  /** Several reads of one block in a row, sector by sector, are one. */
  #last = 0;
  /** Called when all of a segment that ever will be is on disk. */
  ended: (segment: number) => void = () => {};

  constructor(segments: number, recentBytes: number, heir: Heir = () => {}) {
    this.#heir = heir;
    const wanted = Math.floor(recentBytes / limits.segmentBytes);
    this.#max = Math.min(Math.max(wanted, limits.recentSegmentsMin), 65_535);
    this.#index = new Uint16Array(segments + 1);
  }

  /** Segments that can be opened now. */
  get available(): number {
    return this.#max - this.#buffers.length + this.#idle;
  }

  open(segment: number): SegmentBuffer {
    const buffer = this.#vacant();
    if (buffer.segment !== 0) {
      this.#index[buffer.segment] = 0;
      this.#bequeath(buffer);
    }
    buffer.asked.fill(0);
    if (segment >= this.#index.length) this.#grow(segment);
    buffer.segment = segment;
    buffer.busy = 1;
    this.#index[segment] = this.#buffers.indexOf(buffer) + 1;
    this.#order.push(buffer);
    return buffer;
  }

  #bequeath({ segment, bytes, asked }: SegmentBuffer): void {
    for (let slot = 0; slot < asked.length; slot += 1) {
      const count = asked[slot]!;
      if (count === 0) continue;
      const address = segment * limits.blocksPerSegment + slot;
      this.#heir(address, bytes, slot * limits.blockBytes, count);
    }
  }

  /** The store has more segments than it had. */
  #grow(segment: number): void {
    const index = new Uint16Array(segment * 2);
    index.set(this.#index);
    this.#index = index;
  }

  #vacant(): SegmentBuffer {
    if (this.#buffers.length < this.#max) {
      const buffer = new SegmentBuffer();
      this.#buffers.push(buffer);
      return buffer;
    }
    const at = this.#order.findIndex((buffer) => buffer.busy === 0);
    assert(at >= 0, 'a segment is opened only when a buffer is available');
    const [buffer] = this.#order.splice(at, 1);
    this.#idle -= 1;
    return buffer!;
  }

  /** One group less is under way in `buffer`, or its filling has ended. */
  settle(buffer: SegmentBuffer): void {
    assert(buffer.busy > 0);
    buffer.busy -= 1;
    if (buffer.busy > 0) return;
    this.#idle += 1;
    this.ended(buffer.segment);
  }

  holds(segment: number): SegmentBuffer | null {
    const at = this.#index[segment] ?? 0;
    return at === 0 ? null : this.#buffers[at - 1]!;
  }

  /** Copy the block at `address`, if it is here. */
  copy(address: number, into: Uint8Array, at: number): boolean {
    const number = this.#index[segmentOf(address)] ?? 0;
    if (number === 0) return false;
    const slot = slotOf(address);
    const from = slot * limits.blockBytes;
    const { bytes, asked } = this.#buffers[number - 1]!;
    bytes.copy(into, at, from, from + limits.blockBytes);
    if (address !== this.#last && asked[slot]! < 3) asked[slot]! += 1;
    this.#last = address;
    return true;
  }

  /** The segment's content is forgotten. */
  forget(segment: number): void {
    const buffer = this.holds(segment);
    if (buffer === null) return;
    this.#index[segment] = 0;
    buffer.segment = 0;
  }
}
