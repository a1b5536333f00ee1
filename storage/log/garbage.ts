/**
 * The garbage file (Pegasus): every hole in the log is appended to it as an entry, in the order in which
 * holes come to be. Before it cleans, the cleaner goes through the file once and sorts out what belongs to
 * the segments that it has chosen; clients go on meanwhile, their entries come behind. So it knows the
 * holes of a segment without a look at the map, and what it does depends on the garbage, not on the store.
 *
 * The file is part of each checkpoint, in sheets of 4 KiB:
 *
 *   word 0     entries in this sheet
 *        1…    each a log address: of a block that died; or, with slot 0, where no block can be, of a
 *              segment that is filled anew: earlier entries of it do not count
 *
 * Where half of it counts no more it is gone through once more: entries of segments that were cleaned are left
 * out, the others go to its end. Where all is cleaned nothing is left but the entries for its own old
 * sheets.
 */
import { limits } from '../base/limits.ts';
import { segmentOf, slotOf } from './segments.ts';

const sheetWords = limits.blockBytes / 4;
const perSheet = sheetWords - 1;
const bitmapBytes = limits.blocksPerSegment / 8;

/** Slots of a segment that are holes, a bit each. */
export type Holes = Uint8Array;

export const isHole = (holes: Holes, slot: number): boolean =>
  (holes[slot >> 3]! & (1 << (slot & 7))) !== 0;

/** A sheet that a checkpoint has; null: it cannot be read. */
export type ReadSheet = (number: number) => Promise<Uint32Array | null>;

export interface GarbageSheet {
  readonly number: number;
  readonly words: Uint32Array;
}

export class Garbage {
  /** The oldest sheet, and the one behind the newest that a checkpoint has. */
  #first = 0;
  #next = 0;
  /** Sheets that no checkpoint has as they are now: the last of them is being filled. */
  #unwritten: Uint32Array[] = [];
  /** The first of them has been written, not full. */
  #halfWritten = false;
  /** Older ones that are to be written once more, elsewhere. */
  #again: GarbageSheet[] = [];
  /** Segments that the cleaner has prepared for, with what is known of them. */
  readonly #prepared = new Map<number, Holes>();
  /** Entries that count no more since the file was gone through last, about. */
  #retired = 0;
  /** Sheets read, for the cost of cleaning. */
  reads = 0;

  /** At open: the sheets that the checkpoint has. The last of them is filled on, if it can be read. */
  open(first: number, next: number, last: Uint32Array | null): void {
    this.#first = first;
    this.#next = next;
    if (last === null || last[0]! >= perSheet) return;
    // Else each short life would leave a sheet, and its segment, behind.
    this.#next -= 1;
    this.#unwritten = [Uint32Array.from(last)];
    this.#halfWritten = true;
  }

  /** Sheets of the file. */
  get sheets(): number {
    return this.#next - this.#first + this.#unwritten.length;
  }

  /** Sheets that the next checkpoint writes. */
  get changed(): number {
    return this.#unwritten.length + this.#again.length;
  }

  /** The block at `address` died. */
  hole(address: number): void {
    this.#append(address);
    const holes = this.#prepared.get(segmentOf(address));
    if (holes !== undefined) mark(holes, slotOf(address));
  }

  /** The segment is filled anew. */
  reused(segment: number): void {
    this.#append(segment * limits.blocksPerSegment);
    this.#prepared.delete(segment);
    this.#retired += limits.segmentContentBlocks;
  }

  /** Whether going through all of it would leave half of it, and is worth it. */
  get stale(): boolean {
    return this.sheets >= limits.garbageSheetsMin && this.#retired > (this.sheets * perSheet) / 2;
  }

  #append(entry: number): void {
    let sheet = this.#unwritten.at(-1);
    if (sheet === undefined || sheet[0] === perSheet) {
      sheet = new Uint32Array(sheetWords);
      this.#unwritten.push(sheet);
    }
    const count = sheet[0]! + 1;
    sheet[count] = entry;
    sheet[0] = count;
  }

  /** A checkpoint begins: the sheets that it writes, and the number of the oldest that it keeps. */
  take(): { readonly first: number; readonly sheets: readonly GarbageSheet[] } {
    const again = this.#again.filter(({ number }) => number >= this.#first && number < this.#next);
    this.#again = [];
    const sheets = this.#unwritten.map((words, index) => ({
      number: this.#next + index,
      words: words.slice(),
    }));
    const last = this.#unwritten.at(-1);
    // One that is not full is written once more, with what comes.
    const open = last !== undefined && last[0]! < perSheet;
    this.#next += open ? sheets.length - 1 : sheets.length;
    this.#unwritten = open ? [last] : [];
    this.#halfWritten = open;
    return { first: this.#first, sheets: [...again, ...sheets] };
  }

  /** The cleaner is about to clean the segment in which this sheet is. */
  async again(number: number, read: ReadSheet): Promise<void> {
    const words = await read(number);
    if (words !== null) this.#again.push({ number, words });
  }

  /** What is known of a segment that was prepared; undefined: nothing. */
  holes(segment: number): Holes | undefined {
    return this.#prepared.get(segment);
  }

  /** The segment was cleaned, or is not to be. */
  forget(segment: number): void {
    this.#prepared.delete(segment);
  }

  get prepared(): IterableIterator<number> {
    return this.#prepared.keys();
  }

  get preparedCount(): number {
    return this.#prepared.size;
  }

  /**
   * Go through the file once for these segments. `read` gives a sheet that a checkpoint has; null: it cannot
   * be read, and then nothing is known of any segment (a mark of reuse may have been on it).
   */
  async prepare(segments: readonly number[], read: ReadSheet): Promise<void> {
    const wanted = new Map<number, Holes>();
    for (const segment of segments) wanted.set(segment, new Uint8Array(bitmapBytes));
    const { whole } = await this.#eachWritten(read, (words) => collect(words, wanted));
    this.#prepared.clear();
    if (!whole) return;
    // No wait from here on: what is appended later is marked as it comes.
    for (const words of this.#unwritten) collect(words, wanted);
    for (const [segment, holes] of wanted) this.#prepared.set(segment, holes);
  }

  /** Sheets may be written while others are read: on until none is left. */
  async #eachWritten(
    read: ReadSheet,
    look: (words: Uint32Array) => void,
  ): Promise<{ whole: boolean }> {
    let whole = true;
    for (let number = this.#first; number < this.#next; number += 1) {
      const words = await read(number);
      this.reads += 1;
      if (words === null || words[0]! > perSheet) whole = false;
      else look(words);
    }
    return { whole };
  }

  /**
   * Go through it once more and leave out what was cancelled, and what is of segments that `done` names: the
   * rest goes to its end. With the next checkpoint the old sheets are gone.
   */
  async compact(read: ReadSheet, done: (segment: number) => boolean): Promise<void> {
    const kept: number[] = [];
    /** Segments that are filled anew further on: what stands before that does not count. */
    const anew = new Set<number>();
    for (let number = this.#next - 1; number >= this.#first; number -= 1) {
      const words = await read(number);
      this.reads += 1;
      if (words === null || words[0]! > perSheet) return;
      backwards(words, anew, kept, done);
    }
    // No wait from here on. What no checkpoint has yet is gone through as well, and stays behind the rest.
    const young: number[] = [];
    const unwritten = this.#unwritten.reverse();
    const later = new Set<number>();
    for (const words of unwritten) backwards(words, later, young, done);
    // The checkpoint may have the one that was being filled, under the next number.
    if (this.#halfWritten) this.#next += 1;
    this.#halfWritten = false;
    this.#first = this.#next;
    this.#unwritten = [];
    this.#retired = 0;
    for (const entry of kept.reverse()) if (!later.has(segmentOf(entry))) this.#append(entry);
    for (const entry of young.reverse()) this.#append(entry);
  }
}

function mark(holes: Holes, slot: number): void {
  holes[slot >> 3]! |= 1 << (slot & 7);
}

function collect(words: Uint32Array, wanted: ReadonlyMap<number, Holes>): void {
  for (let at = 1; at <= words[0]!; at += 1) {
    const holes = wanted.get(segmentOf(words[at]!));
    if (holes === undefined) continue;
    const slot = slotOf(words[at]!);
    if (slot === 0) holes.fill(0);
    else mark(holes, slot);
  }
}

/** From the newest entry to the oldest, so that a mark of reuse is met before what it cancels. */
function backwards(
  words: Uint32Array,
  anew: Set<number>,
  kept: number[],
  done: (segment: number) => boolean,
): void {
  for (let at = words[0]!; at > 0; at -= 1) {
    const entry = words[at]!;
    const segment = segmentOf(entry);
    if (slotOf(entry) === 0) anew.add(segment);
    else if (!anew.has(segment) && !done(segment)) kept.push(entry);
  }
}
