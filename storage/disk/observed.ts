/** A disk that tells when it has failed: the first failed write or sync, once. */
import { diskFailure, type StorageError } from '../base/errors.ts';
import type { Disk, Redundancy } from './disk.ts';

export class ObservedDisk implements Disk {
  readonly name: string;
  readonly allocatesOnWrite: boolean;
  readonly redundancy: Redundancy | undefined;
  readonly #disk: Disk;
  readonly #heard: (error: StorageError) => void;
  #told = false;

  constructor(disk: Disk, heard: (error: StorageError) => void) {
    this.name = disk.name;
    this.redundancy = disk.redundancy;
    this.allocatesOnWrite = disk.allocatesOnWrite;
    this.#disk = disk;
    this.#heard = heard;
  }

  get size(): number {
    return this.#disk.size;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#disk.read(offset, into);
  }

  write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    return this.#watch(this.#disk.write(offset, data, durable));
  }

  sync(): Promise<void> {
    return this.#watch(this.#disk.sync());
  }

  close(): Promise<void> {
    return this.#disk.close();
  }

  async #watch(call: Promise<void>): Promise<void> {
    try {
      await call;
    } catch (cause) {
      if (!this.#told) {
        this.#told = true;
        this.#heard(diskFailure(this.name, cause));
      }
      throw cause;
    }
  }
}
