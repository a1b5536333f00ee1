/**
 * Blocks of the log, from memory or from disk. What comes from disk is verified with its identity
 * before anybody sees it, and kept in the cache.
 *
 * A read in flight holds its segment, so that the segment is not filled anew under it.
 *
 * Who reads ahead (map/read-ahead.ts) never makes a demand read wait in line: beside it nothing is
 * begun once demand reads are many, and a demand read of what is on its way takes it when it comes.
 */

import { crc32c } from '../base/crc32c.ts';
import { StorageError, storageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Disk, Redundancy } from '../disk/disk.ts';
import type { BlockCache } from './cache.ts';
import { blockIdentity } from './format.ts';
import type { Waiter } from './group.ts';
import type { Ring } from './ring.ts';
import { type Segments, segmentOf } from './segments.ts';

/** Data blocks of one space that stand one behind the other both there and in the log. */
export interface Run {
  readonly block: number;
  readonly address: number;
  /** Who wrote it, and its checksum, of each block. */
  readonly epochs: readonly number[];
  readonly crcs: readonly number[];
  /** Whether the cache is to have them. */
  readonly keep: boolean;
}

/** Blocks of one space, in ascending order inside one segment, that nobody waits for yet. */
export interface Ahead {
  readonly epochs: readonly number[];
  readonly blocks: readonly number[];
  readonly addresses: readonly number[];
  readonly crcs: readonly number[];
}

/** Such blocks on their way. */
interface Coming {
  /** Addresses of the first and the last. */
  readonly first: number;
  readonly last: number;
  readonly waiting: Waiting[];
}

interface Waiting {
  readonly run: Run;
  readonly into: Uint8Array;
  readonly at: number;
  readonly done: Waiter;
}

export class LogReader {
  readonly #disk: Disk;
  readonly #segments: Segments;
  readonly #ring: Ring;
  readonly #log: Log;
  readonly cache: BlockCache;
  readonly #waiting: Waiting[] = [];
  readonly #coming: Coming[] = [];
  /** Buffers of reads ahead that are not in use. */
  readonly #buffers: Buffer[] = [];
  #inFlight = 0;
  /** Told when nothing is read ahead any more. */
  #stopped: (() => void) | null = null;
  badBlocks = 0;
  /** Disk calls, and those of them that read ahead. */
  calls = 0;
  callsAhead = 0;

  constructor(disk: Disk, segments: Segments, ring: Ring, cache: BlockCache, log: Log) {
    this.#disk = disk;
    this.#segments = segments;
    this.#ring = ring;
    this.cache = cache;
    this.#log = log;
  }

  /** Whether the block at `address` is in memory. */
  has(address: number): boolean {
    return this.#ring.holds(segmentOf(address)) !== null || this.cache.has(address);
  }

  /** Copy the block at `address` if it is in memory. */
  copy(address: number, into: Uint8Array, at: number): boolean {
    return this.#ring.copy(address, into, at) || this.cache.copy(address, into, at);
  }

  /**
   * Read a run of at most `readRunBlocks` into `into[at…]`. MEDIUM_ERROR: what is there is void.
   */
  read(run: Run, into: Uint8Array, at: number, done: Waiter): void {
    // Held from now on, not from when its turn comes: the address must stay what it is.
    this.#segments.hold(segmentOf(run.address));
    const read = { run, into, at, done };
    const coming = this.#coming.find(
      ({ first, last }) => run.address >= first && run.address <= last,
    );
    if (coming !== undefined) coming.waiting.push(read);
    else {
      this.#waiting.push(read);
      this.#start();
    }
  }

  get busy(): boolean {
    return this.#inFlight > 0;
  }

  get mayReadAhead(): boolean {
    const { aheadPressure, aheadsInFlight } = limits;
    if (this.#stopped !== null) return false;
    return this.#inFlight < aheadPressure && this.#coming.length < aheadsInFlight;
  }

  /** Read into the cache. What cannot be read or does not match is left to whoever wants it. */
  readAhead(ahead: Ahead): void {
    const { addresses } = ahead;
    const [first, last] = [addresses[0]!, addresses.at(-1)!];
    const coming: Coming = { first, last, waiting: [] };
    this.#coming.push(coming);
    this.#segments.hold(segmentOf(first));
    this.calls += 1;
    this.callsAhead += 1;
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(limits.segmentBytes);
    const ended = (): void => {
      this.#buffers.push(buffer);
      this.#segments.letGo(segmentOf(first));
      this.#coming.splice(this.#coming.indexOf(coming), 1);
      for (const read of coming.waiting) this.#arrived(read);
      if (this.#coming.length === 0) this.#stopped?.();
    };
    const bytes = buffer.subarray(0, (last - first + 1) * limits.blockBytes);
    this.#disk.read(first * limits.blockBytes, bytes).then(() => {
      this.#keep(ahead, buffer);
      ended();
    }, ended);
  }

  /** Nothing is read ahead from now on; resolves when nothing is on its way. */
  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#stopped = resolve;
      if (this.#coming.length === 0) resolve();
    });
  }

  #keep({ epochs, blocks, addresses, crcs }: Ahead, buffer: Buffer): void {
    for (let index = 0; index < blocks.length; index += 1) {
      const at = (addresses[index]! - addresses[0]!) * limits.blockBytes;
      if (!matches(epochs[index]!, blocks[index]!, crcs[index]!, buffer, at)) continue;
      this.cache.insert(addresses[index]!, buffer, at);
    }
  }

  /** What a read waited for is there, or will not come. */
  #arrived(read: Waiting): void {
    const { run, into, at, done } = read;
    for (let index = run.crcs.length - 1; index >= 0; index -= 1) {
      if (this.copy(run.address + index, into, at + index * limits.blockBytes)) continue;
      this.#waiting.push(read);
      this.#start();
      return;
    }
    this.#segments.letGo(segmentOf(run.address));
    done.complete(null);
  }

  #start(): void {
    while (this.#inFlight < limits.readsInFlight) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#inFlight += 1;
      this.calls += 1;
      const { run, into, at } = next;
      const bytes = into.subarray(at, at + run.crcs.length * limits.blockBytes);
      this.#disk.read(run.address * limits.blockBytes, bytes).then(
        () => this.#judge(next, this.#verify(next, this.#disk.redundancy === undefined)),
        (reason: unknown) => this.#judge(next, asError(reason)),
      );
    }
  }

  /** What is not right may be had in another way. */
  #judge(read: Waiting, error: StorageError | null): void {
    const { redundancy } = this.#disk;
    if (error === null || redundancy === undefined) {
      this.#ended(read, error);
      return;
    }
    this.#recover(read, redundancy).then(
      () => this.#ended(read, this.#verify(read, true)),
      (reason: unknown) => this.#ended(read, asError(reason)),
    );
  }

  async #recover({ run, into, at }: Waiting, redundancy: Redundancy): Promise<void> {
    for (let index = 0; index < run.crcs.length; index += 1) {
      const from = at + index * limits.blockBytes;
      const good = (bytes: Uint8Array): boolean =>
        matches(run.epochs[index]!, run.block + index, run.crcs[index]!, bytes, 0);
      const block = into.subarray(from, from + limits.blockBytes);
      if (good(block)) continue;
      await redundancy.recover((run.address + index) * limits.blockBytes, block, good);
    }
  }

  #ended(read: Waiting, error: StorageError | null): void {
    this.#inFlight -= 1;
    this.#segments.letGo(segmentOf(read.run.address));
    if (error !== null) {
      const { block, address } = read.run;
      this.#log.error({ block, address, disk: this.#disk.name, error }, 'a read failed');
    }
    this.#start();
    read.done.complete(error);
  }

  /** `last`: what does not match now is damaged for good. */
  #verify({ run, into, at }: Waiting, last: boolean): StorageError | null {
    let bad = 0;
    for (let index = 0; index < run.crcs.length; index += 1) {
      const from = at + index * limits.blockBytes;
      const block = run.block + index;
      if (matches(run.epochs[index]!, block, run.crcs[index]!, into, from)) {
        if (run.keep) this.cache.insert(run.address + index, into, from);
      } else bad += 1;
    }
    if (bad === 0) return null;
    if (last) this.badBlocks += bad;
    return new StorageError(
      'MEDIUM_ERROR',
      `${this.#disk.name}: ${bad} of ${run.crcs.length} blocks at ${run.address} are damaged`,
    );
  }
}

/** Whether `from[at…]` is the content that the map names for this block. */
export function matches(
  epoch: number,
  block: number,
  crc: number,
  from: Uint8Array,
  at: number,
): boolean {
  const content = from.subarray(at, at + limits.blockBytes);
  return crc32c(content, blockIdentity(block, epoch)) === crc;
}

const asError = (reason: unknown): StorageError =>
  storageError(reason, 'MEDIUM_ERROR', 'the disk could not read');
