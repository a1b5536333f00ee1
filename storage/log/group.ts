/** A group: what one durable disk write commits, and who waits for it. */

import type { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { SegmentBuffer } from './ring.ts';

/** Told once: durable (null), or that it never will be known to be. */
export interface Waiter {
  complete(error: StorageError | null): void;
}

export interface Group {
  readonly sequence: number;
  readonly buffer: SegmentBuffer;
  readonly segment: number;
  /** Blocks of the segment that are written: [start, end). */
  readonly start: number;
  end: number;
  /** Block of its header. */
  readonly header: number;
  entries: number;
  blocks: number;
  readonly waiters: Waiter[];
  /** Slots of blocks that the cleaner moved: what they hold is durable elsewhere. */
  readonly moved: number[];
  /** When the disk got it, on the clock. */
  sentMs: number;
  written: boolean;
}

/** Whether so many more blocks and entries are still the same group. */
export function fits(group: Group, blocks: number, entries: number): boolean {
  const hasBlocks = group.end + blocks <= limits.blocksPerSegment;
  return hasBlocks && group.entries + entries <= limits.groupEntries;
}
