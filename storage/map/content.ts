/**
 * What the store holds: the spaces, their maps, and the live count of every segment, changed
 * together. The same methods serve a running store and its recovery, so that both arrive at the
 * same state.
 */
import assert from 'node:assert/strict';
import { type Entry, EntryKind } from '../log/format.ts';
import type { Segments } from '../log/segments.ts';
import { type Account, Share } from './account.ts';
import { fanout, type Page, PageLedger } from './page.ts';
import { Tree } from './tree.ts';

export class Space {
  readonly ref: number;
  readonly share: Share;
  readonly tree: Tree;
  /** Sequence of the group that holds its last unmap of this life; 0: none. */
  unmappedIn = 0;

  constructor(ref: number, share: Share, tree: Tree) {
    this.ref = ref;
    this.share = share;
    this.tree = tree;
  }
}

export class Content {
  readonly segments: Segments;
  readonly account: Account;
  readonly pages = new PageLedger();
  readonly spaces = new Map<number, Space>();

  constructor(segments: Segments, account: Account) {
    this.segments = segments;
    this.account = account;
  }

  /** A new empty space. It is the caller's that there is none and that the promise fits. */
  create(ref: number, reserved: number): Space {
    assert(!this.spaces.has(ref));
    const space = this.propose(ref);
    space.share.promise(reserved);
    this.spaces.set(ref, space);
    return space;
  }

  /** A space that is not known yet. */
  propose(ref: number): Space {
    const share = new Share(this.account);
    const tree = new Tree(ref, this.pages, {
      pagesChanged: (delta) => share.page(delta),
      pageDied: (address) => this.segments.dies(address),
    });
    return new Space(ref, share, tree);
  }

  /** Block → address and checksum; what stood there before is garbage. */
  set(space: Space, block: number, address: number, crc: number): void {
    const leaf = space.tree.grow(block);
    const word = (block % fanout) * 2;
    const old = leaf.words[word]!;
    if (old === address) return; // replayed onto a page that has it already
    if (old !== 0) this.segments.dies(old);
    else {
      leaf.used += 1;
      space.share.map(1);
    }
    leaf.words[word] = address;
    leaf.words[word + 1] = crc;
    this.segments.born(address);
    if (!leaf.dirty) this.pages.mark(leaf);
  }

  /** Clear what `leaf` has of [first, end); returns how many blocks were given back. */
  clear(space: Space, leaf: Page, first: number, end: number): number {
    const base = leaf.index * fanout;
    const from = Math.max(first - base, 0) * 2;
    const to = Math.min(end - base, fanout) * 2;
    let cleared = 0;
    for (let word = from; word < to; word += 2) {
      const address = leaf.words[word]!;
      if (address === 0) continue;
      this.segments.dies(address);
      leaf.words[word] = 0;
      leaf.words[word + 1] = 0;
      cleared += 1;
    }
    if (cleared === 0) return 0;
    leaf.used -= cleared;
    space.share.map(-cleared);
    this.pages.mark(leaf);
    if (leaf.used === 0) space.tree.shrink(leaf);
    return cleared;
  }

  /** The space is no more; its blocks are given back as the iterator is drawn. */
  *drop(space: Space): Generator<void> {
    assert(this.spaces.get(space.ref) === space);
    this.spaces.delete(space.ref);
    space.share.promise(0);
    for (const page of space.tree.dismantle()) {
      if (page.level === 1) this.#empty(space, page);
      yield;
    }
    assert.equal(space.share.mapped, 0);
  }

  #empty(space: Space, leaf: Page): void {
    for (let word = 0; word < leaf.words.length; word += 2) {
      const address = leaf.words[word]!;
      if (address !== 0) this.segments.dies(address);
    }
    space.share.map(-leaf.used);
  }

  /** Recovery: take one entry of the log into account. */
  replay(entry: Entry): void {
    if (entry.kind === EntryKind.create) {
      if (!this.spaces.has(entry.ref)) this.create(entry.ref, entry.block);
      return;
    }
    // A space that the log drops further on may be missing already: its entries do not matter.
    const space = this.spaces.get(entry.ref);
    if (space === undefined) return;
    if (entry.kind === EntryKind.data) {
      this.set(space, entry.block, entry.address, entry.crc);
    } else if (entry.kind === EntryKind.unmap) {
      const end = entry.block + entry.count;
      for (const leaf of [...space.tree.leaves(entry.block, entry.count)]) {
        this.clear(space, leaf, entry.block, end);
      }
    } else if (entry.kind === EntryKind.reserve) {
      space.share.promise(entry.block);
    } else if (entry.kind === EntryKind.drop) {
      for (const _ of this.drop(space));
    }
  }
}
