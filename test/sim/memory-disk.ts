/**
 * A Disk in memory that remembers every write, so that a test can ask what a crash after any of them
 * leaves: all before it, and the last one lost, kept or torn at 4096 bytes. For code that only ever
 * has one write in flight; the disk that reorders and loses is test/sim/disk.ts.
 */
import assert from 'node:assert/strict';
import { StorageError } from '#storage/base/errors.ts';
import type { Disk } from '#storage/disk/disk.ts';

const unit = 4096;

export interface WriteRecord {
  readonly offset: number;
  readonly data: Uint8Array;
}

export class MemoryDisk implements Disk {
  readonly name = 'memory';
  readonly size: number;
  readonly allocatesOnWrite = false;
  readonly content: Uint8Array;
  /** Of this life, in order. */
  readonly writes: WriteRecord[] = [];
  /** Offsets of 4096-byte units that cannot be read. */
  readonly unreadable = new Set<number>();
  /** This write (counted from 0 in this life) and all after it fail. */
  failFrom = Number.POSITIVE_INFINITY;
  closed = false;

  constructor(size: number, content?: Uint8Array) {
    this.size = size;
    this.content = content ?? new Uint8Array(size);
    assert.equal(this.content.length, size);
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    assert(offset % unit === 0 && into.length % unit === 0 && offset + into.length <= this.size);
    for (let at = offset; at < offset + into.length; at += unit) {
      if (this.unreadable.has(at)) throw new StorageError('MEDIUM_ERROR', `unreadable ${at}`);
    }
    into.set(this.content.subarray(offset, offset + into.length));
  }

  async write(offset: number, data: readonly Uint8Array[], _durable: boolean): Promise<void> {
    const bytes = Buffer.concat(data);
    assert(offset % unit === 0 && bytes.length % unit === 0 && offset + bytes.length <= this.size);
    if (this.writes.length >= this.failFrom) throw new StorageError('DISK_FAILED', 'planned');
    this.writes.push({ offset, data: bytes });
    await Promise.resolve();
    this.content.set(bytes, offset);
    for (let at = offset; at < offset + bytes.length; at += unit) this.unreadable.delete(at);
  }

  async sync(): Promise<void> {
    if (this.writes.length >= this.failFrom) throw new StorageError('DISK_FAILED', 'planned');
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  /** A new disk as a power loss during write number `count` left it; `kept` chooses among units. */
  static after(
    start: Uint8Array,
    writes: readonly WriteRecord[],
    count: number,
    kept: (unit: number, units: number) => boolean,
  ): MemoryDisk {
    const content = start.slice();
    for (const { offset, data } of writes.slice(0, count)) content.set(data, offset);
    const last = writes[count];
    if (last !== undefined) {
      const units = last.data.length / unit;
      for (let index = 0; index < units; index++) {
        const part = last.data.subarray(index * unit, (index + 1) * unit);
        if (kept(index, units)) content.set(part, last.offset + index * unit);
      }
    }
    return new MemoryDisk(content.length, content);
  }
}
