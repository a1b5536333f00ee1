/**
 * Blocks read from disk and verified, by log address. An address means one content until its segment
 * is reused, so nothing here is ever updated, only forgotten.
 *
 * Replaced by S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache
 * eviction, SOSP 2023), which one pass over something larger than the cache does not wash out:
 *
 *   newcomer ──▶ small, a tenth ──(asked for again, twice)──▶ main, the rest ──▶ out
 *                     └──(not)──▶ ghosts: addresses only ──(comes back)──▶ main
 *
 * The end of main goes round again while it is asked for, one count less each time. Ghosts are kept
 * as the paper proposes, in buckets with the time at which they went, so that they need no queue.
 *
 * The index is open addressing with linear probing, the queues are links between slots, all in typed
 * arrays: no object per block.
 */
import assert from 'node:assert/strict';
import { limits } from '../base/limits.ts';
import { Ghosts } from './ghosts.ts';

const blocksPerSlab = limits.cacheSlabBytes / limits.blockBytes;
/** Two bits, as in the paper. */
const countMax = 3;
/** Asked for so often in small, a block goes on to main. */
const countToStay = 2;

/** The ends of a queue of slots; slots are counted from 1, 0 is none. */
interface Queue {
  newest: number;
  oldest: number;
  length: number;
}

export class BlockCache {
  readonly #slotsMax: number;
  readonly #smallMax: number;
  readonly #slabs: Buffer[] = [];
  /** By slot; address 0: vacant. */
  readonly #address: Uint32Array;
  readonly #count: Uint8Array;
  readonly #inMain: Uint8Array;
  readonly #newer: Uint32Array;
  readonly #older: Uint32Array;
  readonly #small: Queue = { newest: 0, oldest: 0, length: 0 };
  readonly #main: Queue = { newest: 0, oldest: 0, length: 0 };
  readonly #ghosts: Ghosts;
  /** Vacant slots, linked by `older`. */
  #vacant = 0;
  /** Slots that were ever used. */
  #slots = 0;
  /** Hash place → slot; 0: vacant. */
  readonly #places: Uint32Array;
  readonly #mask: number;
  readonly #shift: number;
  /** Several reads of one block in a row, sector by sector, are one. */
  #last = 0;
  hits = 0;
  misses = 0;

  constructor(budgetBytes: number) {
    const slabs = Math.floor(budgetBytes / limits.cacheSlabBytes);
    this.#slotsMax = slabs * blocksPerSlab;
    this.#smallMax = Math.max(1, Math.floor(this.#slotsMax / 10));
    const bits = Math.max(4, Math.ceil(Math.log2(this.#slotsMax * 2 + 1)));
    this.#address = new Uint32Array(this.#slotsMax + 1);
    this.#count = new Uint8Array(this.#slotsMax + 1);
    this.#inMain = new Uint8Array(this.#slotsMax + 1);
    this.#newer = new Uint32Array(this.#slotsMax + 1);
    this.#older = new Uint32Array(this.#slotsMax + 1);
    this.#places = new Uint32Array(2 ** bits);
    this.#mask = 2 ** bits - 1;
    this.#shift = 32 - bits;
    this.#ghosts = new Ghosts(this.#slotsMax - this.#smallMax);
  }

  /** Blocks that it holds at most. */
  get capacity(): number {
    return this.#slotsMax;
  }

  /** Bytes of memory that hold blocks; grows with use up to the budget. */
  get bytes(): number {
    return this.#slabs.length * limits.cacheSlabBytes;
  }

  has(address: number): boolean {
    return this.#find(address) !== 0;
  }

  /** Copy the block at `address`, if it is here. */
  copy(address: number, into: Uint8Array, at: number): boolean {
    const slot = this.#find(address);
    if (slot === 0) {
      this.misses += 1;
      return false;
    }
    this.hits += 1;
    if (slot !== this.#last && this.#count[slot]! < countMax) this.#count[slot]! += 1;
    this.#last = slot;
    const from = ((slot - 1) % blocksPerSlab) * limits.blockBytes;
    this.#slabOf(slot).copy(into, at, from, from + limits.blockBytes);
    return true;
  }

  /** Keep a copy of the verified block at `from[at…]`, which was asked for `count` times elsewhere. */
  insert(address: number, from: Uint8Array, at: number, count = 0): void {
    assert(address !== 0);
    if (this.#slotsMax === 0 || this.#find(address) !== 0) return;
    this.#last = 0;
    const slot = this.#take();
    const block = from.subarray(at, at + limits.blockBytes);
    this.#slabOf(slot).set(block, ((slot - 1) % blocksPerSlab) * limits.blockBytes);
    this.#address[slot] = address;
    this.#count[slot] = Math.min(count, countMax);
    let place = this.#home(address);
    while (this.#places[place] !== 0) place = (place + 1) & this.#mask;
    this.#places[place] = slot;
    if (this.#ghosts.take(address)) this.#toMain(slot);
    else push(this.#small, slot, this.#newer, this.#older);
  }

  /** The addresses from `first` on mean nothing any more. */
  forget(first: number, count: number): void {
    for (let address = first; address < first + count; address += 1) {
      const slot = this.#remove(address);
      if (slot === 0) this.#ghosts.take(address);
      else {
        this.#unlink(slot);
        this.#older[slot] = this.#vacant;
        this.#vacant = slot;
      }
    }
  }

  #slabOf(slot: number): Buffer {
    return this.#slabs[((slot - 1) / blocksPerSlab) | 0]!;
  }

  #home(address: number): number {
    return Math.imul(address, 0x9e3779b1) >>> this.#shift;
  }

  #find(address: number): number {
    let place = this.#home(address);
    for (;;) {
      const slot = this.#places[place]!;
      if (slot === 0 || this.#address[slot] === address) return slot;
      place = (place + 1) & this.#mask;
    }
  }

  /** A slot that holds nothing and stands in no queue. */
  #take(): number {
    if (this.#vacant === 0 && this.#slots === this.#slotsMax) return this.#evict();
    const slot = this.#vacant;
    if (slot !== 0) {
      this.#vacant = this.#older[slot]!;
      return slot;
    }
    if (this.#slots % blocksPerSlab === 0) {
      // Touched here once, so that no later write pays for a page fault.
      this.#slabs.push(Buffer.allocUnsafeSlow(limits.cacheSlabBytes).fill(0));
    }
    this.#slots += 1;
    return this.#slots;
  }

  #evict(): number {
    // Each step that frees nothing was paid for by a hit. What many hits saved up is bounded here, so
    // that no single miss spends all of it.
    for (let steps = 0; ; steps += 1) {
      const may = steps >= limits.cacheSteps;
      const fromSmall = this.#small.length >= this.#smallMax || this.#main.length === 0;
      const slot = fromSmall ? this.#small.oldest : this.#main.oldest;
      const count = this.#count[slot]!;
      this.#unlink(slot);
      if (!may && fromSmall && count >= countToStay) {
        this.#count[slot] = 0;
        this.#toMain(slot);
      } else if (!may && !fromSmall && count > 0) {
        this.#count[slot] = count - 1;
        this.#toMain(slot);
      } else {
        const address = this.#address[slot]!;
        this.#remove(address);
        if (fromSmall) this.#ghosts.add(address);
        return slot;
      }
    }
  }

  #toMain(slot: number): void {
    this.#inMain[slot] = 1;
    push(this.#main, slot, this.#newer, this.#older);
  }

  #unlink(slot: number): void {
    const queue = this.#inMain[slot] === 1 ? this.#main : this.#small;
    const newer = this.#newer[slot]!;
    const older = this.#older[slot]!;
    if (newer === 0) queue.newest = older;
    else this.#older[newer] = older;
    if (older === 0) queue.oldest = newer;
    else this.#newer[older] = newer;
    queue.length -= 1;
    this.#inMain[slot] = 0;
  }

  /** Take `address` out of the index; returns its slot, or 0. */
  #remove(address: number): number {
    let place = this.#home(address);
    for (;;) {
      const slot = this.#places[place]!;
      if (slot === 0) return 0;
      if (this.#address[slot] === address) break;
      place = (place + 1) & this.#mask;
    }
    const slot = this.#places[place]!;
    this.#address[slot] = 0;
    if (this.#last === slot) this.#last = 0;
    this.#close(place);
    return slot;
  }

  /** Take `gap` out of its run: move back those behind it that may stand there. */
  #close(gap: number): void {
    let place = gap;
    let hole = gap;
    for (;;) {
      this.#places[hole] = 0;
      for (;;) {
        place = (place + 1) & this.#mask;
        const slot = this.#places[place]!;
        if (slot === 0) return;
        const home = this.#home(this.#address[slot]!);
        // It may move when its home is not between the hole (excluded) and where it stands.
        if (((place - home) & this.#mask) >= ((place - hole) & this.#mask)) break;
      }
      this.#places[hole] = this.#places[place]!;
      hole = place;
    }
  }
}

function push(queue: Queue, slot: number, newer: Uint32Array, older: Uint32Array): void {
  newer[slot] = 0;
  older[slot] = queue.newest;
  if (queue.newest === 0) queue.oldest = slot;
  else newer[queue.newest] = slot;
  queue.newest = slot;
  queue.length += 1;
}
