/**
 * Sees who reads one block behind the other and has what comes next read before it is asked for, in
 * disk calls larger than the reads.
 *
 * A stream is remembered by the MiB in which its next block lies, so that looking costs one place in
 * a table, and requests of one stream may overtake each other a little. It counts as one when three
 * requests went forward and left little out; the window then grows with what was read. What is read
 * ahead goes into the cache as any newcomer does. When reads wait for the disk nothing is read ahead.
 *
 * A stream that has read more than the cache holds, in requests that are large and overlap, gains
 * nothing from either: it passes by the cache, which saves it copying everything twice.
 */
import { limits } from '../base/limits.ts';
import type { LogReader } from '../log/reader.ts';
import { segmentOf } from '../log/segments.ts';

/** Where blocks lie, as far as that is known without waiting. */
export interface Places {
  /** Log address of a block, with its checksum in `crc` and who wrote it in `epoch`; 0: unmapped; -1: it will
   *  be known later. */
  address(ref: number, block: number): number;
  readonly crc: number;
  readonly epoch: number;
}

const table = 256;
const regionBlocks = 256;
/** How far a request may run ahead of another or fall behind and still belong to the stream. */
const strayBlocks = 128;
/** A stream that was not heard of for so many reads gives up its place. */
const forgottenReads = 16_384;
/** Blocks read for nothing between two that are wanted cost less than another call. */
const gapBlocks = 8;
/** Requests that are as large as a disk call for reading ahead is on average. */
const largeBlocks = 64;

export class ReadAhead {
  readonly #reader: LogReader;
  readonly #places: Places;
  readonly #windowMax: number;
  readonly #ref = new Uint32Array(table);
  readonly #start = new Float64Array(table);
  /** The block that is expected next. */
  readonly #next = new Float64Array(table);
  readonly #seen = new Float64Array(table);
  readonly #requests = new Uint32Array(table);
  /** The first block that was not looked at yet. */
  readonly #asked = new Float64Array(table);
  readonly #heard = new Float64Array(table);
  #reads = 0;
  /** Share of the large requests of late that met another in flight. */
  #overlap = 0;

  constructor(reader: LogReader, places: Places) {
    this.#reader = reader;
    this.#places = places;
    // What is read ahead waits in the cache's small queue: many streams must fit there.
    this.#windowMax = Math.min(limits.aheadBlocks, Math.floor(reader.cache.capacity / 32));
  }

  /** Blocks were read. */
  saw(ref: number, block: number, count: number): void {
    this.#reads += 1;
    const at = placeOf(ref, block);
    const end = block + count;
    const gap = block - this.#next[at]!;
    if (this.#ref[at] !== ref || gap > strayBlocks || gap < -strayBlocks) {
      this.#begin(ref, block, end);
      return;
    }
    if (gap + count <= 0) return; // One of its own that came late.
    this.#seen[at]! += Math.min(count, count + gap);
    this.#next[at] = end;
    this.#requests[at]! += 1;
    this.#heard[at] = this.#reads;
    const now = placeOf(ref, end);
    if (now !== at) this.#move(at, now);
    if (this.#isStream(now) && !this.#passes(now, count)) this.#extend(now);
  }

  /** Whether this read, which goes to the disk now, is to pass by the cache. */
  passes(ref: number, block: number, count: number): boolean {
    if (count < largeBlocks) return false;
    this.#overlap += ((this.#reader.busy ? 1 : 0) - this.#overlap) / 8;
    const at = placeOf(ref, block);
    const near = Math.abs(block - this.#next[at]!) <= strayBlocks;
    return this.#ref[at] === ref && near && this.#passes(at, count);
  }

  #passes(at: number, count: number): boolean {
    const long = count >= largeBlocks && this.#seen[at]! > this.#reader.cache.capacity;
    return long && this.#overlap > 0.5 && this.#isStream(at);
  }

  #begin(ref: number, block: number, end: number): void {
    const at = placeOf(ref, end);
    const fresh = this.#reads - this.#heard[at]! < forgottenReads;
    if (this.#ref[at] !== 0 && fresh && this.#isStream(at)) return;
    this.#ref[at] = ref;
    this.#start[at] = block;
    this.#next[at] = end;
    this.#seen[at] = end - block;
    this.#requests[at] = 1;
    this.#asked[at] = end;
    this.#heard[at] = this.#reads;
  }

  #move(from: number, to: number): void {
    this.#ref[to] = this.#ref[from]!;
    this.#start[to] = this.#start[from]!;
    this.#next[to] = this.#next[from]!;
    this.#seen[to] = this.#seen[from]!;
    this.#requests[to] = this.#requests[from]!;
    this.#asked[to] = this.#asked[from]!;
    this.#heard[to] = this.#heard[from]!;
    this.#ref[from] = 0;
  }

  #isStream(at: number): boolean {
    const seen = this.#seen[at]!;
    const dense = seen * 4 >= (this.#next[at]! - this.#start[at]!) * 3;
    return this.#requests[at]! >= 3 && seen >= limits.aheadAfterBlocks && dense;
  }

  /** Keep between half a window and a window read ahead. */
  #extend(at: number): void {
    const next = this.#next[at]!;
    const window = Math.min(this.#windowMax, 2 * this.#seen[at]!);
    const asked = Math.max(this.#asked[at]!, next);
    if (asked - next > window / 2) return;
    this.#asked[at] = this.#read(this.#ref[at]!, asked, next + window);
  }

  /** Read what is not in memory of `block`…`end`-1; returns how far that came. */
  #read(ref: number, block: number, end: number): number {
    const reader = this.#reader;
    let run = emptyRun();
    for (let at = block; at < end; at += 1) {
      if (!reader.mayReadAhead) return run.blocks[0] ?? at;
      const address = this.#places.address(ref, at);
      if (address < 0) {
        if (run.blocks.length > 0) reader.readAhead(run);
        return at;
      }
      if (address === 0 || reader.has(address)) continue;
      const { crc, epoch } = this.#places;
      if (run.addresses.length > 0 && !fits(run.addresses, address)) {
        reader.readAhead(run);
        run = emptyRun();
      }
      run.blocks.push(at);
      run.addresses.push(address);
      run.epochs.push(epoch);
      run.crcs.push(crc);
    }
    if (run.blocks.length > 0) reader.readAhead(run);
    return end;
  }
}

const emptyRun = () => ({
  blocks: [] as number[],
  addresses: [] as number[],
  epochs: [] as number[],
  crcs: [] as number[],
});

/** Whether the block at `address` can come with the same disk call. */
function fits(addresses: readonly number[], address: number): boolean {
  const gap = address - addresses.at(-1)!;
  if (gap < 1 || gap > gapBlocks) return false;
  return segmentOf(address) === segmentOf(addresses[0]!);
}

function placeOf(ref: number, block: number): number {
  const region = Math.floor(block / regionBlocks);
  return (Math.imul(region, 0x9e3779b1) ^ Math.imul(ref, 0x85ebca6b)) >>> 24;
}
