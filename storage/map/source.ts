/** Pages and sheets of the map, read from the log and verified with their identity. */
import { crc32c } from '../base/crc32c.ts';
import { isMediumError, StorageError } from '../base/errors.ts';
import type { Disk } from '../disk/disk.ts';
import { EntryKind, identityOf } from '../log/format.ts';
import { blockWords } from '../log/frame.ts';
import { readMended } from '../log/mend.ts';
import type { Ring } from '../log/ring.ts';
import { type Segments, segmentOf } from '../log/segments.ts';
import { heightMax, leafWords } from './page.ts';
import type { Missing, PageSource } from './pages.ts';
import { SheetKind } from './sheets.ts';

export interface SourcePorts {
  readonly disk: Disk;
  readonly segments: Segments;
  /** Null while recovering: nothing is in memory yet. */
  readonly ring: () => Ring | null;
  /** Where the newest durable checkpoint has a sheet. */
  readonly place: (kind: SheetKind, number: number) => { address: number; crc: number } | undefined;
}

export class LogSource implements PageSource {
  readonly #ports: SourcePorts;

  constructor(ports: SourcePorts) {
    this.#ports = ports;
  }

  async page({ id, level, index }: Missing, address: number, crc: number): Promise<Uint32Array> {
    const where = `map page ${id} (${index} of level ${level})`;
    const identity = identityOf(EntryKind.page, level, id, index, 0);
    const words = await this.#read(where, address, crc, identity);
    this.#check(words, level, where);
    return words;
  }

  async sheet(number: number): Promise<Uint32Array> {
    const where = `sheet ${number} of the page table`;
    const kind = SheetKind.pageTable;
    const place = this.#ports.place(kind, number);
    if (place === undefined) throw this.#damaged(`${where} is nowhere`);
    const identity = identityOf(EntryKind.sheet, kind, 0, number, 0);
    const words = await this.#read(where, place.address, place.crc, identity);
    for (let word = 0; word < blockWords; word += 4) {
      const level = words[word + 3]!;
      const address = words[word]!;
      const good = level === 0 || (level <= heightMax && this.#ports.segments.contains(address));
      if (!good) throw this.#damaged(`${where} points nowhere`);
    }
    return words;
  }

  /** Sheet `number` of the garbage file; null: it cannot be read. */
  async garbage(number: number): Promise<Uint32Array | null> {
    const kind = SheetKind.garbage;
    const place = this.#ports.place(kind, number);
    if (place === undefined) return null;
    const identity = identityOf(EntryKind.sheet, kind, 0, number, 0);
    try {
      return await this.#read(`sheet ${number} of the garbage`, place.address, place.crc, identity);
    } catch (error) {
      if (isMediumError(error)) return null;
      throw error;
    }
  }

  async #read(where: string, address: number, crc: number, identity: number) {
    const { disk, segments, ring } = this.#ports;
    if (!segments.contains(address)) throw this.#damaged(`${where} is nowhere`);
    const words = new Uint32Array(blockWords);
    const bytes = new Uint8Array(words.buffer);
    if (!ring()?.copy(address, bytes, 0)) {
      const segment = segmentOf(address);
      segments.hold(segment);
      try {
        await readMended(disk, address, bytes, (block) => crc32c(block, identity) === crc);
      } finally {
        segments.letGo(segment);
      }
    }
    if (crc32c(bytes, identity) !== crc)
      throw this.#damaged(`${where} does not match its checksum`);
    return words;
  }

  /** What it points to is inside the log. */
  #check(words: Uint32Array, level: number, where: string): void {
    if (level > 1) return; // ids, which the page table knows or does not
    for (let word = 0; word < blockWords; word += leafWords) {
      const address = words[word]!;
      if (address !== 0 && !this.#ports.segments.contains(address)) {
        throw this.#damaged(`${where} points nowhere`);
      }
    }
  }

  #damaged(what: string): StorageError {
    return new StorageError(
      'MEDIUM_ERROR',
      `${this.#ports.disk.name}: the map is damaged: ${what}`,
    );
  }
}
