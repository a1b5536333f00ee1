/**
 * The cleaner: live blocks of segments that hold much garbage are appended to the log again, so
 * that their segments become free with the next checkpoint.
 *
 * A block is live while somebody sees it (seers.ts): all who do are told where it went. It is verified
 * before it is moved; one that does not match is left where it is and reported: reading it says
 * MEDIUM_ERROR, and it is never copied as if it were good. Map pages and sheets are moved by having the
 * next checkpoint write them anew.
 */
import { type Clock, turn } from '../base/clock.ts';
import { crc32c } from '../base/crc32c.ts';
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Disk } from '../disk/disk.ts';
import {
  type Entry,
  EntryKind,
  entryIdentity,
  readEntries,
  readGroupHeader,
} from '../log/format.ts';
import { blockWords, wordsOf } from '../log/frame.ts';
import { type Garbage, isHole, type ReadSheet } from '../log/garbage.ts';
import { SegmentImage } from '../log/image.ts';
import { mendEntries } from '../log/mend.ts';
import { matches } from '../log/reader.ts';
import type { Ring } from '../log/ring.ts';
import { SegmentState, slotOf } from '../log/segments.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Checkpointer } from './checkpoint.ts';
import type { Content } from './content.ts';
import type { Page } from './page.ts';
import { idsPerSheet } from './page-table.ts';
import type { Room } from './room.ts';
import { seers } from './seers.ts';
import type { SheetKind } from './sheets.ts';

export interface CleanerPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly storeId: Uint32Array;
  readonly writer: LogWriter;
  readonly content: Content;
  readonly ring: Ring;
  readonly room: Room;
  readonly checkpointer: Checkpointer;
  readonly garbage: Garbage;
  readonly readGarbage: ReadSheet;
  readonly log: Log;
}

/** Entries looked at between two looks at the room that is left. */
const stride = 32;

export class Cleaner {
  readonly #ports: CleanerPorts;
  /** Made when it is first needed: a store with room never cleans. */
  #segment: SegmentImage | null = null;
  moved = 0;
  cleaned = 0;
  badBlocks = 0;

  constructor(ports: CleanerPorts) {
    this.#ports = ports;
  }

  get #image(): SegmentImage {
    this.#segment ??= new SegmentImage();
    return this.#segment;
  }

  /**
   * Segments that are worth it, about `count` of them, of which the garbage file is known. The file is gone
   * through once for many.
   */
  async next(count: number, urgent: boolean): Promise<number[]> {
    const { garbage, readGarbage } = this.#ports;
    const ready = this.#ready();
    if (ready.length > 0) return ready.slice(0, count);
    const many = Math.ceil(garbage.sheets / limits.garbageSheetsPerSegment);
    const chosen = await this.pick(Math.max(count, many), urgent);
    if (chosen.length === 0) return [];
    await garbage.prepare(chosen, readGarbage);
    const prepared = this.#ready();
    // Where the file cannot be read the map knows as well, at a higher cost.
    return (prepared.length > 0 ? prepared : chosen).slice(0, count);
  }

  /** Prepared and still to be cleaned. */
  #ready(): number[] {
    const { garbage, content } = this.#ports;
    const ready: number[] = [];
    for (const segment of garbage.prepared) {
      if (this.#worth(segment)) ready.push(segment);
      else garbage.forget(segment);
    }
    return ready.sort((a, b) => content.segments.live(a) - content.segments.live(b) || a - b);
  }

  #worth(segment: number): boolean {
    const { segments } = this.#ports.content;
    const live = segments.live(segment);
    if (live === 0 || live >= limits.segmentContentBlocks) return false;
    return segments.state(segment) === SegmentState.full;
  }

  /** Take out of the garbage file what counts no more, where that is much of it. */
  async tidy(): Promise<void> {
    const { garbage, readGarbage, content } = this.#ports;
    if (!garbage.stale) return;
    const { segments } = content;
    await garbage.compact(readGarbage, (segment) => segments.live(segment) === 0);
  }

  /**
   * Up to `count` segments that are worth it, best first. `urgent`: by garbage alone; else a
   * segment also gains by being old, since what is left in it will likely stay (Rosenblum,
   * Ousterhout, SOSP 1991).
   */
  async pick(count: number, urgent: boolean): Promise<number[]> {
    const { clock, writer, content } = this.#ports;
    const { segments } = content;
    const now = writer.segmentSequence;
    const best: { segment: number; score: number }[] = [];
    for (let segment = 1; segment <= segments.count; segment += 1) {
      if (segment % limits.segmentsPerTurn === 0) {
        await turn(clock);
      }
      if (!this.#worth(segment)) continue;
      const live = segments.live(segment);
      const full = live / limits.segmentContentBlocks;
      const age = urgent ? 1 : now - segments.sequence(segment) + 1;
      const score = ((1 - full) * age) / (1 + full);
      const last = best.at(-1);
      if (best.length === count && last !== undefined && last.score >= score) continue;
      const at = best.findIndex((other) => other.score < score);
      best.splice(at < 0 ? best.length : at, 0, { segment, score });
      if (best.length > count) best.pop();
    }
    return best.map((each) => each.segment);
  }

  /** Move what is live. False: there is no room to go on before a checkpoint. */
  async clean(segment: number): Promise<boolean> {
    const { disk, clock, ring, writer, room, content, garbage } = this.#ports;
    await turn(clock);
    if (!room.forCleaner(1)) return false;
    content.segments.hold(segment);
    try {
      const recent = ring.holds(segment);
      if (recent === null) await this.#image.read(disk, segment);
      else this.#image.bytes.set(recent.bytes);
      const entries = this.#entries(segment);
      for (let from = 0; from < entries.length; from += stride) {
        while (!writer.accepts(stride) || writer.unsettled > limits.groupsInFlight) {
          if (writer.unsettled === 0) return false;
          await writer.progress();
        }
        const some = entries.slice(from, from + stride);
        if (disk.redundancy !== undefined) await mendEntries(disk, this.#image, some);
        if (writer.failure !== null) throw writer.failure;
        if (!room.forCleaner(stride)) return false;
        for (const entry of some) {
          // What is known to be a hole needs no look at the map.
          const holes = garbage.holes(segment);
          if (holes !== undefined && isHole(holes, slotOf(entry.address))) continue;
          await this.#move(entry, segment);
        }
      }
    } finally {
      content.segments.letGo(segment);
    }
    content.segments.cleaned(segment);
    garbage.forget(segment);
    this.cleaned += 1;
    return true;
  }

  /**
   * What the groups in the image say they hold. A header that is damaged hides its group, whose
   * live blocks then stay where they are; what an earlier use of the segment left behind is not
   * named by the map.
   */
  #entries(segment: number): Entry[] {
    const { storeId } = this.#ports;
    const found: Entry[] = [];
    const base = segment * limits.blocksPerSegment;
    let block = 1;
    while (block < limits.blocksPerSegment) {
      const at = block * blockWords;
      const header = readGroupHeader(this.#image.words, at, base + block, storeId);
      if (header === null || block + header.blocks >= limits.blocksPerSegment) {
        block += 1;
        continue;
      }
      for (const entry of readEntries(this.#image.words, at, header)) {
        if (entry.address !== 0) found.push(entry);
      }
      block += 1 + header.blocks;
    }
    return found;
  }

  async #move(entry: Entry, segment: number): Promise<void> {
    switch (entry.kind) {
      case EntryKind.data:
      case EntryKind.move:
        await this.#moveBlock(entry, segment);
        break;
      case EntryKind.page:
        await this.#movePage(entry);
        break;
      case EntryKind.sheet:
        await this.#ports.checkpointer.rewrite(
          entry.level as SheetKind,
          entry.block,
          entry.address,
          this.#ports.readGarbage,
        );
        break;
      default:
        break; // Blocks of a checkpoint are written anew by each.
    }
  }

  async #movePage(entry: Entry): Promise<void> {
    const { pages } = this.#ports.content;
    const { ref: id, level, block: index, address } = entry;
    const { table } = pages;
    if (id >= table.nextId) return;
    await pages.loadSheet(Math.floor(id / idsPerSheet));
    const named = (): boolean => table.level(id) === level && table.address(id) === address;
    if (!named()) return;
    // What the segment's image has need not be read once more.
    const words = Uint32Array.from(wordsOf(this.#image.block(address)));
    if (crc32c(new Uint8Array(words.buffer), entryIdentity(entry)) === table.crc(id)) {
      pages.offer({ id, level, index }, words);
    } else await pages.load({ id, level, index });
    const page = pages.get(id);
    if (page !== undefined && named()) pages.change(page);
  }

  async #moveBlock(entry: Entry, segment: number): Promise<void> {
    const { content, writer, log } = this.#ports;
    const { ref: line, block, epoch, address, crc } = entry;
    const look = (): Page[] | null => seers(content, line, epoch, block, address);
    // Looked up again after every wait: what is moved is moved in the turn in which it was found.
    let leaves = look();
    while (leaves === null) {
      await content.pages.load(content.trees.wanted);
      leaves = look();
    }
    if (leaves.length === 0 || writer.failure !== null) return;
    const data = this.#image.block(address);
    if (!matches(epoch, block, crc, data, 0)) {
      this.badBlocks += 1;
      content.segments.spoiled(segment);
      log.error({ line, block, address }, 'a block is damaged and stays where it is');
      return;
    }
    const to = writer.move(address, line, block, epoch, data);
    content.move(leaves, block, address, to);
    this.moved += 1;
  }
}
