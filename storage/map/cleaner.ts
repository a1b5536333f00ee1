/**
 * The cleaner: live blocks of segments that hold much garbage are appended to the log again, so
 * that their segments become free with the next checkpoint.
 *
 * A block is live while the map names its address. It is verified before it is moved; one that does
 * not match is left where it is and reported: reading it says MEDIUM_ERROR, and it is never copied
 * as if it were good. Map pages are moved by marking them dirty.
 */
import type { Clock } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Disk } from '../disk/disk.ts';
import { type Entry, EntryKind, readEntries, readGroupHeader } from '../log/format.ts';
import { blockWords } from '../log/frame.ts';
import { SegmentImage } from '../log/image.ts';
import { mendEntries } from '../log/mend.ts';
import { matches } from '../log/reader.ts';
import type { Ring } from '../log/ring.ts';
import { SegmentState } from '../log/segments.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Content } from './content.ts';
import { fanout } from './page.ts';
import type { Room } from './room.ts';

export interface CleanerPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly storeId: Uint32Array;
  readonly writer: LogWriter;
  readonly content: Content;
  readonly ring: Ring;
  readonly room: Room;
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
        await new Promise<void>((resolve) => clock.soon(resolve));
      }
      const live = segments.live(segment);
      if (live === 0 || live >= limits.segmentContentBlocks) continue;
      if (segments.state(segment) !== SegmentState.full) continue;
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
    const { disk, clock, ring, writer, room, content } = this.#ports;
    await new Promise<void>((resolve) => clock.soon(resolve));
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
        for (const entry of some) this.#move(entry, segment);
      }
    } finally {
      content.segments.letGo(segment);
    }
    content.segments.cleaned(segment);
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

  #move(entry: Entry, segment: number): void {
    const { content } = this.#ports;
    const space = content.spaces.get(entry.ref);
    if (space === undefined) return;
    if (entry.kind === EntryKind.page) {
      const page = space.tree.page(entry.level, entry.block);
      if (page !== null && page.address === entry.address) content.pages.mark(page);
      return;
    }
    if (entry.kind === EntryKind.data) this.#moveBlock(entry, segment);
  }

  #moveBlock(entry: Entry, segment: number): void {
    const { content, writer, log } = this.#ports;
    const { ref, block, address } = entry;
    const space = content.spaces.get(ref)!;
    const leaf = space.tree.leaf(block);
    const word = (block % fanout) * 2;
    if (leaf === null || leaf.words[word] !== address) return;
    const data = this.#image.block(address);
    if (!matches(ref, block, leaf.words[word + 1]!, data, 0)) {
      this.badBlocks += 1;
      content.segments.spoiled(segment);
      log.error({ ref, block, address }, 'a block is damaged and stays where it is');
      return;
    }
    const to = writer.move(address, ref, block, data);
    content.set(space, block, to, writer.crc);
    this.moved += 1;
  }
}
