/**
 * Who may fill how much. NO_SPACE is decided here, before anything is staged, never by running out
 * of segments.
 *
 * Counted are blocks: for each space the larger of what it holds and what it was promised, and of
 * the map pages what goes beyond those that a densely filled store needs (a space with single
 * blocks far apart costs a page for each). Kept back: segments for the cleaner, for checkpoints and
 * for deletes.
 */
import { limits } from '../base/limits.ts';
import type { StoreUsage } from './blocks.ts';
import { fanout } from './page.ts';
import { pagesFor } from './tree.ts';

export class Account {
  keptSegments = 0;
  /** Blocks of user data. */
  capacity = 0;
  /** Blocks of map pages that come on top of the capacity. */
  #pageAllowance = 0;
  /** Blocks held or promised. */
  #committed = 0;
  #mapped = 0;
  #pages = 0;

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
    // One leaf for 512 blocks, one inner page for 512 of those, and a few for being small.
    this.#pageAllowance = Math.ceil((usable / fanout) * limits.pageCopies * (1 + 2 / fanout)) + 16;
    this.capacity = usable - this.#pageAllowance;
  }

  /** Whether so many more blocks and pages fit. */
  fits(blocks: number, pages: number): boolean {
    return this.#committed + blocks + this.#excess(pages) <= this.capacity;
  }

  #excess(more: number): number {
    return Math.max(0, (this.#pages + more) * limits.pageCopies - this.#pageAllowance);
  }

  changed(committed: number, mapped: number, pages: number): void {
    this.#committed += committed;
    this.#mapped += mapped;
    this.#pages += pages;
  }

  usage(): StoreUsage {
    const used = Math.min(this.#mapped + this.#excess(0), this.capacity);
    const reserved = Math.min(this.#committed - this.#mapped, this.capacity - used);
    const free = this.capacity - used - reserved;
    return {
      capacity: this.capacity * limits.blockBytes,
      used: used * limits.blockBytes,
      reserved: reserved * limits.blockBytes,
      free: free * limits.blockBytes,
    };
  }
}

/** What one space holds and was promised, kept in step with the store's account. */
export class Share {
  readonly #account: Account;
  #mapped = 0;
  #pages = 0;
  #reserved = 0;
  #pagesReserved = 0;

  constructor(account: Account) {
    this.#account = account;
  }

  get mapped(): number {
    return this.#mapped;
  }

  get reserved(): number {
    return this.#reserved;
  }

  /** Whether the space may hold so many more blocks and pages. */
  admits(blocks: number, pages: number): boolean {
    const more = Math.max(0, this.#mapped + blocks - Math.max(this.#mapped, this.#reserved));
    const had = Math.max(this.#pages, this.#pagesReserved);
    const morePages = Math.max(0, this.#pages + pages - had);
    return (more === 0 && morePages === 0) || this.#account.fits(more, morePages);
  }

  /** Whether the promise may become `reserved`. */
  mayPromise(reserved: number): boolean {
    const more = Math.max(this.#mapped, reserved) - Math.max(this.#mapped, this.#reserved);
    const pages = Math.max(this.#pages, pagesFor(reserved));
    const had = Math.max(this.#pages, this.#pagesReserved);
    return more <= 0 || this.#account.fits(more, pages - had);
  }

  promise(reserved: number): void {
    this.#change(this.#mapped, reserved, this.#pages, pagesFor(reserved));
  }

  map(delta: number): void {
    this.#change(this.#mapped + delta, this.#reserved, this.#pages, this.#pagesReserved);
  }

  page(delta: number): void {
    this.#change(this.#mapped, this.#reserved, this.#pages + delta, this.#pagesReserved);
  }

  #change(mapped: number, reserved: number, pages: number, pagesReserved: number): void {
    this.#account.changed(
      Math.max(mapped, reserved) - Math.max(this.#mapped, this.#reserved),
      mapped - this.#mapped,
      Math.max(pages, pagesReserved) - Math.max(this.#pages, this.#pagesReserved),
    );
    this.#mapped = mapped;
    this.#reserved = reserved;
    this.#pages = pages;
    this.#pagesReserved = pagesReserved;
  }
}
