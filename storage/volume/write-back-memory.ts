/**
 * Memory of blocks that were acknowledged and are not in the log yet: slots of a block each, in slabs
 * that are made as they are needed, and for each chunk of 64 KiB which of its blocks are here.
 *
 *   dirty    newer than anything given to the store
 *   flying   given to the store (written, or replaced by what was), outcome not known yet
 *   version  rises with each write, so that an outcome is told from that of an older content
 */
import assert from 'node:assert/strict';
import { blockBytes } from '../map/blocks.ts';
import type { Join } from './join.ts';
import { limits } from './limits.ts';

export const chunkBlocks = limits.atomicBytes / blockBytes;
const slotsPerSlab = limits.writeBackSlabBytes / blockBytes;

/** Slots are counted from 1; 0 is none. */
export class Memory {
  readonly slots: number;
  readonly version: Uint32Array;
  readonly flying: Uint16Array;
  readonly #slabs: Buffer[] = [];
  readonly #vacant: number[] = [];
  #used = 0;

  constructor(budgetBytes: number) {
    this.slots = Math.floor(budgetBytes / limits.writeBackSlabBytes) * slotsPerSlab;
    this.version = new Uint32Array(this.slots + 1);
    this.flying = new Uint16Array(this.slots + 1);
  }

  get free(): number {
    return this.slots - this.#used + this.#vacant.length;
  }

  take(): number {
    const vacant = this.#vacant.pop();
    if (vacant !== undefined) return vacant;
    assert(this.#used < this.slots, 'a slot is taken only when one is free');
    if (this.#used % slotsPerSlab === 0) {
      this.#slabs.push(Buffer.allocUnsafeSlow(limits.writeBackSlabBytes).fill(0));
    }
    this.#used += 1;
    return this.#used;
  }

  give(slot: number): void {
    assert(this.flying[slot] === 0);
    this.#vacant.push(slot);
  }

  set(slot: number, from: Uint8Array, at: number): void {
    const to = ((slot - 1) % slotsPerSlab) * blockBytes;
    this.#slabOf(slot).set(from.subarray(at, at + blockBytes), to);
    this.version[slot]! += 1;
  }

  copy(slot: number, into: Uint8Array, at: number): void {
    const from = ((slot - 1) % slotsPerSlab) * blockBytes;
    this.#slabOf(slot).copy(into, at, from, from + blockBytes);
  }

  #slabOf(slot: number): Buffer {
    return this.#slabs[((slot - 1) / slotsPerSlab) | 0]!;
  }
}

/** Blocks of one chunk; bit n of a mask is block n of it. */
export class Chunk {
  readonly ref: number;
  readonly number: number;
  readonly slots: number[] = new Array<number>(chunkBlocks).fill(0);
  /** Blocks that have a slot. */
  held = 0;
  dirty = 0;
  /** Those for which room was claimed, and map pages that were claimed for the chunk. */
  claims = 0;
  pages = 0;
  /** When the oldest of what is dirty was written. */
  since = 0;
  /** Told what becomes of what is dirty now. */
  wanted: Join[] = [];
  /** Under way. */
  readonly passages = new Set<Passage>();

  constructor(ref: number, number: number) {
    this.ref = ref;
    this.number = number;
  }

  get first(): number {
    return this.number * chunkBlocks;
  }
}

/** Some blocks of a chunk whose content is on its way to the store, or gives way to what is. */
export interface Passage {
  readonly chunk: Chunk;
  readonly mask: number;
  /** Of each block of the mask, in order. */
  readonly slots: readonly number[];
  readonly versions: readonly number[];
  readonly claims: number;
  readonly pages: number;
  readonly told: Join[];
}

/** The dirt of one disk. */
export class Space {
  readonly ref: number;
  /** Whether new writes may stay in memory. */
  on = false;
  readonly chunks = new Map<number, Chunk>();
  /** Changes that wait while a cut is made, in order; null: none is being made. */
  gate: (() => void)[] | null = null;

  constructor(ref: number) {
    this.ref = ref;
  }

  chunk(number: number): Chunk {
    let chunk = this.chunks.get(number);
    if (chunk === undefined) {
      chunk = new Chunk(this.ref, number);
      this.chunks.set(number, chunk);
    }
    return chunk;
  }

  /** Slot of a block that is in memory; 0: it is not. */
  slot(block: number): number {
    const chunk = this.chunks.get(Math.floor(block / chunkBlocks));
    return chunk === undefined ? 0 : chunk.slots[block % chunkBlocks]!;
  }

  /** The chunks that hold something of `block`…, each with the mask of what is in the range. */
  *touched(block: number, count: number): Generator<[Chunk, number]> {
    const first = Math.floor(block / chunkBlocks);
    const last = Math.floor((block + count - 1) / chunkBlocks);
    if (last - first < this.chunks.size) {
      for (let number = first; number <= last; number += 1) {
        const chunk = this.chunks.get(number);
        if (chunk !== undefined) yield [chunk, maskOf(number, block, count)];
      }
      return;
    }
    for (const chunk of [...this.chunks.values()]) {
      const { number } = chunk;
      if (number >= first && number <= last) yield [chunk, maskOf(number, block, count)];
    }
  }
}

/** Blocks of chunk `number` in the range. */
export function maskOf(number: number, block: number, count: number): number {
  const base = number * chunkBlocks;
  const from = Math.max(block - base, 0);
  const to = Math.min(block + count - base, chunkBlocks);
  return (2 ** to - 1) & ~(2 ** from - 1);
}

export function bits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** The lowest run of neighbours in a mask. */
export function lowestRun(mask: number): number {
  const low = mask & -mask;
  return mask & ~(mask + low);
}
