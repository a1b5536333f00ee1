/**
 * The maps of epochs: block → address, a radix tree of pages for each epoch, as high as its highest block
 * asks for. Epochs share pages; what is shared is copied before it is changed, from the root down to the
 * leaf, so that every epoch is found in as many steps as if it were the only one (Parallax's radix trees,
 * EuroSys 2008, section 3.2).
 *
 * Lookups answer `undefined` when a page on the way is not in memory; `wanted` then says which. Whatever
 * changes a tree expects that all pages on the way are there.
 */
import assert from 'node:assert/strict';
import type { Epoch, Epochs } from './epochs.ts';
import { heightFor, innerFanout, leafWords, leavesBelow, type Page } from './page.ts';
import type { Missing, Pages } from './pages.ts';

export interface TreeListener {
  /** `epoch` sees a block no longer that `birth` wrote, in `leaf`. */
  released(epoch: Epoch, address: number, birth: number, leaf: number): void;
}

export class Trees {
  readonly pages: Pages;
  readonly #epochs: Epochs;
  readonly #listener: TreeListener;
  /** What the last lookup that answered `undefined` lacked. */
  wanted: Missing = { id: 0, level: 0, index: 0 };

  constructor(pages: Pages, epochs: Epochs, listener: TreeListener) {
    this.pages = pages;
    this.#epochs = epochs;
    this.#listener = listener;
  }

  /** Leaf `index`; null: there is none. */
  leaf(epoch: Epoch, index: number): Page | null | undefined {
    const { last } = epoch;
    if (last !== null && last.index === index && !last.gone && !last.evicted) {
      last.touched = true;
      return last;
    }
    const found = this.page(epoch, 1, index);
    if (found) epoch.last = found;
    return found;
  }

  /** Page `index` of `level`; null: there is none. */
  page(epoch: Epoch, level: number, index: number): Page | null | undefined {
    let id = epoch.root;
    let at = epoch.height;
    if (id === 0 || level > at || index >= innerFanout ** (at - level)) return null;
    for (;;) {
      const own = Math.floor(index / innerFanout ** (at - level));
      const page = this.pages.get(id);
      if (page === undefined) {
        this.wanted = { id, level: at, index: own };
        return undefined;
      }
      if (at === level) return page;
      at -= 1;
      id = page.words[(Math.floor(index / innerFanout ** (at - level)) % innerFanout) * 2]!;
      if (id === 0) return null;
    }
  }

  /** The first leaf from number `from` to `to`; null: there is none. */
  next(epoch: Epoch, from: number, to: number): Page | null | undefined {
    if (epoch.root === 0) return null;
    return this.#next(epoch.root, epoch.height, 0, from, to);
  }

  #next(
    id: number,
    level: number,
    index: number,
    from: number,
    to: number,
  ): Page | null | undefined {
    if (level === 1 && (index < from || index > to)) return null;
    const page = this.pages.get(id);
    if (page === undefined) {
      this.wanted = { id, level, index };
      return undefined;
    }
    if (level === 1) return page;
    const span = leavesBelow(level - 1);
    const base = index * innerFanout;
    const first = Math.max(0, Math.floor(from / span) - base);
    const last = Math.min(innerFanout - 1, Math.floor(to / span) - base);
    for (let slot = first; slot <= last; slot += 1) {
      const child = page.words[slot * 2]!;
      if (child === 0) continue;
      const found = this.#next(child, level - 1, base + slot, from, to);
      if (found !== null) return found;
    }
    return null;
  }

  /** Pages that must be made for leaves [from, to] to be writable: at most this many. */
  most(epoch: Epoch, from: number, to: number): number {
    const height = Math.max(heightFor(to), epoch.height);
    return (to - from + 1) * 2 + height + Math.max(0, height - epoch.height);
  }

  /** Whether `grow` of leaf `index` has all that it needs in memory; else see `wanted`. */
  growable(epoch: Epoch, index: number): boolean {
    if (this.#ownLast(epoch, index) !== null || epoch.root === 0) return true;
    if (this.pages.get(epoch.root) === undefined) {
      this.wanted = { id: epoch.root, level: epoch.height, index: 0 };
      return false;
    }
    return this.page(epoch, 1, index) !== undefined;
  }

  /** The leaf asked for last if it is this one and may be changed as it is; else null. */
  #ownLast(epoch: Epoch, index: number): Page | null {
    const { last } = epoch;
    if (last === null || last.index !== index || last.gone || last.evicted) return null;
    // What is the epoch's alone hangs from pages that are.
    return this.#epochs.alone(epoch, last.birth, index) ? last : null;
  }

  /** Leaf `index`, the epoch's own from now on, made if need be. */
  grow(epoch: Epoch, index: number): Page {
    const last = this.#ownLast(epoch, index);
    if (last !== null) return last;
    if (epoch.root === 0) {
      epoch.height = heightFor(index);
      epoch.root = this.#make(epoch, epoch.height, 0).id;
    }
    while (index >= leavesBelow(epoch.height)) this.#raise(epoch);
    let page = this.#ownRoot(epoch);
    while (page.level > 1) page = this.#ownChild(epoch, page, page.slotOf(index), index);
    epoch.last = page;
    return page;
  }

  #ownRoot(epoch: Epoch): Page {
    const root = this.#here(epoch.root);
    if (this.#epochs.alone(epoch, root.birth, root.lastLeaf)) return root;
    const copy = this.#copy(epoch, root);
    epoch.root = copy.id;
    return copy;
  }

  #ownChild(epoch: Epoch, parent: Page, slot: number, leaf: number): Page {
    const id = parent.words[slot * 2]!;
    let child: Page;
    if (id === 0) {
      const level = parent.level - 1;
      child = this.#make(epoch, level, Math.floor(leaf / leavesBelow(level)));
      this.pages.change(parent);
      parent.used += 1;
    } else {
      const shared = this.#here(id);
      if (this.#epochs.alone(epoch, shared.birth, shared.lastLeaf)) return shared;
      child = this.#copy(epoch, shared);
      this.pages.change(parent);
    }
    parent.words[slot * 2] = child.id;
    parent.words[slot * 2 + 1] = child.birth;
    return child;
  }

  #make(epoch: Epoch, level: number, index: number): Page {
    epoch.pages += 1;
    return this.pages.make(level, index, epoch.number);
  }

  #copy(epoch: Epoch, page: Page): Page {
    epoch.pages += 1;
    return this.pages.copy(page, epoch.number);
  }

  #here(id: number): Page {
    const page = this.pages.get(id);
    assert(page !== undefined, `page ${id} is in memory`);
    return page;
  }

  /** One level more: the root becomes child 0 of a new one. */
  #raise(epoch: Epoch): void {
    const old = this.#here(epoch.root);
    const root = this.#make(epoch, epoch.height + 1, 0);
    root.words[0] = old.id;
    root.words[1] = old.birth;
    root.used = 1;
    epoch.root = root.id;
    epoch.height += 1;
  }

  /** Blocks [first, end) of leaf `page` are mapped no longer; returns how many were. */
  clear(epoch: Epoch, page: Page, first: number, end: number): number {
    let cleared = 0;
    for (let slot = first; slot < end; slot += 1) {
      if (page.words[slot * leafWords] !== 0) cleared += 1;
    }
    if (cleared === 0) return 0;
    const { index } = page;
    if (cleared === page.used) {
      // The whole leaf goes: it is not copied in order to be emptied.
      for (let slot = first; slot < end; slot += 1) this.#release(epoch, page, slot);
      this.#cut(epoch, page);
    } else {
      const own = this.grow(epoch, index);
      this.pages.change(own);
      for (let slot = first; slot < end; slot += 1) {
        this.#release(epoch, own, slot);
        own.words.fill(0, slot * leafWords, (slot + 1) * leafWords);
      }
      own.used -= cleared;
    }
    epoch.mapped -= cleared;
    return cleared;
  }

  #release(epoch: Epoch, page: Page, slot: number): void {
    const address = page.words[slot * leafWords]!;
    if (address === 0) return;
    this.#listener.released(epoch, address, page.words[slot * leafWords + 1]!, page.index);
  }

  /** The tree of `epoch` has this page no longer, nor any parent that is empty then. */
  #cut(epoch: Epoch, page: Page): void {
    epoch.last = null;
    const alone = this.#epochs.alone(epoch, page.birth, page.lastLeaf);
    if (epoch.root === page.id) {
      epoch.root = 0;
      epoch.height = 0;
    } else {
      const leaf = page.firstLeaf;
      let parent = this.#ownRoot(epoch);
      while (parent.level > page.level + 1) {
        parent = this.#ownChild(epoch, parent, parent.slotOf(leaf), leaf);
      }
      const slot = parent.slotOf(leaf);
      assert.equal(parent.words[slot * 2], page.id);
      this.pages.change(parent);
      parent.words[slot * 2] = 0;
      parent.words[slot * 2 + 1] = 0;
      parent.used -= 1;
      if (parent.used === 0) this.#cut(epoch, parent);
    }
    if (!alone) return;
    if (page.birth === epoch.number) epoch.pages -= 1;
    this.pages.free(page);
  }
}
