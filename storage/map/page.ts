/**
 * A page of the map, as it is in memory and in the log: 4 KiB.
 *
 *   level 1 (leaf): 256 entries of 16 bytes, one for each block of 1 MiB of a space
 *     word 4i      log address of the block; 0: nothing
 *          4i + 1  epoch in which it was written
 *          4i + 2  crc of the block, as its group's entry has it
 *          4i + 3  0
 *
 *   level 2 and up: 512 entries of 8 bytes, one for each page one level down
 *     word 2i      id of the page; 0: nothing
 *          2i + 1  epoch in which that page was made
 *
 * A page of level 2 covers 512 MiB of a space, of level 3 256 GiB, of level 4 128 TiB. Parents name a
 * page by its id, and the page table says where it is: so a page that many epochs share is moved and
 * rewritten by changing one record (see page-table.ts).
 */
import assert from 'node:assert/strict';
import { limits } from '../base/limits.ts';
import { blockWords } from '../log/frame.ts';

export const leafWords = 4;
export const innerWords = 2;
/** Blocks of a leaf; children of an inner page. */
export const leafFanout = blockWords / leafWords;
export const innerFanout = blockWords / innerWords;

/** Leaves below a page of `level`. */
export const leavesBelow = (level: number): number => innerFanout ** (level - 1);

/** The last leaf below page `index` of a level. */
export const lastLeafOf = (level: number, index: number): number =>
  (index + 1) * leavesBelow(level) - 1;

/** Which leaf has a block. */
export const leafOf = (block: number): number => Math.floor(block / leafFanout);

/** Levels that a tree needs so that it has leaf `index`. */
export function heightFor(index: number): number {
  let height = 1;
  while (index >= leavesBelow(height)) height += 1;
  return height;
}

export const heightMax = heightFor(leafOf(limits.spaceBlocksMax - 1));

/** Pages of a full map of blocks [0, blocks). */
export function pagesFor(blocks: number): number {
  let pages = 0;
  let level = Math.ceil(blocks / leafFanout);
  while (level > 0) {
    pages += level;
    if (level === 1) break;
    level = Math.ceil(level / innerFanout);
  }
  return pages;
}

/** What a checkpoint writes: 4 KiB that are written as they were when it began. */
export class Sheet {
  words: Uint32Array;
  /** Changed since the checkpoint that was begun last. */
  dirty = false;
  /** To be written by the checkpoint under way. */
  pending = false;
  /** How it was when the checkpoint under way began, where it has changed since. */
  image: Uint32Array | null = null;

  constructor(words: Uint32Array) {
    assert(words.length === blockWords);
    this.words = words;
  }

  /** To be called before its words are changed. */
  beforeChange(): void {
    if (this.pending && this.image === null) this.image = this.words.slice();
  }

  /** A checkpoint begins: this is how it is to be written. */
  take(): void {
    assert(!this.pending);
    this.dirty = false;
    this.pending = true;
  }

  /** The words that the checkpoint under way writes. */
  get frozen(): Uint32Array {
    return this.image ?? this.words;
  }

  /** The checkpoint has written it. */
  written(): void {
    this.pending = false;
    this.image = null;
  }
}

export class Page extends Sheet {
  readonly id: number;
  readonly level: number;
  /** Its number among the pages of its level. */
  readonly index: number;
  /** Epoch in which it was made. */
  readonly birth: number;
  /** Entries that are not nothing. */
  used = 0;
  /** Used since the hand of the cache passed by. */
  touched = true;
  /** No longer part of any map. */
  gone = false;
  /** Not in memory any more; whoever has it looks it up again. */
  evicted = false;

  constructor(id: number, level: number, index: number, birth: number, words?: Uint32Array) {
    super(words ?? new Uint32Array(blockWords));
    this.id = id;
    this.level = level;
    this.index = index;
    this.birth = birth;
    if (words !== undefined) this.count();
  }

  count(): void {
    const step = this.level === 1 ? leafWords : innerWords;
    let used = 0;
    for (let word = 0; word < blockWords; word += step) if (this.words[word] !== 0) used += 1;
    this.used = used;
  }

  /** First and last leaf that it covers. */
  get firstLeaf(): number {
    return this.index * leavesBelow(this.level);
  }

  get lastLeaf(): number {
    return lastLeafOf(this.level, this.index);
  }

  /** Number of the entry for `leaf`, which lies below this inner page. */
  slotOf(leaf: number): number {
    return Math.floor(leaf / leavesBelow(this.level - 1)) % innerFanout;
  }
}
