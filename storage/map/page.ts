/**
 * A page of a space's map, as it is in memory and in the log: 512 entries of 8 bytes.
 *
 *   word 2i      address of entry i: of a block (level 1) or of a page one level down; 0: nothing
 *   word 2i + 1  crc of what stands there, as its group's entry has it
 *
 * A page of level 1 covers 2 MiB of the space, of level 2 1 GiB, of level 3 512 GiB. In an inner
 * page the address of a child that was never written is 0 although the child exists in memory.
 */
import assert from 'node:assert/strict';
import { limits } from '../base/limits.ts';

export const fanout = limits.blockBytes / 8;
export const fanoutBits = Math.log2(fanout);
assert(Number.isInteger(fanoutBits));

export class Page {
  readonly ref: number;
  readonly level: number;
  /** Its number among the pages of its level. */
  readonly index: number;
  readonly words = new Uint32Array(fanout * 2);
  /** Level 2 and up. */
  readonly children: (Page | undefined)[] | null;
  parent: Page | null = null;
  /** Entries that are not nothing. */
  used = 0;
  /** Where its newest copy in the log is; 0: nowhere yet. */
  address = 0;
  crc = 0;
  /** The copy in the log is not what is here. */
  dirty = false;
  /** Children that are dirty. */
  dirtyChildren = 0;
  /** No longer part of a map. */
  gone = false;

  constructor(ref: number, level: number, index: number) {
    this.ref = ref;
    this.level = level;
    this.index = index;
    this.children = level > 1 ? new Array<Page | undefined>(fanout).fill(undefined) : null;
  }

  /** As it is in the log. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.words.buffer);
  }

  /** Number of the entry in its parent. */
  get slot(): number {
    return this.index % fanout;
  }
}

/** The dirty pages of all maps, by level, and how many pages there are. */
export class PageLedger {
  readonly #dirty: Page[][] = [];
  pages = 0;
  dirty = 0;

  /** Levels that have ever had a dirty page. */
  get levels(): number {
    return this.#dirty.length;
  }

  mark(page: Page): void {
    for (let at: Page | null = page; at !== null && !at.dirty; at = at.parent) {
      at.dirty = true;
      this.dirty += 1;
      if (at.parent !== null) at.parent.dirtyChildren += 1;
      while (this.#dirty.length < at.level) this.#dirty.push([]);
      this.#dirty[at.level - 1]!.push(at);
    }
  }

  /** The page's content was given to the log. */
  clean(page: Page): void {
    this.#clear(page);
    // A child that became dirty again since: the next checkpoint comes this way too.
    if (page.dirtyChildren > 0) this.mark(page);
  }

  /** The page is no longer part of a map. */
  forget(page: Page): void {
    if (page.dirty) this.#clear(page);
    page.gone = true;
    this.pages -= 1;
  }

  #clear(page: Page): void {
    page.dirty = false;
    this.dirty -= 1;
    if (page.parent !== null) page.parent.dirtyChildren -= 1;
  }

  /** Take over the list of dirty pages of `level`; some may have gone or be clean by now. */
  take(level: number): Page[] {
    return this.#dirty[level - 1]?.splice(0) ?? [];
  }
}
