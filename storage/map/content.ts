/**
 * What the store holds: the spaces, their epochs and maps, and the live count of every segment, changed
 * together. The same methods serve a running store and its recovery, so that both arrive at the same
 * state. Callers see to it that the pages on the way are in memory (`missing`).
 */
import assert from 'node:assert/strict';
import { StorageError } from '../base/errors.ts';
import { type Entry, EntryKind } from '../log/format.ts';
import type { Segments } from '../log/segments.ts';
import type { Account } from './account.ts';
import { type Epoch, Epochs } from './epochs.ts';
import { leafFanout, leafOf, leafWords, type Page } from './page.ts';
import { PageTable } from './page-table.ts';
import { type Missing, type PageSource, Pages } from './pages.ts';
import { seers } from './seers.ts';
import { Trees } from './trees.ts';

export class Content {
  readonly segments: Segments;
  readonly account: Account;
  readonly epochs = new Epochs();
  readonly pages: Pages;
  readonly trees: Trees;
  /** Told when an epoch sees a block no longer that this ghost holds, in `leaf`. */
  loosened: (ghost: Epoch, leaf: number) => void = () => {};

  constructor(segments: Segments, account: Account, source: PageSource, mapBytes: number) {
    this.segments = segments;
    this.account = account;
    const table = new PageTable();
    account.pagesOf = table;
    this.pages = new Pages(
      table,
      source,
      { pageDied: (address) => segments.dies(address) },
      mapBytes,
    );
    this.trees = new Trees(this.pages, this.epochs, this);
  }

  /** The space, living or frozen, that `ref` leads to. */
  space(ref: number): Epoch | undefined {
    return this.epochs.byRef.get(ref);
  }

  /** The page that has to be loaded before `block` of `epoch` can be looked at and set; null: none. */
  missing(epoch: Epoch, block: number): Missing | null {
    return this.trees.growable(epoch, leafOf(block)) ? null : this.trees.wanted;
  }

  create(ref: number, reserved: number, number: number): Epoch {
    assert(!this.epochs.byRef.has(ref));
    const epoch = this.epochs.begin(ref, number);
    this.promise(epoch, reserved);
    return epoch;
  }

  promise(epoch: Epoch, reserved: number): void {
    this.account.without(epoch);
    epoch.reserved = reserved;
    this.account.with(epoch);
  }

  /** `of` is frozen as `as`, and goes on. */
  freeze(of: number, as: number, number: number): void {
    const epoch = this.space(of);
    assert(epoch !== undefined && !this.epochs.byRef.has(as));
    this.account.without(epoch);
    this.account.with(this.epochs.freeze(epoch, as, number));
  }

  branch(from: number, ref: number, reserved: number, number: number): void {
    const epoch = this.space(from);
    assert(epoch !== undefined && !this.epochs.byRef.has(ref));
    this.promise(this.epochs.branch(epoch, ref, number), reserved);
  }

  /** The space is no more. What only it saw is given back by `Removals`. */
  drop(epoch: Epoch): void {
    this.account.without(epoch);
    this.epochs.doom(epoch);
  }

  /** `ref` leads to what frozen `from` maps; what it led to before is given back as by `drop`. */
  revert(ref: number, from: number, number: number): void {
    const epoch = this.space(ref);
    assert(epoch !== undefined);
    const { reserved } = epoch;
    this.drop(epoch);
    this.branch(from, ref, reserved, number);
  }

  /** Block → address and checksum; what stood there before is released. */
  set(epoch: Epoch, block: number, address: number, crc: number): void {
    if (epoch.reserved > 0) this.account.without(epoch);
    const leaf = this.trees.grow(epoch, leafOf(block));
    this.pages.change(leaf);
    const word = (block % leafFanout) * leafWords;
    const { words } = leaf;
    const old = words[word]!;
    if (old !== 0) this.released(epoch, old, words[word + 1]!, leaf.index);
    else {
      leaf.used += 1;
      epoch.mapped += 1;
    }
    words[word] = address;
    words[word + 1] = epoch.number;
    words[word + 2] = crc;
    epoch.own += 1;
    if (epoch.reserved > 0) this.account.with(epoch);
    this.account.physical += 1;
    this.segments.born(address);
  }

  released(epoch: Epoch, address: number, birth: number, leaf: number): void {
    if (birth === epoch.number) epoch.own -= 1;
    let seer = this.epochs.before(epoch, leaf);
    if (seer === null || birth > seer.number) {
      this.died(address);
      return;
    }
    // A ghost holds it for others: whether there are any left is looked up later.
    while (!seer.sees) {
      const before = this.epochs.before(seer, leaf);
      if (before === null || birth > before.number) {
        if (seer.state === 'ghost') this.loosened(seer, leaf);
        return;
      }
      seer = before;
    }
  }

  /** Nobody sees the block any more. */
  died(address: number): void {
    this.account.physical -= 1;
    this.segments.dies(address);
  }

  /** Blocks [first, end) that lie in leaf `page` read as zeros; returns how many were given back. */
  clear(epoch: Epoch, page: Page, first: number, end: number): number {
    const base = page.index * leafFanout;
    const from = Math.max(first - base, 0);
    const to = Math.min(end - base, leafFanout);
    this.account.without(epoch);
    const cleared = this.trees.clear(epoch, page, from, to);
    this.account.with(epoch);
    return cleared;
  }

  /** The block at `from` stands at `to` now, for all who see it. `leaves` are theirs, see `seers`. */
  move(leaves: readonly Page[], block: number, from: number, to: number): void {
    const word = (block % leafFanout) * leafWords;
    for (const leaf of leaves) {
      assert.equal(leaf.words[word], from);
      this.pages.change(leaf);
      leaf.words[word] = to;
    }
    this.segments.dies(from);
    this.segments.born(to);
  }

  /** Recovery: the page that has to be loaded before `replay` of the entry; null: none. */
  missingFor(entry: Entry): Missing | null {
    if (entry.kind === EntryKind.move) {
      const found = seers(this, entry.ref, entry.epoch, entry.block, entry.count);
      return found === null ? this.trees.wanted : null;
    }
    if (entry.kind === EntryKind.data) {
      return this.missing(this.#known(entry.epoch), entry.block);
    }
    if (entry.kind !== EntryKind.unmap) return null;
    const epoch = known(this.space(entry.ref), entry.ref);
    const last = leafOf(entry.block + entry.count - 1);
    for (let from = leafOf(entry.block); ; ) {
      const page = this.trees.next(epoch, from, last);
      if (page === undefined) return this.trees.wanted;
      if (page === null) return null;
      from = page.index + 1;
    }
  }

  #known(number: number): Epoch {
    return known(this.epochs.byNumber.get(number), number);
  }

  /** Recovery: take one entry of the log into account. */
  replay(entry: Entry): void {
    const { ref, block, count, epoch: number } = entry;
    const epoch = this.space(ref);
    switch (entry.kind) {
      case EntryKind.create:
        this.create(ref, block, number);
        break;
      case EntryKind.data:
        this.set(this.#known(number), block, entry.address, entry.crc);
        break;
      case EntryKind.move: {
        const leaves = seers(this, ref, number, block, count)!;
        assert(leaves.length > 0, 'what was moved is seen by somebody');
        this.move(leaves, block, count, entry.address);
        break;
      }
      case EntryKind.unmap:
        this.#replayUnmap(known(epoch, ref), block, count);
        break;
      case EntryKind.reserve:
        this.promise(known(epoch, ref), block);
        break;
      case EntryKind.drop:
        this.drop(known(epoch, ref));
        break;
      case EntryKind.freeze:
        this.freeze(ref, block, number);
        break;
      case EntryKind.branch:
        this.branch(count, ref, block, number);
        break;
      case EntryKind.revert:
        this.revert(ref, block, number);
        break;
      default:
        break; // Pages and sheets of checkpoints: the superblock leads to those that count.
    }
  }

  #replayUnmap(epoch: Epoch, block: number, count: number): void {
    const last = leafOf(block + count - 1);
    for (let from = leafOf(block); ; ) {
      const page = this.trees.next(epoch, from, last);
      assert(page !== undefined);
      if (page === null) return;
      from = page.index + 1;
      this.clear(epoch, page, block, block + count);
    }
  }
}

function known(epoch: Epoch | undefined, number: number): Epoch {
  if (epoch !== undefined) return epoch;
  throw new StorageError(
    'CORRUPT',
    `the log writes to epoch or space ${number}, which is not there`,
  );
}
