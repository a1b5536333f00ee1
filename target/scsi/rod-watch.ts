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
import type {
  BlockDevice,
  Completion,
  DeviceAllocation,
  DeviceCapabilities,
  DeviceIdentity,
  DeviceListener,
} from './device.ts';

/** Hears of a change before it begins. */
export interface ChangeWatcher {
  changing(offset: number, length: number): void;
}

/** Every member of the port, the optional ones too: one that was forgotten would be hidden. */
type Whole = { readonly [Member in keyof Required<BlockDevice>]: unknown };

export class WatchedDevice implements BlockDevice, Whole {
  readonly next: BlockDevice;
  readonly #watcher: ChangeWatcher;

  constructor(next: BlockDevice, watcher: ChangeWatcher) {
    this.next = next;
    this.#watcher = watcher;
  }

  get identity(): DeviceIdentity {
    return this.next.identity;
  }
  get sectorBytes(): number {
    return this.next.sectorBytes;
  }
  get physicalSectorBytes(): number {
    return this.next.physicalSectorBytes;
  }
  get sectors(): number {
    return this.next.sectors;
  }
  get capabilities(): DeviceCapabilities {
    return this.next.capabilities;
  }

  readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    return this.next.readNow(offset, length, into, at);
  }

  read(offset: number, length: number, into: Uint8Array, at: number, done: Completion): void {
    this.next.read(offset, length, into, at, done);
  }

  write(offset: number, data: Uint8Array, fua: boolean, done: Completion): void {
    this.#watcher.changing(offset, data.length);
    this.next.write(offset, data, fua, done);
  }

  flush(done: Completion): void {
    this.next.flush(done);
  }

  unmap(offset: number, length: number, done: Completion): void {
    this.#watcher.changing(offset, length);
    this.next.unmap(offset, length, done);
  }

  writeZeroes(offset: number, length: number, mayUnmap: boolean, done: Completion): void {
    this.#watcher.changing(offset, length);
    this.next.writeZeroes(offset, length, mayUnmap, done);
  }

  compareAndWrite(offset: number, compare: Uint8Array, write: Uint8Array, done: Completion): void {
    this.#watcher.changing(offset, write.length);
    this.next.compareAndWrite(offset, compare, write, done);
  }

  allocation(offset: number, length: number): DeviceAllocation {
    return this.next.allocation(offset, length);
  }

  listen(listener: DeviceListener): () => void {
    return this.next.listen(listener);
  }
}
