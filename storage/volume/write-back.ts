/**
 * Write-back: of disks that want it a write completes when it is in memory here, and what is
 * overwritten or unmapped within half a minute never reaches the log. A decorator of the whole store:
 * whoever reads, sees extents, trims or drops goes through it and sees the newest there is.
 *
 * What is promised:
 *
 * - After a flush, a write that asked to be durable, or an unmap has completed, all that it covers
 *   survives a crash. Of writes that completed since, any subset does: a write inside one aligned
 *   chunk of 64 KiB whole or not at all, others block by block, and of several to one block a later
 *   one never gives way to an earlier one.
 * - Room is claimed in the store when a write is accepted, for a block and its map pages whether or
 *   not it needs them. Where that fails, or memory is full, the write goes through to the store and
 *   completes when it is durable: slower, and with the store's own answer. So NO_SPACE is said to the
 *   writer, never found at a flush, and an overwrite on a full store works as ever.
 * - After a failed write of the disk nothing is acknowledged any more, and blocks that are only in
 *   memory are not shown: what cannot survive is an error, never old data.
 */

import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import {
  type Blocks,
  type BlockUsage,
  blockBytes,
  type Claims,
  type Done,
  type Extent,
  type StoreUsage,
} from '../map/blocks.ts';
import { flushed } from './intents.ts';
import { Join } from './join.ts';
import { limits } from './limits.ts';
import { Flusher } from './write-back-flusher.ts';
import { bits, type Chunk, chunkBlocks, Memory, maskOf, Space } from './write-back-memory.ts';

export interface WriteBackPorts {
  readonly store: Blocks & Claims;
  readonly clock: Clock;
  readonly log: Log;
}

/** Blocks, since open unless it says otherwise. */
export interface WriteBackStats {
  /** Accepted into memory. */
  readonly received: number;
  /** Given to the store out of memory. */
  readonly written: number;
  /** Of disks with write-back, written through. */
  readonly through: number;
  /** In memory only, now. */
  readonly dirty: number;
}

export class WriteBack implements Blocks {
  readonly #store: Blocks & Claims;
  readonly #memory: Memory;
  readonly #flusher: Flusher;
  /** Those with write-back on or with something in memory. */
  readonly #spaces = new Map<number, Space>();
  #heldBytes = 0;
  #suspended = false;
  #received = 0;
  #through = 0;

  constructor(ports: WriteBackPorts, budgetBytes: number = limits.writeBackBytes) {
    const { store, clock, log } = ports;
    this.#store = store;
    this.#memory = new Memory(budgetBytes);
    const emptied = (chunk: Chunk): void => {
      const space = this.#spaces.get(chunk.ref);
      if (space?.chunks.get(chunk.number) !== chunk) return;
      space.chunks.delete(chunk.number);
      this.#tidy(space);
    };
    this.#flusher = new Flusher({ store, memory: this.#memory, clock, log, emptied });
  }

  /** Whether writes to the space may complete in memory. Off: all of it is durable when it resolves. */
  async setWriteBack(ref: number, on: boolean): Promise<void> {
    const space = this.#spaces.get(ref) ?? new Space(ref);
    this.#spaces.set(ref, space);
    space.on = on;
    if (on) return;
    await this.settle([ref]);
    this.#tidy(space);
  }

  /** The power is failing: everything is written through until `resume`. Resolves when all is durable. */
  async suspend(): Promise<void> {
    this.#suspended = true;
    await this.settle([...this.#spaces.keys()]);
  }

  resume(): void {
    this.#suspended = false;
  }

  get suspended(): boolean {
    return this.#suspended;
  }

  /** The disk has failed, as somebody else has found. */
  fail(error: StorageError): void {
    this.#flusher.fail(error);
  }

  /** All that was accepted for the spaces is durable when it resolves. */
  async settle(refs: readonly number[]): Promise<void> {
    await Promise.all(refs.map((ref) => flushed(this, ref)));
  }

  /**
   * Run `work` at a point where the store holds all that was accepted for the spaces and nothing is
   * accepted for them: a cut. Changes wait meanwhile; most is flushed before they have to.
   */
  async during<T>(refs: readonly number[], work: () => Promise<T>): Promise<T> {
    await this.settle(refs);
    const spaces = refs.map((ref) => this.#spaces.get(ref)).filter((space) => space !== undefined);
    const closed = spaces.filter((space) => space.gate === null);
    if (closed.length < spaces.length) throw new StorageError('BUSY', 'another cut is being made');
    for (const space of closed) space.gate = [];
    try {
      await this.settle(refs);
      return await work();
    } finally {
      for (const space of closed) {
        const waiting = space.gate ?? [];
        space.gate = null;
        for (const run of waiting) run();
      }
    }
  }

  stats(): WriteBackStats {
    const { written, dirtyBlocks } = this.#flusher;
    return {
      received: this.#received,
      written,
      through: this.#through,
      dirty: dirtyBlocks,
    };
  }

  write(ref: number, block: number, data: Uint8Array, done: Done, durable = false): void {
    const space = this.#spaces.get(ref);
    if (space === undefined) this.#store.write(ref, block, data, done);
    else if (space.gate !== null) {
      const copy = new Uint8Array(data);
      this.#hold(space, copy.length, done, () => this.write(ref, block, copy, done, durable));
    } else this.#write(space, block, data, done, durable);
  }

  #write(space: Space, block: number, data: Uint8Array, done: Done, durable: boolean): void {
    const { failure } = this.#flusher;
    if (failure !== null) {
      done.complete(failure);
      return;
    }
    const count = data.length / blockBytes;
    const { ref } = space;
    if (!this.#accept(space, block, data)) {
      this.#through += space.on ? count : 0;
      const join = this.#replace(space, block, count, done);
      this.#store.write(ref, block, data, join);
      this.#flusher.pump();
      return;
    }
    if (!durable) {
      this.#flusher.poke();
      done.complete(null);
      return;
    }
    const join = new Join(done);
    for (const [chunk] of space.touched(block, count)) this.#flusher.hurry(chunk, join);
    this.#flusher.pump();
    join.complete(null);
  }

  /** Take the write into memory; false: it must go through. */
  #accept(space: Space, block: number, data: Uint8Array): boolean {
    if (!space.on || this.#suspended || this.#flusher.refused) return false;
    const count = data.length / blockBytes;
    const first = Math.floor(block / chunkBlocks);
    const last = Math.floor((block + count - 1) / chunkBlocks);
    let [slots, claims, pages] = [0, 0, 0];
    for (let number = first; number <= last; number += 1) {
      const chunk = space.chunks.get(number);
      const mask = maskOf(number, block, count);
      slots += bits(mask & ~(chunk?.held ?? 0));
      claims += bits(mask & ~(chunk?.claims ?? 0));
      if (chunk === undefined || chunk.pages === 0) pages += limits.writeBackChunkPages;
    }
    if (slots > this.#memory.free || !this.#store.claim(claims, pages)) return false;
    for (let number = first; number <= last; number += 1) {
      const chunk = space.chunk(number);
      const mask = maskOf(number, block, count);
      if (chunk.pages === 0) chunk.pages = limits.writeBackChunkPages;
      chunk.claims |= mask;
      this.#fill(chunk, mask, data, (chunk.first - block) * blockBytes);
      this.#flusher.soiled(chunk, mask);
    }
    this.#received += count;
    return true;
  }

  /** `origin`: where block 0 of the chunk would stand in `data`. */
  #fill(chunk: Chunk, mask: number, data: Uint8Array, origin: number): void {
    for (let bit = 0; mask >> bit !== 0; bit += 1) {
      if (!(mask & (1 << bit))) continue;
      if (chunk.slots[bit] === 0) chunk.slots[bit] = this.#memory.take();
      this.#memory.set(chunk.slots[bit]!, data, origin + bit * blockBytes);
    }
    chunk.held |= mask;
  }

  /** What is in memory of the range gives way to what the caller gives to the store next. */
  #replace(space: Space, block: number, count: number, done: Done): Done {
    const parts: Done[] = [];
    for (const [chunk, mask] of space.touched(block, count)) {
      // What was written whole must not become durable in two parts.
      const below = chunk.dirty & ~mask & ((mask & -mask) - 1);
      if (below !== 0 && (chunk.dirty & ~mask) !== below) this.#flusher.submit(chunk);
      if ((mask & chunk.held) !== 0) parts.push(this.#flusher.giveWay(chunk, mask));
    }
    if (parts.length === 0) return done;
    return {
      complete: (error) => {
        for (const part of parts) part.complete(error);
        done.complete(error);
      },
    };
  }

  unmap(ref: number, block: number, count: number, done: Done): void {
    const space = this.#spaces.get(ref);
    if (space === undefined) this.#store.unmap(ref, block, count, done);
    else if (space.gate !== null) {
      this.#hold(space, blockBytes, done, () => this.unmap(ref, block, count, done));
    } else if (this.#flusher.failure !== null) done.complete(this.#flusher.failure);
    else {
      this.#store.unmap(ref, block, count, this.#replace(space, block, count, done));
      this.#flusher.pump();
    }
  }

  #hold(space: Space, bytes: number, done: Done, run: () => void): void {
    if (this.#heldBytes + bytes > limits.heldBytes) {
      done.complete(new StorageError('BUSY', 'too many changes wait for a snapshot'));
      return;
    }
    this.#heldBytes += bytes;
    space.gate!.push(() => {
      this.#heldBytes -= bytes;
      run();
    });
  }

  flush(done: Done, ref?: number): void {
    const { failure } = this.#flusher;
    if (failure !== null) {
      done.complete(failure);
      return;
    }
    const space = ref === undefined ? undefined : this.#spaces.get(ref);
    const spaces = ref === undefined ? [...this.#spaces.values()] : space ? [space] : [];
    const join = new Join({
      complete: (error) => {
        if (error === null) this.#store.flush(done, ref);
        else done.complete(error);
      },
    });
    for (const { chunks } of spaces) {
      for (const chunk of chunks.values()) this.#flusher.hurry(chunk, join);
    }
    this.#flusher.pump();
    join.complete(null);
  }

  readNow(ref: number, block: number, count: number, into: Uint8Array, at: number): boolean {
    const space = this.#spaces.get(ref);
    if (space === undefined || space.chunks.size === 0) {
      return this.#store.readNow(ref, block, count, into, at);
    }
    for (const { from, to, here } of runs(space, block, count)) {
      const start = at + (from - block) * blockBytes;
      if (!here) {
        if (!this.#store.readNow(ref, from, to - from, into, start)) return false;
      } else {
        if (this.#flusher.failure !== null) return false;
        this.#copy(space, from, to, into, start);
      }
    }
    return true;
  }

  read(ref: number, block: number, count: number, into: Uint8Array, at: number, done: Done): void {
    const space = this.#spaces.get(ref);
    if (space === undefined || space.chunks.size === 0) {
      this.#store.read(ref, block, count, into, at, done);
      return;
    }
    const join = new Join(done);
    for (const { from, to, here } of runs(space, block, count)) {
      const start = at + (from - block) * blockBytes;
      if (!here) this.#store.read(ref, from, to - from, into, start, join.add());
      else if (this.#flusher.failure !== null) join.add().complete(this.#flusher.failure);
      else this.#copy(space, from, to, into, start);
    }
    join.complete(null);
  }

  #copy(space: Space, from: number, to: number, into: Uint8Array, at: number): void {
    for (let block = from; block < to; block += 1) {
      this.#memory.copy(space.slot(block), into, at + (block - from) * blockBytes);
    }
  }

  async extent(ref: number, block: number, count: number): Promise<Extent> {
    const here = this.#reach(ref, block, count, true);
    if (here > 0) return { mapped: true, count: here };
    return await this.#store.extent(ref, block, this.#reach(ref, block, count, false));
  }

  extentNow(ref: number, block: number, count: number): Extent | null {
    const here = this.#reach(ref, block, count, true);
    if (here > 0) return { mapped: true, count: here };
    return this.#store.extentNow(ref, block, this.#reach(ref, block, count, false));
  }

  /** For how many blocks it holds that they are in memory, or that they are not. */
  #reach(ref: number, block: number, count: number, here: boolean): number {
    const space = this.#spaces.get(ref);
    if (space === undefined || space.chunks.size === 0) return here ? 0 : count;
    if (here) {
      let reach = 0;
      while (reach < count && space.slot(block + reach) !== 0) reach += 1;
      return reach;
    }
    let near = count;
    for (const [chunk, mask] of space.touched(block, count)) {
      const held = chunk.held & mask;
      if (held !== 0) near = Math.min(near, chunk.first + Math.log2(held & -held) - block);
    }
    return near;
  }

  create(ref: number, reserved: number): Promise<void> {
    return this.#store.create(ref, reserved);
  }

  reserve(ref: number, reserved: number): Promise<void> {
    return this.#store.reserve(ref, reserved);
  }

  /** What is in memory goes with it. */
  async drop(ref: number): Promise<void> {
    await this.#store.drop(ref);
    const space = this.#spaces.get(ref);
    if (space === undefined) return;
    space.on = false;
    for (const chunk of [...space.chunks.values()]) this.#flusher.discard(chunk);
    this.#tidy(space);
  }

  #tidy(space: Space): void {
    if (!space.on && space.chunks.size === 0 && space.gate === null) this.#spaces.delete(space.ref);
  }

  refs(): readonly number[] {
    return this.#store.refs();
  }

  /** Blocks that are only in memory are not counted as mapped yet. */
  usage(ref: number): BlockUsage {
    return this.#store.usage(ref);
  }

  /** Room that was claimed counts as reserved. */
  total(): StoreUsage {
    return this.#store.total();
  }

  async close(): Promise<void> {
    this.#suspended = true;
    try {
      await this.settle([...this.#spaces.keys()]);
    } finally {
      this.#flusher.stop();
      await this.#store.close();
    }
  }
}

/** The range in pieces that are in memory as a whole, or not at all. */
function* runs(
  space: Space,
  block: number,
  count: number,
): Generator<{ from: number; to: number; here: boolean }> {
  const end = block + count;
  for (let from = block; from < end; ) {
    const here = space.slot(from) !== 0;
    let to = from + 1;
    while (to < end && (space.slot(to) !== 0) === here) to += 1;
    yield { from, to, here };
    from = to;
  }
}
