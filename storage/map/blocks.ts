/**
 * The port between the volume layer and one server's store: address spaces of 4 KiB blocks.
 *
 * An address space (`ref`) is the content of one virtual disk on this server. Unwritten and
 * unmapped blocks read as zeros. Blocks are whole: the volume layer above cuts and merges sectors.
 * Calls complete through `Done`, perhaps before the method returns, exactly once.
 */
import type { StorageError } from '../base/errors.ts';

export interface Done {
  complete(error: StorageError | null): void;
}

/** Bytes of a block: the unit of the log, of the map and of checksums. */
export const blockBytes = 4096;

export interface Extent {
  readonly mapped: boolean;
  readonly count: number;
}

export interface BlockUsage {
  /** Blocks that hold data. */
  readonly mapped: number;
  /** Blocks promised to this space whether written or not (a thick disk). */
  readonly reserved: number;
}

export interface StoreUsage {
  /** All sizes in bytes. What user data can ever fill; kept-back segments are already taken off. */
  readonly capacity: number;
  /** Mapped by any space. */
  readonly used: number;
  /** Promised to thick disks and not yet used by them. */
  readonly reserved: number;
  /** capacity - used - reserved. */
  readonly free: number;
}

export interface Blocks {
  /** Make an empty space known; `reserved` blocks are promised to it. NO_SPACE, EXISTS. */
  create(ref: number, reserved: number): Promise<void>;
  /** Change the promise. NO_SPACE leaves it as it was. */
  reserve(ref: number, reserved: number): Promise<void>;
  /** Forget a space and give its blocks back; durable when it resolves. Works on a full store. */
  drop(ref: number): Promise<void>;
  refs(): readonly number[];

  /** Copy blocks to `into[at…]` if all are in memory or unmapped; else false. */
  readNow(ref: number, block: number, count: number, into: Uint8Array, at: number): boolean;
  /** Every block's checksum and identity is verified; MEDIUM_ERROR when one does not match. */
  read(ref: number, block: number, count: number, into: Uint8Array, at: number, done: Done): void;
  /**
   * `data` (whole blocks) is copied before the call returns; later writes to the same block win.
   * Completes when durable. NO_SPACE comes at once and changes nothing.
   */
  write(ref: number, block: number, data: Uint8Array, done: Done): void;
  /** The blocks read as zeros afterwards and are given back. Works on a full store. */
  unmap(ref: number, block: number, count: number, done: Done): void;
  /** Durable: all that was accepted before. */
  flush(done: Done): void;

  /**
   * Whether `block` is mapped, and for how many blocks (at most `count`, at least one) that holds; where
   * that goes on, the answer may end earlier. MEDIUM_ERROR.
   */
  extent(ref: number, block: number, count: number): Promise<Extent>;
  /** As `extent`, if that needs no waiting; else null. */
  extentNow(ref: number, block: number, count: number): Extent | null;
  usage(ref: number): BlockUsage;
  total(): StoreUsage;
  /** Ends in order: in-flight writes complete, a checkpoint is written. */
  close(): Promise<void>;
}
