/**
 * How far the free segments reach, and for whom. Three may take of them: writers, the cleaner, and
 * checkpoints, each less than the next, so that whoever waits is waiting for somebody who can go
 * on: a checkpoint always has room for every dirty page, twice (a crash may come in its middle),
 * the cleaner leaves it that, and writers leave the cleaner a part of what is kept back.
 */
import { limits } from '../base/limits.ts';
import type { Segments } from '../log/segments.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Account } from './account.ts';
import type { Checkpointer } from './checkpoint.ts';

export class Room {
  readonly #writer: LogWriter;
  readonly #segments: Segments;
  readonly #checkpointer: Checkpointer;
  readonly #account: Account;

  constructor(writer: LogWriter, segments: Segments, checkpointer: Checkpointer, account: Account) {
    this.#writer = writer;
    this.#segments = segments;
    this.#checkpointer = checkpointer;
    this.#account = account;
  }

  /**
   * Segments that writers leave. What is kept back and not kept free is garbage between live blocks: the
   * more of it, the less is moved.
   */
  get floor(): number {
    return Math.max(limits.keptSegmentsMin / 2, Math.ceil(this.#account.keptSegments / 4));
  }

  /** Below this many free segments the cleaner begins. */
  get low(): number {
    return this.floor + Math.ceil(this.#account.keptSegments / 16);
  }

  /** With this many it ends. */
  get high(): number {
    return this.floor + Math.ceil(this.#account.keptSegments / 8);
  }

  get #blocks(): number {
    return this.#writer.roomBlocks - this.#checkpointer.debtBlocks;
  }

  /** Whether a writer may append `blocks`, which change at most `pages` pages more. */
  forWriter(blocks: number, pages: number): boolean {
    // Each in a sheet of the page table of its own, and what each ends in one of the live counts.
    const wanted = blocks + (blocks >> 5) + 4 * pages + 4;
    return this.#blocks - this.floor * limits.segmentContentBlocks >= wanted;
  }

  /** Whether the cleaner may move `blocks`, each perhaps of a leaf and a parent of its own. */
  forCleaner(blocks: number): boolean {
    return this.#blocks - 2 * limits.segmentContentBlocks >= blocks * 6 + 8;
  }

  /** Whether a removal may go on, each step of which changes a page: it gives back, so it may go far. */
  forRemoval(): boolean {
    return this.#blocks - 2 * limits.segmentContentBlocks >= 16;
  }

  /** Whether free segments are short. */
  get short(): boolean {
    const debt = Math.ceil(this.#checkpointer.debtBlocks / limits.segmentContentBlocks);
    return this.#segments.free - debt < this.low;
  }

  /** Segments that are missing until the cleaner may rest. */
  get missing(): number {
    return this.high - this.#segments.free;
  }
}
