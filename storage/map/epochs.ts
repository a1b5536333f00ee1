/**
 * Epochs: the versions of spaces. A space that is written has an open epoch; a snapshot freezes it and
 * opens another behind it; a clone opens one behind a frozen epoch of another line. So epochs form a
 * tree, and numbers rise along every path, since they are given out in order and never again.
 *
 * What an epoch maps it has written itself or taken over, when it was opened, from the one before it.
 * Whatever carries the number b (a block, a page) and is seen by epoch e was seen by every epoch between
 * b and e: hence the one rule on which all accounting rests:
 *
 *   what e sees is its own alone, seen from above, if b is higher than the number of e's parent.
 *
 * An epoch that was removed is *doomed* until what only it saw is given back, leaf by leaf up to
 * `cursor`; below that its children belong to its parent already. With two children or more it stays as
 * a *ghost*, which holds what they may still share, until one is left.
 *
 * A *line* is the chain of epochs of one disk: it branches off an epoch of another line when a clone is
 * made. It outlives its epochs, because blocks name the line in which they were written: that is how
 * the cleaner finds who sees a block.
 */
import assert from 'node:assert/strict';
import type { Page } from './page.ts';

export type EpochState = 'open' | 'frozen' | 'ghost' | 'doomed';

export class Line {
  readonly id: number;
  /** Where it branched off; null: it began empty. */
  readonly from: Line | null;
  readonly fromEpoch: number;
  /** In ascending order. */
  readonly epochs: Epoch[] = [];
  readonly branches = new Set<Line>();

  constructor(id: number, from: Line | null, fromEpoch: number) {
    this.id = id;
    this.from = from;
    this.fromEpoch = fromEpoch;
    from?.branches.add(this);
  }
}

export class Epoch {
  readonly number: number;
  readonly line: Line;
  /** The address space that leads here; 0: none (ghosts, doomed). */
  ref: number;
  state: EpochState;
  parent: Epoch | null = null;
  readonly children = new Set<Epoch>();
  /** Root page; 0: it maps nothing. */
  root = 0;
  height = 0;
  /** Blocks that it maps. */
  mapped = 0;
  /** Blocks of these that it wrote itself, and pages that it made. */
  own = 0;
  pages = 0;
  /** Blocks promised to it. */
  reserved = 0;
  /** Doomed: leaves below this number are done. */
  cursor = 0;
  /** Ghosts: leaves in which somebody sees less than before; null: any. */
  loose: Set<number> | null = null;
  /** Sequence of the group that holds its last unmap of this life; 0: none. */
  unmappedIn = 0;
  /** The leaf asked for last: neighbours are asked for next. */
  last: Page | null = null;

  constructor(number: number, line: Line, ref: number, state: EpochState) {
    this.number = number;
    this.line = line;
    this.ref = ref;
    this.state = state;
  }

  /** Whether it sees for a space that leads to it. */
  get sees(): boolean {
    return this.state === 'open' || this.state === 'frozen';
  }

  /** Doomed, and what only it saw in leaves up to `lastLeaf` has been given back. */
  isDone(lastLeaf: number): boolean {
    return this.state === 'doomed' && this.cursor > lastLeaf;
  }

  get writable(): boolean {
    return this.state === 'open';
  }
}

export class Epochs {
  readonly byNumber = new Map<number, Epoch>();
  readonly byRef = new Map<number, Epoch>();
  readonly lines = new Map<number, Line>();
  /** The number that the next epoch gets. */
  next = 1;

  /** A space that begins empty. */
  begin(ref: number, number: number): Epoch {
    const epoch = new Epoch(number, new Line(number, null, 0), ref, 'open');
    this.lines.set(epoch.line.id, epoch.line);
    this.#add(epoch, null);
    return epoch;
  }

  /** `of` is frozen under `ref`; what it led to goes on in a new epoch. */
  freeze(of: Epoch, ref: number, number: number): Epoch {
    assert(of.state === 'open');
    const epoch = new Epoch(number, of.line, of.ref, 'open');
    this.#inherit(epoch, of);
    epoch.reserved = of.reserved;
    epoch.unmappedIn = of.unmappedIn;
    of.state = 'frozen';
    of.ref = ref;
    of.reserved = 0;
    this.byRef.set(ref, of);
    this.#add(epoch, of);
    return epoch;
  }

  /** A space that begins with what frozen `from` maps. */
  branch(from: Epoch, ref: number, number: number): Epoch {
    assert(from.state === 'frozen');
    const epoch = new Epoch(number, new Line(number, from.line, from.number), ref, 'open');
    this.lines.set(epoch.line.id, epoch.line);
    this.#inherit(epoch, from);
    this.#add(epoch, from);
    return epoch;
  }

  #inherit(epoch: Epoch, from: Epoch): void {
    epoch.root = from.root;
    epoch.height = from.height;
    epoch.mapped = from.mapped;
  }

  #add(epoch: Epoch, parent: Epoch | null): void {
    assert(epoch.number >= this.next, 'numbers rise');
    this.next = epoch.number + 1;
    this.adopt(epoch, parent);
  }

  /** Put an epoch that was read, or made, in its place. */
  adopt(epoch: Epoch, parent: Epoch | null): void {
    epoch.parent = parent;
    parent?.children.add(epoch);
    epoch.line.epochs.push(epoch);
    this.byNumber.set(epoch.number, epoch);
    if (epoch.ref !== 0) this.byRef.set(epoch.ref, epoch);
  }

  /** The space that leads to it is no more. */
  doom(epoch: Epoch): void {
    this.byRef.delete(epoch.ref);
    epoch.ref = 0;
    epoch.reserved = 0;
    epoch.state = 'doomed';
    epoch.cursor = 0;
  }

  /** What only it saw is given back: it goes, and its child, if it has one, follows its parent. */
  splice(epoch: Epoch): void {
    assert(epoch.state === 'doomed' && epoch.children.size <= 1);
    const { parent, line } = epoch;
    parent?.children.delete(epoch);
    for (const child of epoch.children) {
      child.parent = parent;
      parent?.children.add(child);
    }
    this.byNumber.delete(epoch.number);
    line.epochs.splice(line.epochs.indexOf(epoch), 1);
    this.#forget(line);
  }

  #forget(line: Line): void {
    if (line.epochs.length > 0 || line.branches.size > 0) return;
    this.lines.delete(line.id);
    if (line.from === null) return;
    line.from.branches.delete(line);
    this.#forget(line.from);
  }

  /** The nearest epoch before `epoch` that still sees what both saw in leaves up to `lastLeaf`. */
  before(epoch: Epoch, lastLeaf: number): Epoch | null {
    let parent = epoch.parent;
    while (parent?.isDone(lastLeaf)) parent = parent.parent;
    return parent;
  }

  /** Whether no epoch before `epoch` sees what carries `birth` in leaves up to `lastLeaf`. */
  alone(epoch: Epoch, birth: number, lastLeaf: number): boolean {
    const parent = this.before(epoch, lastLeaf);
    return parent === null || birth > parent.number;
  }
}
