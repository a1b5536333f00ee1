/**
 * Roll-forward: the groups that were written since a checkpoint began, in order, from the segment
 * where it began along the chain of segments, never over the whole store.
 *
 * A group counts when its header and every data block match, it follows the one before (sequence
 * and crc of that header) and bears the incarnation of that life of the log: a group of an earlier
 * or a failed life never passes. The first that does not count is the end of the log, unless a
 * later group proves that it was acknowledged: then the disk has lost it, and that is said instead
 * of serving old data.
 */
import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import {
  type Entry,
  entryIdentity,
  type GroupHeader,
  readEntries,
  readGroupHeader,
  readSegmentHeader,
  type SegmentHeader,
} from './format.ts';
import { blockWords, wordsOf } from './frame.ts';
import { SegmentImage } from './image.ts';
import type { LogPosition, Superblock } from './superblock.ts';

export interface ScanResult {
  readonly groups: number;
  readonly bytes: number;
  /** Newest group that counts, and newest segment of the chain. */
  readonly groupSequence: number;
  readonly segmentSequence: number;
  /** Segments that the chain from the checkpoint on goes through. */
  readonly segments: readonly number[];
  /** Blocks of acknowledged groups that do not match their checksum. */
  readonly badBlocks: number;
}

/** Takes the entries of a group into account, perhaps after it has read what it needs for that. */
export type Apply = (entries: readonly Entry[]) => Promise<void>;

/** Segments looked at beyond the end: as many as groups under way can be spread over. */
const lookAhead = limits.groupsInFlight + 1;

export class Scan {
  readonly #disk: Disk;
  readonly #storeId: Uint32Array;
  readonly #superblock: Superblock;
  readonly #chain: number[] = [];
  /** Blocks of groups that count, by segment. */
  readonly #taken: { readonly segment: number; readonly from: number; readonly to: number }[] = [];
  #here = new SegmentImage();
  #spare = new SegmentImage();
  #incarnation = 0;
  /** What the next group must have. */
  #sequence = 1;
  #previous = 0;
  #segmentSequence = 0;
  #groups = 0;
  #bytes = 0;
  #badBlocks = 0;
  #entered: (segment: number) => void = () => {};

  constructor(disk: Disk, storeId: Uint32Array, superblock: Superblock) {
    this.#disk = disk;
    this.#storeId = storeId;
    this.#superblock = superblock;
  }

  /**
   * Hand every group that counts to `apply`, in order, and to `entered` each segment that was opened since the
   * checkpoint, before its groups. CORRUPT: acknowledged groups are gone.
   */
  async run(apply: Apply, entered: (segment: number) => void = () => {}): Promise<ScanResult> {
    this.#entered = entered;
    const start = this.#superblock.position;
    if (start !== null) await this.#follow(start, apply);
    return {
      groups: this.#groups,
      bytes: this.#bytes,
      groupSequence: this.#sequence - 1,
      segmentSequence: this.#segmentSequence,
      segments: this.#chain,
      badBlocks: this.#badBlocks,
    };
  }

  async #follow(start: LogPosition, apply: Apply): Promise<void> {
    this.#incarnation = start.incarnation;
    this.#sequence = start.groupSequence;
    this.#previous = start.previous;
    this.#segmentSequence = start.segmentSequence;
    let segment = start.segment;
    let header = await this.#load(this.#here, segment, start.segmentSequence);
    if (header === null) throw this.#corrupt(`segment ${segment}, where it begins, is not there`);
    let block = start.block;
    this.#chain.push(segment);
    for (;;) {
      block = await this.#groupsFrom(segment, block, apply);
      const next = await this.#load(this.#spare, header.next, this.#segmentSequence + 1);
      if (next !== null && this.#follows(this.#spare, header.next, 1) === null) {
        await this.#mend(this.#spare, header.next, 1);
      }
      if (next !== null && this.#follows(this.#spare, header.next, 1) !== null) {
        [this.#here, this.#spare] = [this.#spare, this.#here];
        segment = header.next;
        header = next;
        block = 1;
        this.#segmentSequence += 1;
        this.#chain.push(segment);
        this.#entered(segment);
        continue;
      }
      if (!(await this.#acknowledged(segment, block, header.next))) break;
      block = await this.#forgive(segment, block, apply);
    }
    await this.#settle();
    if (this.#sequence <= this.#superblock.wholeAt) {
      throw this.#corrupt('it ends before the checkpoint in it is whole');
    }
  }

  /** Read a segment; null unless it is the one of this chain with that sequence. */
  async #load(
    image: SegmentImage,
    segment: number,
    sequence: number,
  ): Promise<SegmentHeader | null> {
    if (segment < 1 || segment > this.#superblock.segments) return null;
    await image.read(this.#disk, segment);
    this.#bytes += limits.segmentBytes;
    const ours = (words: Uint32Array): SegmentHeader | null => {
      const header = readSegmentHeader(words, this.#storeId);
      if (header === null || header.segment !== segment) return null;
      this.#current(header);
      const same = header.incarnation === this.#incarnation && header.sequence === sequence;
      return same ? header : null;
    };
    const header = ours(image.words);
    const { redundancy } = this.#disk;
    if (header !== null || redundancy === undefined) return header;
    const front = Buffer.from(image.bytes.subarray(0, limits.blockBytes));
    const good = (bytes: Uint8Array): boolean => ours(wordsOf(bytes)) !== null;
    if (!(await redundancy.recover(segment * limits.segmentBytes, front, good))) return null;
    image.bytes.set(front);
    return ours(image.words);
  }

  /**
   * What is on disk was written under this superblock or an older one, or the newest one is lost.
   */
  #current(header: { readonly checkpoint: number; readonly incarnation: number }): void {
    const { sequence, incarnation } = this.#superblock;
    if (header.checkpoint > sequence || header.incarnation > incarnation) {
      throw this.#corrupt(
        `superblock ${header.checkpoint} is lost: the newest here is ${sequence}`,
      );
    }
  }

  /** The header of the next group, if it stands at `block`; its data is not looked at. */
  #follows(image: SegmentImage, segment: number, block: number): GroupHeader | null {
    if (block >= limits.blocksPerSegment) return null;
    const address = segment * limits.blocksPerSegment + block;
    const header = readGroupHeader(image.words, block * blockWords, address, this.#storeId);
    if (header === null) return null;
    this.#current(header);
    if (header.incarnation !== this.#incarnation) return null;
    if (header.sequence !== this.#sequence || header.previous !== this.#previous) return null;
    return block + header.blocks < limits.blocksPerSegment ? header : null;
  }

  /** Apply what counts from `block` on; returns where it stopped. */
  async #groupsFrom(segment: number, block: number, apply: Apply): Promise<number> {
    let at = block;
    for (;;) {
      if (!this.#counts(segment, at)) await this.#mend(this.#here, segment, at);
      if (!this.#counts(segment, at)) break;
      const header = this.#follows(this.#here, segment, at)!;
      const entries = readEntries(this.#here.words, at * blockWords, header);
      at = await this.#accept(header, entries, at, apply);
    }
    this.#taken.push({ segment, from: block, to: at });
    return at;
  }

  #counts(segment: number, at: number): boolean {
    const header = this.#follows(this.#here, segment, at);
    if (header === null) return false;
    return damaged(this.#here, readEntries(this.#here.words, at * blockWords, header)) === 0;
  }

  /** A group that does not count as it was read may be had whole in another way. */
  async #mend(image: SegmentImage, segment: number, at: number): Promise<void> {
    const { redundancy } = this.#disk;
    if (redundancy === undefined || at >= limits.blocksPerSegment) return;
    const address = segment * limits.blocksPerSegment + at;
    if (this.#follows(image, segment, at) === null) {
      const front = image.block(address);
      const before = Buffer.from(front);
      const good = (bytes: Uint8Array): boolean => {
        front.set(bytes);
        return this.#follows(image, segment, at) !== null;
      };
      const found = await redundancy.recover(address * limits.blockBytes, Buffer.from(front), good);
      if (!found) front.set(before);
    }
    const header = this.#follows(image, segment, at);
    if (header === null) return;
    for (const entry of readEntries(image.words, at * blockWords, header)) {
      if (damaged(image, [entry]) === 0) continue;
      const good = (bytes: Uint8Array): boolean =>
        crc32c(bytes, entryIdentity(entry)) === entry.crc;
      const block = Buffer.alloc(limits.blockBytes);
      if (!(await redundancy.recover(entry.address * limits.blockBytes, block, good))) return;
      image.block(entry.address).set(block);
    }
  }

  /**
   * What was under way at the end may be in one copy only: every copy gets what was read. Groups under
   * way lie in the last few segments.
   */
  async #settle(): Promise<void> {
    const { redundancy } = this.#disk;
    if (redundancy === undefined) return;
    for (const { segment, from, to } of this.#taken.slice(-lookAhead)) {
      if (from === to) continue;
      await this.#here.read(this.#disk, segment);
      const start = from === 1 ? 0 : from;
      const offset = segment * limits.segmentBytes + start * limits.blockBytes;
      const bytes = this.#here.bytes.subarray(start * limits.blockBytes, to * limits.blockBytes);
      await redundancy.settle(offset, bytes);
    }
  }

  async #accept(
    header: GroupHeader,
    entries: readonly Entry[],
    at: number,
    apply: Apply,
  ): Promise<number> {
    this.#sequence += 1;
    this.#previous = header.crc;
    this.#groups += 1;
    await apply(entries);
    return at + 1 + header.blocks;
  }

  /** Whether a later group knew the next one, which does not count, to be durable. */
  async #acknowledged(segment: number, block: number, next: number): Promise<boolean> {
    if (this.#proof(this.#here, segment, block + 1)) return true;
    let ahead = next;
    let sequence = this.#segmentSequence;
    for (let step = 0; step < lookAhead; step += 1) {
      sequence += 1;
      const header = await this.#load(this.#spare, ahead, sequence);
      if (ahead >= 1 && ahead <= this.#superblock.segments && this.#proof(this.#spare, ahead, 1)) {
        return true;
      }
      if (header === null) return false;
      ahead = header.next;
    }
    return false;
  }

  #proof(image: SegmentImage, segment: number, from: number): boolean {
    for (let block = from; block < limits.blocksPerSegment; block += 1) {
      const address = segment * limits.blocksPerSegment + block;
      const header = readGroupHeader(image.words, block * blockWords, address, this.#storeId);
      if (header === null || header.incarnation !== this.#incarnation) continue;
      if (header.committed >= this.#sequence) return true;
    }
    return false;
  }

  /** An acknowledged group that does not count: with its header, its good blocks are still good. */
  async #forgive(segment: number, at: number, apply: Apply): Promise<number> {
    const header = this.#follows(this.#here, segment, at);
    if (header === null) {
      throw this.#corrupt(`acknowledged group ${this.#sequence} is damaged or gone`);
    }
    const entries = readEntries(this.#here.words, at * blockWords, header);
    this.#badBlocks += damaged(this.#here, entries);
    return await this.#accept(header, entries, at, apply);
  }

  #corrupt(what: string): StorageError {
    return new StorageError('CORRUPT', `${this.#disk.name}: the log is damaged: ${what}`);
  }
}

/** Data blocks that do not match their entries. */
function damaged(image: SegmentImage, entries: readonly Entry[]): number {
  let bad = 0;
  for (const entry of entries) {
    if (entry.address === 0) continue;
    if (crc32c(image.block(entry.address), entryIdentity(entry)) !== entry.crc) bad += 1;
  }
  return bad;
}
