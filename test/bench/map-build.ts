/**
 * A store whose map is real and whose blocks were never written: a sparse file with the pages of the map
 * of as many blocks as wanted, at addresses in an order of chance. The pages are made, and written by
 * checkpoints, by the store's own code; only the blocks themselves are left out: their segments
 * are holes of the file. Reading one of them is a MEDIUM ERROR; looking it up, overwriting and unmapping it is
 * as in any store.
 */
import { openSync, truncateSync, writeFileSync } from 'node:fs';
import { realClock as clock } from '../../storage/base/clock.ts';
import { limits } from '../../storage/base/limits.ts';
import { realRandom as random } from '../../storage/base/random.ts';
import type { Disk } from '../../storage/disk/disk.ts';
import { FileDisk } from '../../storage/disk/file.ts';
import { EntryKind } from '../../storage/log/format.ts';
import { Garbage } from '../../storage/log/garbage.ts';
import { Ring } from '../../storage/log/ring.ts';
import { Segments } from '../../storage/log/segments.ts';
import { readSuperblock } from '../../storage/log/superblock.ts';
import { LogWriter } from '../../storage/log/writer.ts';
import { Account } from '../../storage/map/account.ts';
import { Checkpointer } from '../../storage/map/checkpoint.ts';
import { Content } from '../../storage/map/content.ts';
import type { Epoch } from '../../storage/map/epochs.ts';
import { formatBlocks } from '../../storage/map/open.ts';
import { leafFanout } from '../../storage/map/page.ts';
import { Places } from '../../storage/map/places.ts';
import { LogSource } from '../../storage/map/source.ts';

/** The space that has the blocks. */
export const mappedRef = 1;
/** Of a segment: behind its header and that of a group. */
const firstSlot = 2;
/** Segments for blocks, and what a store of that size keeps back, its map, and room to work in. */
const sizeShare = 1.25;
const segmentsLeast = 256;

/** Segments that hold so many blocks and nothing else. */
const segmentsFor = (blocks: number): number => Math.ceil(blocks / limits.segmentContentBlocks);

/** Bytes of a store for so many blocks. */
export const storeBytesFor = (blocks: number): number =>
  (Math.ceil(segmentsFor(blocks) * sizeShare) + segmentsLeast) * limits.segmentBytes;

/** A number below 2^bits for each, no two the same: rounds of steps each of which can be undone. */
export function shuffled(index: number, bits: number): number {
  const mask = 2 ** bits - 1;
  const half = bits >> 1;
  let value = index;
  for (const factor of [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35]) {
    value = (Math.imul(value, factor) >>> 0) & mask;
    value ^= value >>> half;
  }
  return value;
}

/** Makes the store in a new file. `bits`: it has 2^bits blocks. */
export async function buildMap(path: string, bits: number): Promise<void> {
  const bytes = storeBytesFor(2 ** bits);
  writeFileSync(path, '', { flag: 'wx' });
  truncateSync(path, bytes);
  const disk = openSparse(path, bytes);
  await formatBlocks(disk, { storeId: random.bytes(16), random });
  const builder = await Builder.on(disk, segmentsFor(2 ** bits));
  await builder.fill(bits);
  await disk.close();
}

/** Such a file, which is the log alone: no label, no Directory. */
export const openSparse = (path: string, bytes: number): FileDisk =>
  new FileDisk(path, openSync(path, 'r+'), bytes);

class Builder {
  readonly #content: Content;
  readonly #writer: LogWriter;
  readonly #checkpointer: Checkpointer;

  private constructor(content: Content, writer: LogWriter, checkpointer: Checkpointer) {
    this.#content = content;
    this.#writer = writer;
    this.#checkpointer = checkpointer;
  }

  /**
   * What `openBlocks` composes, as far as a map that only grows needs it. `neverWritten`: segments.
   */
  static async on(disk: Disk, neverWritten: number): Promise<Builder> {
    const { storeId, superblock } = await readSuperblock(disk);
    const count = superblock.segments;
    const garbage = new Garbage();
    const segments = new Segments(count, (segment) => {
      garbage.reused(segment);
      ring.forget(segment);
    });
    const ring = new Ring(count, limits.recentBytes, () => {});
    const places = new Places();
    const place = places.get.bind(places);
    const source = new LogSource({ disk, segments, ring: () => ring, place });
    segments.hole = (address) => garbage.hole(address);
    const content = new Content(segments, new Account(count), source, limits.mapBytes);
    segments.settleAtOpen(new Set(), 0);
    // The log begins behind the segments that are never written.
    segments.takeRaw(neverWritten);
    const { incarnation } = superblock;
    const writer = new LogWriter({ disk, clock, segments, ring, storeId, incarnation }, 1, 1);
    const ports = { disk, clock, storeId, writer, content, places, garbage };
    return new Builder(content, writer, new Checkpointer(ports, superblock));
  }

  async fill(bits: number): Promise<void> {
    const content = this.#content;
    const number = content.epochs.next;
    this.#writer.note(EntryKind.create, mappedRef, 0, number, 0);
    const epoch = content.create(mappedRef, 0, number);
    const blocks = 2 ** bits;
    for (let first = 0; first < blocks; first += leafFanout) {
      await this.#ready(epoch, first);
      for (let block = first; block < first + leafFanout; block += 1) {
        const at = shuffled(block, bits);
        content.set(epoch, block, addressOf(at), at);
      }
      if (content.pages.due) await this.#checkpointer.run();
    }
    await this.#checkpointer.run();
    await this.#writer.durable();
  }

  /** The pages above a leaf may have gone from memory. */
  async #ready(epoch: Epoch, block: number): Promise<void> {
    const content = this.#content;
    for (;;) {
      const missing = content.missing(epoch, block);
      if (missing === null) return;
      await content.pages.load(missing);
    }
  }
}

/** Place `index` among all of the segments that are never written. */
function addressOf(index: number): number {
  const segment = 1 + Math.floor(index / limits.segmentContentBlocks);
  return segment * limits.blocksPerSegment + firstSlot + (index % limits.segmentContentBlocks);
}
