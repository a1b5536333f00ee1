/**
 * The pages of the map that are in memory: found by id, loaded when they are wanted, changed after
 * `change`, and let go (CLOCK) when there are more than the budget allows. A page that has changed stays
 * until a checkpoint has written it.
 *
 * Whoever works on the map first sees that the pages are here (`load` until nothing is missing) and then
 * does all of it in one turn: nothing goes while a turn lasts.
 */
import assert from 'node:assert/strict';
import { StorageError, storageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { Page } from './page.ts';
import { idsPerSheet, type PageTable } from './page-table.ts';

/** A page that has to be loaded. */
export interface Missing {
  readonly id: number;
  readonly level: number;
  readonly index: number;
}

/** Reads verified pages from the log. MEDIUM_ERROR: what is there is void. */
export interface PageSource {
  page(missing: Missing, address: number, crc: number): Promise<Uint32Array>;
  /** Sheet `number` of the page table. */
  sheet(number: number): Promise<Uint32Array>;
}

export interface PageListener {
  /** The copy of a page that went, in the log. */
  pageDied(address: number): void;
}

export class Pages {
  readonly table: PageTable;
  readonly #source: PageSource;
  readonly #listener: PageListener;
  readonly #max: number;
  readonly #pages = new Map<number, Page>();
  #hand: IterableIterator<Page>;
  readonly #loading = new Map<number, Promise<void>>();
  readonly #sheets = new Map<number, Promise<void>>();
  #dirty: Page[] = [];
  /** Pages that changed since the last checkpoint began; those that the one under way has to write. */
  dirty = 0;
  pending = 0;
  loads = 0;

  constructor(table: PageTable, source: PageSource, listener: PageListener, budgetBytes: number) {
    this.table = table;
    this.#source = source;
    this.#listener = listener;
    this.#max = Math.max(limits.mapPagesMin, Math.floor(budgetBytes / limits.mapPageBytes));
    this.#hand = this.#pages.values();
  }

  /** In memory. */
  get count(): number {
    return this.#pages.size;
  }

  /** More than the budget allows. */
  get over(): boolean {
    return this.#pages.size >= this.#max;
  }

  /** So much has changed that a checkpoint is due, and that writers wait for it. */
  get due(): boolean {
    return this.dirty >= this.#max / 4;
  }

  get crowded(): boolean {
    return this.dirty + this.pending >= this.#max / 2;
  }

  get(id: number): Page | undefined {
    const page = this.#pages.get(id);
    if (page !== undefined) page.touched = true;
    return page;
  }

  /** Resolves when the page is here. Rejects with MEDIUM_ERROR. */
  load(missing: Missing): Promise<void> {
    const { id } = missing;
    if (this.#pages.has(id)) return Promise.resolve();
    const loading = this.#loading.get(id);
    if (loading !== undefined) return loading;
    const load = this.#load(missing).finally(() => this.#loading.delete(id));
    this.#loading.set(id, load);
    return load;
  }

  async #load(missing: Missing): Promise<void> {
    const { id, level, index } = missing;
    if (!this.table.has(id)) await this.loadSheet(Math.floor(id / idsPerSheet));
    const { table } = this;
    if (table.level(id) !== level) {
      throw new StorageError(
        'MEDIUM_ERROR',
        `the map is damaged: page ${id} is not of level ${level}`,
      );
    }
    const words = await this.#source.page(missing, table.address(id), table.crc(id));
    this.loads += 1;
    this.trim();
    this.#pages.set(id, new Page(id, level, index, table.birth(id), words));
  }

  /** Somebody has read the page, which is the one that the table names. */
  offer({ id, level, index }: Missing, words: Uint32Array): void {
    if (this.#pages.has(id) || this.#loading.has(id)) return;
    this.#pages.set(id, new Page(id, level, index, this.table.birth(id), words));
  }

  loadSheet(number: number): Promise<void> {
    if (this.table.has(number * idsPerSheet)) return Promise.resolve();
    const loading = this.#sheets.get(number);
    if (loading !== undefined) return loading;
    const load = this.#source
      .sheet(number)
      .then((words) => this.table.adopt(number, words))
      .finally(() => this.#sheets.delete(number));
    this.#sheets.set(number, load);
    return load;
  }

  make(level: number, index: number, birth: number): Page {
    const page = new Page(this.table.allocate(birth, level), level, index, birth);
    this.#add(page);
    return page;
  }

  /** A page of `birth` with what `from` holds. */
  copy(from: Page, birth: number): Page {
    const { level, index } = from;
    const page = new Page(
      this.table.allocate(birth, level),
      level,
      index,
      birth,
      from.words.slice(),
    );
    this.#add(page);
    return page;
  }

  #add(page: Page): void {
    this.#pages.set(page.id, page);
    page.dirty = true;
    this.dirty += 1;
    this.#dirty.push(page);
  }

  /** To be called before its words are changed, or to have it written anew. */
  change(page: Page): void {
    assert(!page.gone && !page.evicted);
    page.beforeChange();
    if (page.dirty) return;
    page.dirty = true;
    this.dirty += 1;
    this.#dirty.push(page);
    this.table.change(page.id);
  }

  /** No map has it any more. */
  free(page: Page): void {
    assert(!page.gone && !page.evicted);
    const address = this.table.address(page.id);
    this.table.free(page.id);
    if (address !== 0) this.#listener.pageDied(address);
    this.#pages.delete(page.id);
    page.gone = true;
    if (page.dirty) this.dirty -= 1;
    page.dirty = false;
  }

  /** A checkpoint begins: the pages that it writes, as they are now. */
  take(): Page[] {
    const taken = this.#dirty.filter((page) => page.dirty);
    this.#dirty = [];
    for (const page of taken) page.take();
    this.pending = taken.length;
    this.dirty = 0;
    return taken;
  }

  /** The checkpoint has written it. */
  written(page: Page): void {
    page.written();
    this.pending -= 1;
  }

  /** Let go of what the budget does not allow, a step of the hand long. Between turns only. */
  trim(): void {
    // Where all is in use or has changed, the budget is exceeded for now.
    for (let looked = 0; this.over && looked < limits.mapPagesMin; looked += 1) {
      let next = this.#hand.next();
      if (next.done) {
        this.#hand = this.#pages.values();
        next = this.#hand.next();
        if (next.done) return;
      }
      const page = next.value;
      if (page.dirty || page.pending) continue;
      if (page.touched) {
        page.touched = false;
        continue;
      }
      page.evicted = true;
      this.#pages.delete(page.id);
    }
  }
}

/** Why a page could not be loaded, for whoever wanted it. */
export const unreadable = (reason: unknown): StorageError =>
  storageError(reason, 'MEDIUM_ERROR', 'the map cannot be read');
