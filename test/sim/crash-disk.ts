/**
 * A disk as a crash left it, for a store that is opened, looked at and forgotten: it shares what it
 * was left with and keeps apart only what is written, so that a state costs what recovery touches and
 * not the size of the disk. Calls take no time and end in their order; a second crash drops what was
 * not synced. What a user of a disk must keep to is checked by `SimDisk`, under which the load ran.
 */
import assert from 'node:assert/strict';
import type { Disk } from '../../storage/disk/disk.ts';
import { copyBlocks } from './disk.ts';
import type { DiskState } from './replay.ts';

const blockBytes = 4096;

/** Memory for what is written, used again for each state. */
export class Arena {
  #bytes = Buffer.alloc(32 * 1024 * 1024);
  #used = 0;

  /** What was taken before is free again. */
  reset(): void {
    this.#used = 0;
  }

  take(): Uint8Array {
    if (this.#used + blockBytes > this.#bytes.length) {
      this.#bytes = Buffer.alloc(this.#bytes.length);
      this.#used = 0;
    }
    this.#used += blockBytes;
    return this.#bytes.subarray(this.#used - blockBytes, this.#used);
  }
}

export class CrashDisk implements Disk {
  readonly name = 'crashed';
  readonly size: number;
  /** Else zeros would be written ahead of the log in every state, which nobody looks at. */
  readonly allocatesOnWrite = false;
  readonly #stable: DiskState['stable'];
  readonly #changes: Map<number, Uint8Array>;
  readonly #unsynced = new Map<number, Uint8Array>();
  readonly #arena: Arena;

  constructor(size: number, state: DiskState, arena: Arena) {
    this.size = size;
    this.#stable = state.stable;
    this.#changes = new Map(state.changes);
    this.#arena = arena;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#check(offset, into.length);
    const first = offset / blockBytes;
    copyBlocks(into, (index) => this.#at(first + index));
  }

  #at(block: number): Uint8Array | undefined {
    return this.#unsynced.get(block) ?? this.#changes.get(block) ?? this.#stable[block];
  }

  async write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    let block = offset / blockBytes;
    for (const part of data) {
      this.#check(block * blockBytes, part.length);
      for (let from = 0; from < part.length; from += blockBytes, block += 1) {
        const copy = this.#arena.take();
        copy.set(part.subarray(from, from + blockBytes));
        if (durable) {
          this.#unsynced.delete(block);
          this.#changes.set(block, copy);
        } else this.#unsynced.set(block, copy);
      }
    }
  }

  async sync(): Promise<void> {
    for (const [block, data] of this.#unsynced) this.#changes.set(block, data);
    this.#unsynced.clear();
  }

  async close(): Promise<void> {}

  /** What is there after one more crash. */
  crash(): DiskState {
    return { stable: this.#stable, changes: this.#changes };
  }

  #check(offset: number, length: number): void {
    assert(offset % blockBytes === 0 && length % blockBytes === 0 && length > 0, 'whole blocks');
    assert(offset >= 0 && offset + length <= this.size, 'inside the disk');
  }
}
