/**
 * A Disk in memory for stores of many GiB that hold the same content over and over: blocks that are equal
 * to one that is there are kept once. It counts calls and bytes.
 */
import assert from 'node:assert/strict';
import type { Disk } from '../../storage/disk/disk.ts';

const unit = 4096;

export interface DiskCounts {
  readonly reads: number;
  readonly bytesRead: number;
  readonly writes: number;
  readonly bytesWritten: number;
}

export class CountingDisk implements Disk {
  readonly name = 'counted';
  readonly size: number;
  readonly allocatesOnWrite = false;
  /** Block → which of `contents`. */
  readonly #blocks: Uint32Array;
  readonly #contents: Uint8Array[] = [new Uint8Array(unit)];
  readonly #vacant: number[] = [];
  /** Equal blocks of this content are one. */
  readonly #common: Uint8Array;
  #counts = { reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0 };

  constructor(size: number, common: Uint8Array) {
    this.size = size;
    this.#blocks = new Uint32Array(size / unit);
    this.#common = common;
    this.#contents.push(common);
  }

  /** What was done since this was asked for last. */
  take(): DiskCounts {
    const counts = this.#counts;
    this.#counts = { reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0 };
    return counts;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    assert(offset % unit === 0 && offset + into.length <= this.size);
    this.#counts.reads += 1;
    this.#counts.bytesRead += into.length;
    for (let at = 0; at < into.length; at += unit) {
      into.set(this.#contents[this.#blocks[(offset + at) / unit]!]!, at);
    }
  }

  async write(offset: number, data: readonly Uint8Array[], _durable: boolean): Promise<void> {
    this.#counts.writes += 1;
    let block = offset / unit;
    for (const bytes of data) {
      this.#counts.bytesWritten += bytes.length;
      for (let at = 0; at < bytes.length; at += unit, block += 1) {
        this.#put(block, bytes.subarray(at, at + unit));
      }
    }
  }

  #put(block: number, content: Uint8Array): void {
    const before = this.#blocks[block]!;
    if (before > 1) this.#vacant.push(before);
    if (Buffer.compare(content, this.#common) === 0) {
      this.#blocks[block] = 1;
      return;
    }
    const place = this.#vacant.pop() ?? this.#contents.length;
    this.#contents[place] = Uint8Array.from(content);
    this.#blocks[block] = place;
  }

  async sync(): Promise<void> {}

  async close(): Promise<void> {}
}
