/**
 * Blocks of the log, from memory or from disk. What comes from disk is verified with its identity
 * before anybody sees it, and kept in the cache.
 *
 * A read in flight holds its segment, so that the segment is not filled anew under it.
 */

import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
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
  #inFlight = 0;
  badBlocks = 0;
  /** Blocks that were had in another way than the usual one. */
  recovered = 0;

  constructor(disk: Disk, segments: Segments, ring: Ring, cache: BlockCache, log: Log) {
    this.#disk = disk;
    this.#segments = segments;
    this.#ring = ring;
    this.cache = cache;
    this.#log = log;
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
    this.#waiting.push({ run, into, at, done });
    this.#start();
  }

  #start(): void {
    while (this.#inFlight < limits.readsInFlight) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#inFlight += 1;
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
      if (await redundancy.recover((run.address + index) * limits.blockBytes, block, good)) {
        this.recovered += 1;
      }
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
        this.cache.insert(run.address + index, into, from);
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

function asError(reason: unknown): StorageError {
  if (reason instanceof StorageError) return reason;
  return new StorageError('MEDIUM_ERROR', 'the disk could not read', { cause: reason });
}
