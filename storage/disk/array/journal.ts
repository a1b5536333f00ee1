/**
 * The journal of one disk: a ring of records (journal-record.ts). What is needed is never written
 * over: an append that finds no room waits until the oldest segment with records here has its parity.
 *
 * Records of a segment are needed from its first group until its parity is durable. What is not
 * needed any more is said by the next record; until then a crash finds it still, and putting a
 * group once more where it lies already changes nothing.
 */

import assert from 'node:assert/strict';
import { bytesIn, type Disk } from '../disk.ts';
import { readOrZeros } from '../read.ts';
import { blockBytes } from './geometry.ts';
import {
  decodeRecord,
  encodeRecord,
  type JournalOwner,
  type JournalRecord,
} from './journal-record.ts';

export interface JournalPorts {
  readonly disk: Disk;
  readonly owner: JournalOwner;
  /** Of the area on the disk, bytes. */
  readonly offset: number;
  readonly length: number;
}

/** A record in the ring: [from, to) in blocks that only ever rise, modulo the ring's length. */
interface Kept {
  readonly sequence: number;
  readonly segment: number;
  readonly from: number;
}

export class Journal {
  readonly #ports: JournalPorts;
  readonly #blocks: number;
  #head = 0;
  #sequence = 1;
  /** Needed, oldest first; those of a segment that is done are dropped from the front. */
  readonly #kept: Kept[] = [];
  readonly #done = new Set<number>();
  /** Segments with records that are needed. */
  readonly #needed = new Set<number>();
  #waiting: (() => void)[] = [];

  constructor(ports: JournalPorts) {
    this.#ports = ports;
    this.#blocks = ports.length / blockBytes;
  }

  /** What stands here, in the order in which it was written. */
  async read(): Promise<{ records: JournalRecord[]; bytes: Uint8Array }> {
    const { disk, owner, offset, length } = this.#ports;
    const bytes = new Uint8Array(length);
    // A block that cannot be read holds no record.
    await readOrZeros(disk, offset, bytes, blockBytes);
    const records: JournalRecord[] = [];
    let newest: JournalRecord | null = null;
    for (let at = 0; at < this.#blocks; ) {
      const record = decodeRecord(owner, bytes, at);
      at += record === null ? 1 : 1 + record.blocks;
      if (record === null) continue;
      records.push(record);
      if (newest === null || record.sequence > newest.sequence) newest = record;
    }
    if (newest === null) return { records: [], bytes };
    this.#sequence = newest.sequence + 1;
    this.#head = newest.at + 1 + newest.blocks;
    const { oldest } = newest;
    const needed = records.filter((each) => each.sequence >= oldest && each.blocks > 0);
    return { records: needed.sort((a, b) => a.sequence - b.sequence), bytes };
  }

  /** Whether records of this segment are needed. */
  holds(segment: number): boolean {
    return this.#needed.has(segment);
  }

  /**
   * Where the next record goes, and its front; waits for room. The caller writes it, durably, at
   * once: the order of the records is that of the calls.
   */
  async record(
    segment: number,
    block: number,
    data: readonly Uint8Array[],
  ): Promise<{ offset: number; front: Uint8Array }> {
    const blocks = bytesIn(data) / blockBytes;
    while (!this.#fits(1 + blocks)) {
      await new Promise<void>((resume) => this.#waiting.push(resume));
    }
    const from = this.#place(1 + blocks);
    const sequence = this.#sequence;
    this.#sequence += 1;
    this.#head = from + 1 + blocks;
    if (blocks > 0) {
      this.#kept.push({ sequence, segment, from });
      this.#needed.add(segment);
      this.#done.delete(segment);
    }
    const at = from % this.#blocks;
    const oldest = this.#kept[0]?.sequence ?? sequence;
    const front = encodeRecord(this.#ports.owner, { sequence, oldest, block, blocks, at }, data);
    return { offset: this.#ports.offset + at * blockBytes, front };
  }

  /** A record that says that nothing before it is needed, but what is. */
  async mark(): Promise<{ offset: number; front: Uint8Array }> {
    return await this.record(0, 0, []);
  }

  /** A record does not go round the end of the ring. */
  #place(blocks: number): number {
    const at = this.#head % this.#blocks;
    return at + blocks > this.#blocks ? this.#head + this.#blocks - at : this.#head;
  }

  #fits(blocks: number): boolean {
    assert(blocks <= this.#blocks / 2);
    const tail = this.#kept[0]?.from ?? this.#place(blocks);
    return this.#place(blocks) + blocks - tail <= this.#blocks;
  }

  /** The segment's parity is durable: its records are not needed any more. */
  retire(segment: number): void {
    if (!this.#needed.delete(segment)) return;
    this.#done.add(segment);
    while (this.#kept[0] !== undefined && this.#done.has(this.#kept[0].segment)) {
      this.#kept.shift();
    }
    if (!this.#kept.some((each) => each.segment === segment)) this.#done.delete(segment);
    for (const resume of this.#waiting.splice(0)) resume();
  }

  /** The disk is lost: nothing is needed, nobody waits. */
  release(): void {
    this.#kept.length = 0;
    this.#needed.clear();
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
