/**
 * A checkpoint: what the map was at one moment, between two groups of the log. The pages that had changed
 * go to the log, then the sheets that had (page table, live counts, epochs), then the blocks that say where
 * the sheets are, then a superblock that names those. Writes go on meanwhile: what they change is kept as
 * it was until it is written, and recovery replays the log from that moment on, each entry once.
 *
 * Invariant: the superblock is written only when every block that it leads to is durable.
 */
import assert from 'node:assert/strict';
import { type Clock, turn } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import { EntryKind } from '../log/format.ts';
import type { Garbage, ReadSheet } from '../log/garbage.ts';
import { countsPerSheet, type LiveCounts } from '../log/segments.ts';
import { type Superblock, writeSuperblock } from '../log/superblock.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Content } from './content.ts';
import { type Counters, encodeContents, type SheetPlace, sheetsPerBlock } from './contents.ts';
import type { Page } from './page.ts';
import { idsPerSheet, type TableSheet } from './page-table.ts';
import type { Places } from './places.ts';
import { encodeEpochs, epochsPerSheet, SheetKind } from './sheets.ts';

export interface CheckpointPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly storeId: Uint32Array;
  readonly writer: LogWriter;
  readonly content: Content;
  /** Where the sheets are. */
  readonly places: Places;
  readonly garbage: Garbage;
}

/** What a checkpoint writes, as it was when it began. */
interface Cut {
  readonly pages: readonly Page[];
  readonly tables: readonly TableSheet[];
  readonly live: LiveCounts;
  readonly garbage: ReturnType<Garbage['take']>;
  readonly epochs: readonly Uint32Array[];
  readonly spaces: number;
  readonly counters: Counters;
}

export class Checkpointer {
  readonly #ports: CheckpointPorts;
  #superblock: Superblock;
  /** Blocks of log written when the last checkpoint began. */
  #begunAt = 0;
  #running = false;
  /** Blocks of the sheets that the last checkpoint replaced: theirs to give back with this one. */
  #replaced: number[] = [];
  /** Sheets that the checkpoint under way has not written yet. */
  #sheetsToWrite = 0;
  /** Written by the checkpoint under way: after a crash it is to be written once more. */
  pagesInDoubt = 0;
  count = 0;
  mapBlocks = 0;

  /** `superblock`: the durable one; its checkpoint blocks are counted live by the caller. */
  constructor(ports: CheckpointPorts, superblock: Superblock) {
    this.#ports = ports;
    this.#superblock = superblock;
    ports.writer.checkpoint = superblock.sequence;
  }

  /** Bytes of log since the last one began. */
  get behindBytes(): number {
    return (this.#ports.writer.blocks - this.#begunAt) * limits.blockBytes;
  }

  /** Blocks of room that the next checkpoint, and one more after a crash within it, can take. */
  get debtBlocks(): number {
    const { pages, segments, epochs } = this.#ports.content;
    const sheets =
      pages.table.dirty +
      segments.changed +
      this.#ports.garbage.changed +
      Math.ceil(epochs.byNumber.size / epochsPerSheet) +
      1;
    const blocks = Math.ceil((this.#ports.places.count + sheets) / sheetsPerBlock) + 1;
    return (
      2 * (pages.dirty + pages.pending + this.#sheetsToWrite + sheets + blocks) + this.pagesInDoubt
    );
  }

  /** Resolves when the checkpoint is durable. DISK_FAILED. */
  async run(): Promise<void> {
    assert(!this.#running, 'one checkpoint at a time');
    this.#running = true;
    const { disk, storeId, writer, content } = this.#ports;
    const before = this.#superblock;
    this.#alive();
    const position = writer.position();
    this.#alive();
    this.#begunAt = writer.blocks;
    const cut = this.#cut();
    this.#sheetsToWrite = sheetsOf(cut);
    await this.#each(cut.pages, (page) => this.#page(page, cut.live));
    await this.#sheets(cut);
    this.#sheetsToWrite = 0;
    this.#alive();
    const blocks = this.#contents(cut.counters);
    const wholeAt = writer.newest;
    await writer.durable();
    const superblock: Superblock = {
      sequence: before.sequence + 1,
      incarnation: before.incarnation,
      segments: content.segments.count,
      spaces: cut.spaces,
      position,
      wholeAt,
      touched: content.segments.touched,
      blocks,
    };
    try {
      await writeSuperblock(disk, storeId, superblock);
    } catch (error) {
      writer.fail(error);
      throw writer.failure!;
    }
    for (const block of before.blocks) content.segments.dies(block.address, true);
    for (const address of this.#replaced.splice(0)) content.segments.dies(address, true);
    content.segments.completeCheckpoint();
    writer.checkpoint = superblock.sequence;
    this.#superblock = superblock;
    this.pagesInDoubt = 0;
    this.count += 1;
    await this.#trim();
    this.#running = false;
  }

  /** Many pages that were made since the last one may go only now that they are written. */
  async #trim(): Promise<void> {
    const { clock, content } = this.#ports;
    const { pages } = content;
    // Two turns of the hand: in the first it passes by what was used.
    for (let looked = 0; pages.over && looked < 2 * pages.count; looked += limits.mapPagesMin) {
      pages.trim();
      await turn(clock);
    }
  }

  /** All at one moment. */
  #cut(): Cut {
    const { content, places } = this.#ports;
    const { pages, segments, epochs, account } = content;
    const { table } = pages;
    const own = [...places.addresses(), ...this.#superblock.blocks.map((block) => block.address)];
    return {
      pages: pages.take(),
      tables: table.take(),
      live: segments.beginCheckpoint(own),
      garbage: this.#ports.garbage.take(),
      epochs: encodeEpochs(epochs),
      spaces: epochs.byRef.size,
      counters: {
        nextId: table.nextId,
        freeHead: table.freeHead,
        pages: table.used,
        nextEpoch: epochs.next,
        physical: account.physical,
      },
    };
  }

  async #each<T>(items: Iterable<T>, write: (item: T) => void): Promise<void> {
    let written = 0;
    for (const item of items) {
      if (written % limits.pagesPerTurn === 0) {
        await this.#turn();
        this.#alive();
      }
      write(item);
      written += 1;
    }
  }

  /** Let others on, and do not run ahead of the disk. */
  async #turn(): Promise<void> {
    const { clock, writer } = this.#ports;
    await turn(clock);
    while (writer.unsettled > limits.groupsInFlight || !writer.accepts(2 * limits.pagesPerTurn)) {
      if (writer.unsettled === 0) break;
      await writer.progress();
    }
  }

  /** Looked at after every wait, in the turn that appends: nothing is appended to a failed log. */
  #alive(): void {
    const { failure } = this.#ports.writer;
    if (failure !== null) throw failure;
  }

  #page(page: Page, live: LiveCounts): void {
    const { writer, content } = this.#ports;
    const { pages, segments } = content;
    const { id, level, index, gone } = page;
    const bytes = new Uint8Array(page.frozen.buffer);
    const address = writer.append(EntryKind.page, level, id, index, 0, bytes, 0);
    const before = pages.table.move(id, address, writer.crc, gone);
    live.move(before, address);
    segments.born(address);
    // Gone meanwhile: its old copy was given back then, and this one is needed by the checkpoint alone.
    if (gone) segments.dies(address);
    else if (before !== 0) segments.dies(before, true);
    pages.written(page);
    this.#counted();
  }

  #counted(): void {
    this.pagesInDoubt += 1;
    this.mapBlocks += 1;
  }

  async #sheets(cut: Cut): Promise<void> {
    const { pageTable, live, epochs, garbage } = SheetKind;
    await this.#each(cut.garbage.sheets, ({ number, words }) => {
      this.#sheet(garbage, number, new Uint8Array(words.buffer));
    });
    await this.#each(cut.tables, (sheet) => {
      this.#sheet(pageTable, sheet.number, new Uint8Array(sheet.frozen.buffer));
      sheet.written();
    });
    const changed = [...cut.live.changed.keys()].filter((number) => cut.live.changed[number] === 1);
    await this.#each(changed, (number) => this.#sheet(live, number, cut.live.sheet(number)));
    const { places } = this.#ports;
    for (let number = cut.garbage.first - 1; ; number -= 1) {
      const address = places.remove(garbage, number);
      if (address === 0) break;
      this.#replaced.push(address);
    }
    const known = cut.epochs.map((words) => new Uint8Array(words.buffer));
    await this.#each(known.entries(), ([number, bytes]) => {
      if (!places.isEpochs(number, bytes)) this.#sheet(epochs, number, bytes);
    });
    for (const place of places.setEpochs(known)) this.#replaced.push(place.address);
  }

  #sheet(kind: SheetKind, number: number, bytes: Uint8Array): void {
    const { writer, content, places } = this.#ports;
    const address = writer.append(EntryKind.sheet, kind, 0, number, 0, bytes, 0);
    content.segments.born(address);
    const before = places.set({ kind, number, address, crc: writer.crc });
    if (before !== 0) this.#replaced.push(before);
    this.#sheetsToWrite -= 1;
    this.#counted();
  }

  /** One block even of nothing: the position that the superblock names is then on disk as well. */
  #contents(counters: Counters): { address: number; crc: number }[] {
    const { writer, content, places } = this.#ports;
    const sheets: SheetPlace[] = [...places.all()];
    const blocks: { address: number; crc: number }[] = [];
    for (let from = 0; from === 0 || from < sheets.length; from += sheetsPerBlock) {
      const number = blocks.length;
      const data = encodeContents(number, counters, sheets.slice(from, from + sheetsPerBlock));
      const address = writer.append(EntryKind.checkpoint, 0, 0, number, 0, data, 0);
      content.segments.born(address);
      blocks.push({ address, crc: writer.crc });
      this.mapBlocks += 1;
    }
    return blocks;
  }

  /** The block at `address` is a sheet or a block of the newest checkpoint: the next one writes it anew. */
  async rewrite(
    kind: SheetKind,
    number: number,
    address: number,
    readSheets: ReadSheet,
  ): Promise<void> {
    const { content, places } = this.#ports;
    if (places.get(kind, number)?.address !== address) return;
    if (kind === SheetKind.live) content.segments.changeSheet(number);
    else if (kind === SheetKind.epochs) places.forgetEpochs(number);
    else if (kind === SheetKind.garbage) await this.#ports.garbage.again(number, readSheets);
    else {
      await content.pages.loadSheet(number);
      content.pages.table.change(number * idsPerSheet);
    }
  }
}

/** At most: of the epochs all may have changed. */
function sheetsOf({ tables, live, garbage, epochs }: Cut): number {
  const counts = live.changed.reduce((sum, changed) => sum + changed, 0);
  return tables.length + counts + garbage.sheets.length + epochs.length;
}

/** The live counts have so many sheets. */
export const liveSheets = (segments: number): number => Math.ceil((segments + 1) / countsPerSheet);
