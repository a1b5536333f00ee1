/**
 * Blocks read from disk and verified, by log address, replaced by CLOCK. An address means one
 * content until its segment is reused, so nothing here is ever updated, only forgotten.
 *
 * The index is open addressing with linear probing in typed arrays: no object per block.
 */
import assert from 'node:assert/strict';
import { limits } from '../base/limits.ts';

const blocksPerSlab = limits.cacheSlabBytes / limits.blockBytes;

export class BlockCache {
  readonly #slotsMax: number;
  readonly #slabs: Buffer[] = [];
  /** Slot → address; 0: vacant. */
  readonly #address: Uint32Array;
  readonly #used: Uint8Array;
  /** Hash place → slot + 1; 0: vacant. */
  readonly #places: Uint32Array;
  readonly #mask: number;
  readonly #shift: number;
  #slots = 0;
  #hand = 0;
  hits = 0;
  misses = 0;

  constructor(budgetBytes: number) {
    const slabs = Math.floor(budgetBytes / limits.cacheSlabBytes);
    this.#slotsMax = slabs * blocksPerSlab;
    const bits = Math.max(4, Math.ceil(Math.log2(this.#slotsMax * 2 + 1)));
    this.#address = new Uint32Array(this.#slotsMax);
    this.#used = new Uint8Array(this.#slotsMax);
    this.#places = new Uint32Array(2 ** bits);
    this.#mask = 2 ** bits - 1;
    this.#shift = 32 - bits;
  }

  /** Copy the block at `address`, if it is here. */
  copy(address: number, into: Uint8Array, at: number): boolean {
    const slot = this.#find(address);
    if (slot < 0) {
      this.misses += 1;
      return false;
    }
    this.hits += 1;
    this.#used[slot] = 1;
    const from = (slot % blocksPerSlab) * limits.blockBytes;
    this.#slabs[(slot / blocksPerSlab) | 0]!.copy(into, at, from, from + limits.blockBytes);
    return true;
  }

  /** Keep a copy of the verified block at `from[at…]`. */
  insert(address: number, from: Uint8Array, at: number): void {
    assert(address !== 0);
    if (this.#slotsMax === 0 || this.#find(address) >= 0) return;
    const slot = this.#vacate();
    const slab = this.#slabs[(slot / blocksPerSlab) | 0]!;
    const block = from.subarray(at, at + limits.blockBytes);
    slab.set(block, (slot % blocksPerSlab) * limits.blockBytes);
    this.#address[slot] = address;
    this.#used[slot] = 0;
    let place = this.#home(address);
    while (this.#places[place] !== 0) place = (place + 1) & this.#mask;
    this.#places[place] = slot + 1;
  }

  /** The addresses from `first` on mean nothing any more. */
  forget(first: number, count: number): void {
    for (let address = first; address < first + count; address += 1) this.#remove(address);
  }

  #home(address: number): number {
    return Math.imul(address, 0x9e3779b1) >>> this.#shift;
  }

  #find(address: number): number {
    let place = this.#home(address);
    for (;;) {
      const slot = this.#places[place]!;
      if (slot === 0) return -1;
      if (this.#address[slot - 1] === address) return slot - 1;
      place = (place + 1) & this.#mask;
    }
  }

  /** A slot that holds nothing: a new one while the budget lasts, then by CLOCK. */
  #vacate(): number {
    if (this.#slots < this.#slotsMax) {
      if (this.#slots % blocksPerSlab === 0) {
        // Touched here once, so that no later write pays for a page fault.
        this.#slabs.push(Buffer.allocUnsafeSlow(limits.cacheSlabBytes).fill(0));
      }
      this.#slots += 1;
      return this.#slots - 1;
    }
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#slots;
      if (this.#used[slot] === 1) {
        this.#used[slot] = 0;
        continue;
      }
      if (this.#address[slot] !== 0) this.#remove(this.#address[slot]!);
      return slot;
    }
  }

  #remove(address: number): void {
    let place = this.#home(address);
    for (;;) {
      const slot = this.#places[place]!;
      if (slot === 0) return;
      if (this.#address[slot - 1] === address) break;
      place = (place + 1) & this.#mask;
    }
    const slot = this.#places[place]! - 1;
    this.#address[slot] = 0;
    this.#used[slot] = 0;
    this.#close(place);
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
        const home = this.#home(this.#address[slot - 1]!);
        // It may move when its home is not between the hole (excluded) and where it stands.
        if (((place - home) & this.#mask) >= ((place - hole) & this.#mask)) break;
      }
      this.#places[hole] = this.#places[place]!;
      hole = place;
    }
  }
}
