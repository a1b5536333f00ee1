/**
 * Who may fill how much. NO_SPACE is decided here, before anything is staged, never by running out
 * of segments.
 *
 * Counted are blocks: those that anybody sees, each once however many share it; what was promised to a
 * space beyond what it has written itself; and of the map pages what goes beyond those that a densely
 * filled store needs (a space with single blocks far apart costs a page for each). Kept back: segments
 * for the cleaner, for checkpoints and for deletes.
 */
import assert from 'node:assert/strict';
import { limits } from '../base/limits.ts';
import type { StoreUsage } from './blocks.ts';
import type { Epoch } from './epochs.ts';
import { leafFanout, pagesFor } from './page.ts';

export class Account {
  keptSegments = 0;
  /** Blocks of user data. */
  capacity = 0;
  /** Blocks of map pages that come on top of the capacity. */
  #pageAllowance = 0;
  /** Blocks that anybody sees. */
  physical = 0;
  #promised = 0;
  #pagesPromised = 0;
  /** Set aside for writes that come later. */
  #claimed = 0;
  #claimedPages = 0;
  /** Who knows how many pages there are. */
  pagesOf: { readonly used: number } = { used: 0 };

  constructor(segments: number) {
    this.#size(segments);
  }

  /** There are so many segments from now on. False: what is held and promised would not fit. */
  resize(segments: number): boolean {
    const before = { kept: this.keptSegments, capacity: this.capacity, pages: this.#pageAllowance };
    this.#size(segments);
    if (this.fits(0, 0) || this.capacity >= before.capacity) return true;
    this.keptSegments = before.kept;
    this.capacity = before.capacity;
    this.#pageAllowance = before.pages;
    return false;
  }

  #size(segments: number): void {
    this.keptSegments = Math.max(limits.keptSegmentsMin, Math.ceil(segments / limits.keptShare));
    const usable = (segments - this.keptSegments) * limits.segmentContentBlocks;
    // One leaf for its blocks, an inner page for many of those, and a few for being small.
    this.#pageAllowance = Math.ceil((usable / leafFanout) * limits.pageCopies * 1.01) + 16;
    this.capacity = usable - this.#pageAllowance;
  }

  /** Whether so many more blocks and pages fit. */
  fits(blocks: number, pages: number): boolean {
    const counted = this.physical + this.#promised + this.#claimed;
    return counted + blocks + this.#excess(pages + this.#claimedPages) <= this.capacity;
  }

  claim(blocks: number, pages: number): boolean {
    if (!this.fits(blocks, pages)) return false;
    this.#claimed += blocks;
    this.#claimedPages += pages;
    return true;
  }

  release(blocks: number, pages: number): void {
    assert(blocks <= this.#claimed && pages <= this.#claimedPages, 'only what was claimed');
    this.#claimed -= blocks;
    this.#claimedPages -= pages;
  }

  #excess(more: number): number {
    const pages = this.pagesOf.used + this.#pagesPromised + more;
    return Math.max(0, pages * limits.pageCopies - this.#pageAllowance);
  }

  /** What is promised to an epoch is counted; `without` before anything of it changes. */
  with(epoch: Epoch): void {
    this.#promised += promise(epoch, epoch.reserved);
    this.#pagesPromised += pagePromise(epoch, epoch.reserved);
  }

  without(epoch: Epoch): void {
    this.#promised -= promise(epoch, epoch.reserved);
    this.#pagesPromised -= pagePromise(epoch, epoch.reserved);
  }

  /** Whether the epoch may write so many blocks for which it has none, with so many new pages. */
  admits(epoch: Epoch, blocks: number, pages: number): boolean {
    const more = Math.max(0, blocks - promise(epoch, epoch.reserved));
    const morePages = Math.max(0, pages - pagePromise(epoch, epoch.reserved));
    return (more === 0 && morePages === 0) || this.fits(more, morePages);
  }

  /** Whether the promise may become `reserved`; null: of an epoch that is still to come. */
  mayPromise(epoch: Epoch | null, reserved: number): boolean {
    const had = epoch?.reserved ?? 0;
    const more = promise(epoch, reserved) - promise(epoch, had);
    const pages = pagePromise(epoch, reserved) - pagePromise(epoch, had);
    return more <= 0 || this.fits(more, pages);
  }

  /** Blocks that `freeze` costs: what was written already is promised once more. */
  mayFreeze(epochs: readonly Epoch[]): boolean {
    let more = 0;
    let pages = 0;
    for (const epoch of epochs) {
      more += promise(null, epoch.reserved) - promise(epoch, epoch.reserved);
      pages += pagePromise(null, epoch.reserved) - pagePromise(epoch, epoch.reserved);
    }
    return more === 0 || this.fits(more, pages);
  }

  usage(): StoreUsage {
    const used = Math.min(this.physical + this.#excess(0), this.capacity);
    const reserved = Math.min(this.#promised + this.#claimed, this.capacity - used);
    const free = this.capacity - used - reserved;
    return {
      capacity: this.capacity * limits.blockBytes,
      used: used * limits.blockBytes,
      reserved: reserved * limits.blockBytes,
      free: free * limits.blockBytes,
    };
  }
}

/** Blocks that count for a promise beyond those that the epoch wrote itself. */
const promise = (epoch: Epoch | null, reserved: number): number =>
  Math.max(0, reserved - (epoch?.own ?? 0));

const pagePromise = (epoch: Epoch | null, reserved: number): number =>
  Math.max(0, pagesFor(reserved) - (epoch?.pages ?? 0));
