/** A range of a disk that looks like a disk: what a store's areas are made of. */
import assert from 'node:assert/strict';
import { bytesIn, type Disk } from './disk.ts';
import { limits } from './limits.ts';

export class Slice implements Disk {
  readonly name: string;
  readonly size: number;
  readonly allocatesOnWrite: boolean;
  readonly #disk: Disk;
  readonly #offset: number;

  constructor(disk: Disk, offset: number, size: number) {
    assert(offset % limits.areaUnitBytes === 0 && size % limits.areaUnitBytes === 0);
    assert(offset >= 0 && size > 0 && offset + size <= disk.size, 'an area lies within its disk');
    this.name = disk.name;
    this.size = size;
    this.allocatesOnWrite = disk.allocatesOnWrite;
    this.#disk = disk;
    this.#offset = offset;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    assert(offset >= 0 && offset + into.length <= this.size, 'a read lies within its area');
    return this.#disk.read(this.#offset + offset, into);
  }

  write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    const length = bytesIn(data);
    assert(offset >= 0 && offset + length <= this.size, 'a write lies within its area');
    return this.#disk.write(this.#offset + offset, data, durable);
  }

  sync(): Promise<void> {
    return this.#disk.sync();
  }

  /** The disk below is its owner's to close. */
  async close(): Promise<void> {}
}
