/**
 * The map of one space: block → address and checksum, a radix tree of pages that is as high as its
 * highest block asks for. Pages appear with their first entry and go with their last.
 */
import assert from 'node:assert/strict';
import { fanout, fanoutBits, Page, type PageLedger } from './page.ts';

/** What the tree tells its owner. */
export interface TreeListener {
  /** A page came (1) or went (-1). */
  pagesChanged(delta: number): void;
  /** The copy of a page that went, in the log. */
  pageDied(address: number): void;
}

export class Tree {
  readonly #ref: number;
  readonly #ledger: PageLedger;
  readonly #listener: TreeListener;
  #root: Page | null = null;
  /** The leaf asked for last: neighbours are asked for next. */
  #last: Page | null = null;

  constructor(ref: number, ledger: PageLedger, listener: TreeListener) {
    this.#ref = ref;
    this.#ledger = ledger;
    this.#listener = listener;
  }

  get root(): Page | null {
    return this.#root;
  }

  get height(): number {
    return this.#root?.level ?? 0;
  }

  /** The leaf that has `block`, if there is one. */
  leaf(block: number): Page | null {
    const index = Math.floor(block / fanout);
    const last = this.#last;
    if (last !== null && last.index === index && !last.gone) return last;
    const found = this.page(1, index);
    if (found !== null) this.#last = found;
    return found;
  }

  /** Page `index` of `level`, if there is one. */
  page(level: number, index: number): Page | null {
    let page = this.#root;
    if (page === null || page.level < level) return null;
    if (index >= fanout ** (page.level - level)) return null;
    while (page.level > level) {
      const child: Page | undefined = page.children![indexAt(index, page.level - level - 1)];
      if (child === undefined) return null;
      page = child;
    }
    return page;
  }

  /** The leaf that has `block`, made if need be. */
  grow(block: number): Page {
    const found = this.leaf(block);
    if (found !== null) return found;
    const index = Math.floor(block / fanout);
    if (this.#root === null) this.#root = this.#make(heightFor(index), 0, null);
    while (index >= fanout ** (this.#root.level - 1)) this.#raise();
    let page = this.#root;
    while (page.level > 1) {
      const down = page.level - 2;
      const slot = indexAt(index, down);
      let child: Page | undefined = page.children![slot];
      if (child === undefined)
        child = this.#make(page.level - 1, Math.floor(index / fanout ** down), page);
      page = child;
    }
    this.#last = page;
    return page;
  }

  /** Put a loaded page in its place; its parent is there and counts it already. */
  adopt(page: Page, parent: Page | null): void {
    page.parent = parent;
    if (parent === null) {
      assert(this.#root === null);
      this.#root = page;
    } else parent.children![page.slot] = page;
    this.#ledger.pages += 1;
    this.#listener.pagesChanged(1);
  }

  /** After entries of `leaf` were cleared: it goes if it is empty, and its parents with it. */
  shrink(leaf: Page): void {
    let page: Page | null = leaf;
    while (page !== null && page.used === 0) {
      const parent: Page | null = page.parent;
      this.#drop(page);
      if (parent === null) this.#root = null;
      else {
        parent.children![page.slot] = undefined;
        parent.words[page.slot * 2] = 0;
        parent.words[page.slot * 2 + 1] = 0;
        parent.used -= 1;
        this.#ledger.mark(parent);
      }
      page = parent;
    }
  }

  /** The leaves that have blocks of [first, first + count), in order. */
  *leaves(first: number, count: number): Generator<Page> {
    if (this.#root === null || count === 0) return;
    const from = Math.floor(first / fanout);
    const to = Math.floor((first + count - 1) / fanout);
    yield* leavesOf(this.#root, from, to);
  }

  /** Pages that must be made for [first, first + count) to be mapped: at most this many. */
  missing(first: number, count: number): number {
    const from = Math.floor(first / fanout);
    const to = Math.floor((first + count - 1) / fanout);
    const height = Math.max(heightFor(to), this.height);
    let pages = Math.max(0, height - this.height);
    for (let index = from; index <= to; index += 1) {
      if (this.page(1, index) === null) pages += index === from ? height : 2;
    }
    return pages;
  }

  /** Every page, children first, for the end of the space: the tree is empty afterwards. */
  *dismantle(): Generator<Page> {
    const root = this.#root;
    this.#root = null;
    this.#last = null;
    if (root !== null) yield* this.#dismantlePage(root);
  }

  *#dismantlePage(page: Page): Generator<Page> {
    if (page.children !== null) {
      for (const child of page.children) if (child !== undefined) yield* this.#dismantlePage(child);
    }
    yield page;
    this.#drop(page);
  }

  #drop(page: Page): void {
    this.#ledger.forget(page);
    this.#listener.pagesChanged(-1);
    if (page.address !== 0) this.#listener.pageDied(page.address);
    if (this.#last === page) this.#last = null;
  }

  #make(level: number, index: number, parent: Page | null): Page {
    const page = new Page(this.#ref, level, index);
    page.parent = parent;
    if (parent !== null) {
      parent.children![page.slot] = page;
      parent.used += 1;
    }
    this.#ledger.pages += 1;
    this.#listener.pagesChanged(1);
    this.#ledger.mark(page);
    return page;
  }

  /** One level more: the root becomes child 0 of a new one. */
  #raise(): void {
    const old = this.#root!;
    const root = this.#make(old.level + 1, 0, null);
    root.children![0] = old;
    root.used = 1;
    root.words[0] = old.address;
    root.words[1] = old.crc;
    old.parent = root;
    if (old.dirty) root.dirtyChildren += 1;
    this.#root = root;
  }
}

/** Levels that a tree needs so that it has leaf `index`. */
export function heightFor(index: number): number {
  let height = 1;
  while (index >= fanout ** (height - 1)) height += 1;
  return height;
}

/** Pages of a full map of blocks [0, blocks). */
export function pagesFor(blocks: number): number {
  let pages = 0;
  let level = Math.ceil(blocks / fanout);
  while (level > 0) {
    pages += level;
    if (level === 1) break;
    level = Math.ceil(level / fanout);
  }
  return pages;
}

/** The `digit`-th base-512 digit of `index`, from the lowest. */
const indexAt = (index: number, digit: number): number =>
  Math.floor(index / fanout ** digit) % fanout;

function* leavesOf(page: Page, from: number, to: number): Generator<Page> {
  if (page.level === 1) {
    // A young tree is one leaf: what is asked for may lie behind it.
    if (page.index >= from && page.index <= to) yield page;
    return;
  }
  const span = 2 ** (fanoutBits * (page.level - 2));
  const base = page.index * fanout;
  const first = Math.max(0, Math.floor(from / span) - base);
  const last = Math.min(fanout - 1, Math.floor(to / span) - base);
  for (let slot = first; slot <= last; slot += 1) {
    const child = page.children![slot];
    if (child !== undefined) yield* leavesOf(child, from, to);
  }
}
