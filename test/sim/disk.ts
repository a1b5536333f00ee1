/**
 * A disk in memory that is as bad as the port allows (storage/disk/disk.ts), and worse when asked
 * to be.
 *
 * Fault model: a write that is not synced may after a crash be there, not be there, or be there in
 * part, block by block, in any order among such writes. On request: a write or sync fails (and the
 * disk with it), a block loses a bit, a write lands elsewhere, a block cannot be read, a sync does
 * nothing. It holds its user to the contract: whole blocks, inside the disk, no two writes to one
 * place at once, buffers left alone until the call has ended.
 */

import assert from 'node:assert/strict';
import { pause } from '#storage/base/clock.ts';
import { StorageError } from '../../storage/base/errors.ts';
import type { Disk } from '../../storage/disk/disk.ts';
import type { SimClock } from './clock.ts';
import type { SimRandom } from './random.ts';

const blockBytes = 4096;
const zeros = new Uint8Array(blockBytes);

/** Block by block; undefined: zeros. */
export type Image = (Uint8Array | undefined)[];

export interface TraceWrite {
  readonly kind: 'write';
  readonly id: number;
  readonly block: number;
  readonly data: readonly Uint8Array[];
}
/** The writes `ids` are durable from here on. */
export interface TraceDurable {
  readonly kind: 'durable';
  readonly ids: readonly number[];
}
/** What the test itself wants to remember at this point. */
export interface TraceNote<T> {
  readonly kind: 'note';
  readonly note: T;
}
export type TraceEvent<T = unknown> = TraceWrite | TraceDurable | TraceNote<T>;

export type CrashMode = 'drop' | 'keep' | 'tear';

export interface SimDiskOptions {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly size: number;
  readonly image?: Image;
  /** Longest time a call takes; 0: all end in the order in which they were made. */
  readonly slowMs?: number;
  readonly syncDoesNothing?: boolean;
  readonly name?: string;
}

interface Pending {
  readonly id: number;
  readonly block: number;
  readonly data: readonly Uint8Array[];
  /** The same in one piece. */
  readonly whole: Uint8Array;
  resolved: boolean;
}

export class SimDisk implements Disk {
  readonly name: string;
  readonly size: number;
  readonly allocatesOnWrite = true;
  readonly #options: SimDiskOptions;
  /** What reads see, and what a crash cannot take. */
  readonly #seen: Image;
  readonly #stable: Image;
  readonly #pending = new Map<number, Pending>();
  readonly #latent = new Set<number>();
  #ids = 0;
  #failed = false;
  #gone = false;
  trace: TraceEvent[] | null = null;
  writes = 0;
  syncs = 0;
  reads = 0;
  /** The call with this number (from 1, writes and syncs counted apart) fails. */
  failWrite = 0;
  failSync = 0;
  /** The write with this number lands so many blocks further on. */
  misdirect: { readonly write: number; readonly by: number } | null = null;

  constructor(options: SimDiskOptions) {
    assert(options.size % blockBytes === 0);
    this.name = options.name ?? 'simulated';
    this.size = options.size;
    this.#options = options;
    const image = options.image ?? new Array<Uint8Array | undefined>(options.size / blockBytes);
    this.#seen = image.slice();
    this.#stable = image.slice();
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#check(offset, into.length);
    this.reads += 1;
    // A failed disk may still be read: who reads checks what it reads.
    await this.#takeTime();
    if (this.#gone) throw new StorageError('DISK_FAILED', 'the simulated disk is gone');
    const first = offset / blockBytes;
    const count = into.length / blockBytes;
    for (let index = 0; index < count && this.#latent.size > 0; index += 1) {
      if (!this.#latent.has(first + index)) continue;
      throw new StorageError('MEDIUM_ERROR', `block ${first + index} cannot be read`);
    }
    copyBlocks(into, (index) => this.#seen[first + index]);
  }

  async write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    const length = data.reduce((sum, part) => sum + part.length, 0);
    this.#check(offset, length);
    this.#alive();
    this.writes += 1;
    const fails = this.writes === this.failWrite;
    const { misdirect } = this;
    const by = misdirect !== null && misdirect.write === this.writes ? misdirect.by : 0;
    const pending = this.#issue(offset / blockBytes + by, data, length);
    await this.#takeTime();
    this.#untouched(data, pending);
    if (fails) this.#fail();
    this.#alive();
    pending.resolved = true;
    pending.data.forEach((block, index) => {
      this.#seen[pending.block + index] = block;
    });
    if (durable && this.#options.syncDoesNothing !== true) this.#settle([pending]);
  }

  async sync(): Promise<void> {
    this.#alive();
    this.syncs += 1;
    const fails = this.syncs === this.failSync;
    const covered = [...this.#pending.values()].filter((write) => write.resolved);
    await this.#takeTime();
    if (fails) this.#fail();
    this.#alive();
    if (this.#options.syncDoesNothing !== true) this.#settle(covered);
  }

  async close(): Promise<void> {}

  /** What the disk may hold after the power went off now. The disk itself goes on. */
  crash(mode: CrashMode): Image {
    return crashed(this.#stable, this.#pending.values(), mode, this.#options.random);
  }

  /** From now on nothing is read from it or written to it. */
  lose(): void {
    this.#gone = true;
    this.#failed = true;
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** Turn over one bit of what is stored. */
  flip(block: number, bit: number): void {
    for (const image of [this.#seen, this.#stable]) {
      const data = Uint8Array.from(image[block] ?? zeros);
      data[bit >> 3]! ^= 1 << (bit & 7);
      image[block] = data;
    }
  }

  /** The block can no longer be read. */
  spoil(block: number): void {
    this.#latent.add(block);
  }

  #issue(block: number, data: readonly Uint8Array[], length: number): Pending {
    const whole = new Uint8Array(length);
    let at = 0;
    for (const part of data) {
      whole.set(part, at);
      at += part.length;
    }
    const blocks: Uint8Array[] = [];
    for (let from = 0; from < length; from += blockBytes) {
      blocks.push(whole.subarray(from, from + blockBytes));
    }
    for (const other of this.#pending.values()) {
      if (other.resolved) continue;
      const apart =
        other.block + other.data.length <= block || block + blocks.length <= other.block;
      assert(apart, 'two writes to one place at once');
    }
    this.#ids += 1;
    const pending: Pending = { id: this.#ids, block, data: blocks, whole, resolved: false };
    this.#pending.set(pending.id, pending);
    this.trace?.push({ kind: 'write', id: pending.id, block, data: blocks });
    return pending;
  }

  #settle(writes: readonly Pending[]): void {
    for (const write of writes) {
      this.#pending.delete(write.id);
      write.data.forEach((block, index) => {
        this.#stable[write.block + index] = block;
      });
    }
    this.trace?.push({ kind: 'durable', ids: writes.map((write) => write.id) });
  }

  #untouched(data: readonly Uint8Array[], { whole }: Pending): void {
    let at = 0;
    for (const part of data) {
      const same = Buffer.compare(part, whole.subarray(at, at + part.length)) === 0;
      assert(same, 'a buffer changed under the disk');
      at += part.length;
    }
  }

  async #takeTime(): Promise<void> {
    const { clock, random, slowMs } = this.#options;
    const delay = slowMs === undefined || slowMs === 0 ? 0 : random.below(slowMs * 16) / 16;
    await pause(clock, delay);
  }

  #check(offset: number, length: number): void {
    assert(offset % blockBytes === 0 && length % blockBytes === 0 && length > 0, 'whole blocks');
    assert(offset >= 0 && offset + length <= this.size, 'inside the disk');
  }

  #fail(): never {
    this.#failed = true;
    throw new StorageError('DISK_FAILED', 'the simulated disk failed');
  }

  #alive(): void {
    if (this.#failed) throw new StorageError('DISK_FAILED', 'the simulated disk has failed');
  }
}

/** Fill `into` with the blocks of these numbers, from 0 on; zeros where there is none. */
export function copyBlocks(into: Uint8Array, at: (index: number) => Uint8Array | undefined): void {
  const count = into.length / blockBytes;
  for (let index = 0; index < count; index += 1) {
    const block = at(index);
    if (block !== undefined) {
      into.set(block, index * blockBytes);
      continue;
    }
    const from = index;
    while (index + 1 < count && at(index + 1) === undefined) index += 1;
    into.fill(0, from * blockBytes, (index + 1) * blockBytes);
  }
}

/** `stable` with what happened to the writes that were not. */
function crashed(
  stable: Image,
  pending: Iterable<{ readonly block: number; readonly data: readonly Uint8Array[] }>,
  mode: CrashMode,
  random: SimRandom,
): Image {
  const image = stable.slice();
  if (mode === 'drop') return image;
  for (const write of pending) {
    // Of a torn write each block is there or not; whole writes may be missing as well.
    const share = mode === 'keep' ? 1 : ((random.below(5) / 4) as number);
    write.data.forEach((block, index) => {
      if (share === 1 || random.chance(share)) image[write.block + index] = block;
    });
  }
  return image;
}
