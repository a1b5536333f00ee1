/**
 * Where each page of the map is. The table lies in the log itself, in sheets of 256 records that are
 * read when they are first needed and then stay: 16 bytes for each MiB that is mapped.
 *
 *   record of page id, in sheet floor(id / 256):
 *     word 0  log address; 0: never written
 *          1  crc, as its group's entry has it
 *          2  epoch in which the page was made
 *          3  level; 0: the id is free, and word 0 is the next free id
 *
 * Id 0 is nobody's.
 */
import assert from 'node:assert/strict';
import { StorageError } from '../base/errors.ts';
import { blockWords } from '../log/frame.ts';
import { Sheet } from './page.ts';

const recordWords = 4;
export const idsPerSheet = blockWords / recordWords;
/** Sheets that checkpoints can name; above it the store is full. */
const sheetsMax = 120_000;

export class TableSheet extends Sheet {
  readonly number: number;

  constructor(number: number, words: Uint32Array) {
    super(words);
    this.number = number;
  }
}

export class PageTable {
  readonly #sheets: (TableSheet | undefined)[] = [];
  /** The head of the chain of free ids, and the first id that was never used. */
  freeHead = 0;
  nextId = 1;
  /** Ids in use. */
  used = 0;
  #dirty: TableSheet[] = [];

  /** Sheets that have changed since the last checkpoint began. */
  get dirty(): number {
    return this.#dirty.length;
  }

  get sheets(): number {
    return Math.ceil(this.nextId / idsPerSheet);
  }

  /** Whether the record of `id` is in memory. */
  has(id: number): boolean {
    return this.#sheets[Math.floor(id / idsPerSheet)] !== undefined;
  }

  /** A sheet that was read. */
  adopt(number: number, words: Uint32Array): void {
    assert(this.#sheets[number] === undefined);
    this.#sheets[number] = new TableSheet(number, words);
  }

  address(id: number): number {
    return this.#words(id)[at(id)]!;
  }

  crc(id: number): number {
    return this.#words(id)[at(id) + 1]!;
  }

  birth(id: number): number {
    return this.#words(id)[at(id) + 2]!;
  }

  /** 0: the id is free. */
  level(id: number): number {
    return this.#words(id)[at(id) + 3]!;
  }

  #words(id: number): Uint32Array {
    const sheet = this.#sheets[Math.floor(id / idsPerSheet)];
    assert(sheet !== undefined, `the record of page ${id} is in memory`);
    return sheet.words;
  }

  /** An id for a new page. NO_SPACE when the table cannot grow any more. */
  allocate(birth: number, level: number): number {
    let id = this.freeHead;
    if (id !== 0 && this.has(id)) {
      const next = this.address(id);
      // Another sheet has the next one: it is read before long, until then new ids are used.
      this.freeHead = next;
    } else {
      id = this.nextId;
      if (Math.floor(id / idsPerSheet) >= sheetsMax) {
        throw new StorageError('NO_SPACE', 'the map has no room for more pages');
      }
      this.nextId += 1;
      const number = Math.floor(id / idsPerSheet);
      this.#sheets[number] ??= new TableSheet(number, new Uint32Array(blockWords));
    }
    const words = this.change(id).words;
    const word = at(id);
    words[word] = 0;
    words[word + 1] = 0;
    words[word + 2] = birth;
    words[word + 3] = level;
    this.used += 1;
    return id;
  }

  free(id: number): void {
    const words = this.change(id).words;
    const word = at(id);
    assert(words[word + 3] !== 0, 'a page goes once');
    words[word] = this.freeHead;
    words[word + 1] = 0;
    words[word + 2] = 0;
    words[word + 3] = 0;
    this.freeHead = id;
    this.used -= 1;
  }

  /** The record of `id` is about to change, now or by the next checkpoint. */
  change(id: number): TableSheet {
    const sheet = this.#sheets[Math.floor(id / idsPerSheet)];
    assert(sheet !== undefined, `the record of page ${id} is in memory`);
    sheet.beforeChange();
    if (!sheet.dirty) {
      sheet.dirty = true;
      this.#dirty.push(sheet);
    }
    return sheet;
  }

  /** A checkpoint begins: the sheets that it writes. */
  take(): TableSheet[] {
    const taken = this.#dirty;
    this.#dirty = [];
    for (const sheet of taken) sheet.take();
    return taken;
  }

  /**
   * The checkpoint under way wrote the page: its address in what the checkpoint writes, and, unless
   * the page has gone since, in what is. Returns the address before.
   */
  move(id: number, address: number, crc: number, gone: boolean): number {
    const sheet = this.#sheets[Math.floor(id / idsPerSheet)]!;
    assert(sheet.pending, 'the sheet of a page to be written is to be written as well');
    const word = at(id);
    const before = sheet.frozen[word]!;
    if (sheet.image !== null) {
      sheet.image[word] = address;
      sheet.image[word + 1] = crc;
    }
    if (sheet.image === null || !gone) {
      assert(!gone || sheet.image !== null);
      sheet.words[word] = address;
      sheet.words[word + 1] = crc;
    }
    return before;
  }
}

const at = (id: number): number => (id % idsPerSheet) * recordWords;
