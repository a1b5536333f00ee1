/**
 * How a unit learns that what its ROD tokens stand for is about to change.
 *
 * While a token lives, the unit's `device` is a WatchedDevice: every command, of whatever kind and from
 * whatever unit, changes the medium through it, and it tells the watch of the range before the call goes
 * down. Without a token the device stands there itself, so that reads and writes pay nothing.
 *
 * A token ends when a change is *begun*: until a read has come back with the token alive, no change of its
 * ranges had been started, so what was read is what the token stands for.
 */
import { Filter } from '../filters/filter.ts';
import type { BlockDevice, Completion } from './device.ts';

/** Hears of a change before it begins. */
export interface ChangeWatcher {
  changing(offset: number, length: number): void;
}

export class WatchedDevice extends Filter {
  readonly #watcher: ChangeWatcher;

  constructor(next: BlockDevice, watcher: ChangeWatcher) {
    super(next);
    this.#watcher = watcher;
  }

  /** What is put back when no token lives any more. */
  get watched(): BlockDevice {
    return this.next;
  }

  override write(offset: number, data: Uint8Array, fua: boolean, done: Completion): void {
    this.#watcher.changing(offset, data.length);
    super.write(offset, data, fua, done);
  }

  override unmap(offset: number, length: number, done: Completion): void {
    this.#watcher.changing(offset, length);
    super.unmap(offset, length, done);
  }

  override writeZeroes(offset: number, length: number, mayUnmap: boolean, done: Completion): void {
    this.#watcher.changing(offset, length);
    super.writeZeroes(offset, length, mayUnmap, done);
  }

  override compareAndWrite(
    offset: number,
    compare: Uint8Array,
    write: Uint8Array,
    done: Completion,
  ): void {
    this.#watcher.changing(offset, write.length);
    super.compareAndWrite(offset, compare, write, done);
  }

  override erase(done: Completion): void {
    this.#watcher.changing(0, this.sectors * this.sectorBytes);
    super.erase(done);
  }
}
