/**
 * The checkpoint that a superblock names: its blocks, live counts and epochs. Pages of the map and the page
 * table are read when they are wanted. What does not match is CORRUPT: without it a store serves nothing,
 * rather than zeros or old data.
 */
import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import { EntryKind, identityOf } from '../log/format.ts';
import { wordsOf } from '../log/frame.ts';
import type { Garbage, ReadSheet } from '../log/garbage.ts';
import { readMended } from '../log/mend.ts';
import { segmentOf } from '../log/segments.ts';
import type { Superblock } from '../log/superblock.ts';
import { liveSheets } from './checkpoint.ts';
import type { Content } from './content.ts';
import { decodeContents, type SheetPlace } from './contents.ts';
import { idsPerSheet } from './page-table.ts';
import type { Places } from './places.ts';
import { decodeEpochs, SheetKind } from './sheets.ts';

export async function loadCheckpoint(
  disk: Disk,
  superblock: Superblock,
  content: Content,
  places: Places,
  file: Garbage,
  readGarbage: ReadSheet,
): Promise<void> {
  const loader = new Loader(disk, content);
  const live: SheetPlace[] = [];
  const epochs: SheetPlace[] = [];
  const garbage: number[] = [];
  const blocks = superblock.blocks.map(({ address, crc }, number) => {
    return { address, crc, identity: identityOf(EntryKind.checkpoint, 0, 0, number, 0) };
  });
  for (const [number, block] of (await loader.read(blocks)).entries()) {
    const { counters, sheets } = decodeContents(block, number);
    if (number === 0) loader.counters(counters);
    for (const sheet of sheets) {
      loader.check(places.set(sheet) === 0, `two sheets ${sheet.number} of kind ${sheet.kind}`);
      if (sheet.kind === SheetKind.live) live.push(sheet);
      else if (sheet.kind === SheetKind.epochs) epochs.push(sheet);
      else if (sheet.kind === SheetKind.garbage) garbage.push(sheet.number);
      else loader.check(sheet.kind === SheetKind.pageTable, `a sheet of kind ${sheet.kind}`);
    }
  }
  await loader.live(live, superblock.segments);
  if (garbage.length > 0) {
    garbage.sort((a, b) => a - b);
    const [first, next] = [garbage[0]!, garbage.at(-1)! + 1];
    loader.check(next - first === garbage.length, 'the garbage file has a gap');
    file.open(first, next, await readGarbage(next - 1));
  }
  for (const address of places.addresses()) loader.born(address);
  for (const { address } of superblock.blocks) loader.born(address);
  await loader.epochs(epochs, superblock.spaces);
  places.setEpochs(loader.known);
  const { table } = content.pages;
  if (table.nextId % idsPerSheet !== 0 && places.get(SheetKind.pageTable, table.sheets - 1)) {
    await content.pages.loadSheet(table.sheets - 1);
  }
}

interface Wanted {
  readonly address: number;
  readonly crc: number;
  readonly identity: number;
}

class Loader {
  readonly #disk: Disk;
  readonly #content: Content;
  /** The sheets of epochs. */
  known: Uint8Array[] = [];

  constructor(disk: Disk, content: Content) {
    this.#disk = disk;
    this.#content = content;
  }

  check(holds: boolean, what: string): void {
    if (!holds) {
      throw new StorageError('CORRUPT', `${this.#disk.name}: the checkpoint is damaged: ${what}`);
    }
  }

  counters(counters: ReturnType<typeof decodeContents>['counters']): void {
    const { pages, epochs, account } = this.#content;
    pages.table.nextId = counters.nextId;
    pages.table.freeHead = counters.freeHead;
    pages.table.used = counters.pages;
    epochs.next = counters.nextEpoch;
    account.physical = counters.physical;
  }

  born(address: number): void {
    const { segments } = this.#content;
    this.check(segments.contains(address), `address ${address} is nowhere`);
    const room = segments.live(segmentOf(address)) + 1 < limits.blocksPerSegment;
    this.check(room, `segment ${segmentOf(address)} has more blocks than it can`);
    segments.born(address);
  }

  /** In the order asked for; neighbours in the log are read in one disk call. */
  async read(wanted: readonly Wanted[]): Promise<Uint8Array[]> {
    const found = wanted.map(() => new Uint8Array(0));
    const order = [...wanted.keys()].sort((a, b) => wanted[a]!.address - wanted[b]!.address);
    const runs: number[][] = [];
    for (const at of order) {
      const run = runs.at(-1);
      const last = run === undefined ? -1 : wanted[run.at(-1)!]!.address;
      const next = wanted[at]!.address === last + 1;
      if (run !== undefined && next && run.length < limits.readRunBlocks) run.push(at);
      else runs.push([at]);
    }
    for (let from = 0; from < runs.length; from += limits.loadsInFlight) {
      await Promise.all(
        runs.slice(from, from + limits.loadsInFlight).map((run) => this.#run(wanted, run, found)),
      );
    }
    return found;
  }

  async #run(wanted: readonly Wanted[], run: number[], found: Uint8Array[]): Promise<void> {
    const first = wanted[run[0]!]!.address;
    this.check(this.#content.segments.contains(first), `address ${first} is nowhere`);
    const bytes = Buffer.allocUnsafeSlow(run.length * limits.blockBytes);
    const { redundancy } = this.#disk;
    if (redundancy === undefined) await this.#disk.read(first * limits.blockBytes, bytes);
    for (const [index, at] of run.entries()) {
      const block = bytes.subarray(index * limits.blockBytes, (index + 1) * limits.blockBytes);
      const { address, crc, identity } = wanted[at]!;
      const good = (content: Uint8Array): boolean => crc32c(content, identity) === crc;
      if (redundancy !== undefined) await readMended(this.#disk, address, block, good);
      this.check(good(block), `block ${address} does not match its checksum`);
      found[at] = block;
    }
  }

  #sheets(places: readonly SheetPlace[]): Promise<Uint8Array[]> {
    return this.read(
      places.map(({ kind, number, address, crc }) => {
        return { address, crc, identity: identityOf(EntryKind.sheet, kind, 0, number, 0) };
      }),
    );
  }

  /** `before`: segments that there were when the checkpoint was written. */
  async live(places: readonly SheetPlace[], before: number): Promise<void> {
    const { segments } = this.#content;
    for (const [index, bytes] of (await this.#sheets(places)).entries()) {
      const { number } = places[index]!;
      const counts = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
      const good =
        number < liveSheets(Math.max(segments.count, before)) && segments.load(number, counts);
      this.check(good, `live counts ${number} make no sense`);
    }
  }

  async epochs(places: readonly SheetPlace[], spaces: number): Promise<void> {
    const { epochs, account } = this.#content;
    const sorted = places.toSorted((a, b) => a.number - b.number);
    this.known = (await this.#sheets(sorted)).map((bytes) => Uint8Array.from(bytes));
    const good = decodeEpochs(
      this.known.map((bytes) => wordsOf(bytes)),
      epochs,
    );
    this.check(good && epochs.byRef.size === spaces, 'epochs make no sense');
    for (const epoch of epochs.byNumber.values()) account.with(epoch);
  }
}
