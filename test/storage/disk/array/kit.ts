/** A store on several simulated disks with calls as promises, for tests of single promises. */
import type { StorageError } from '#storage/base/errors.ts';
import type { Layout } from '#storage/disk/array/geometry.ts';
import { ArrayBed, type BedOptions, ourSoftware } from '#test/sim/array-bed.ts';
import type { CrashMode } from '#test/sim/disk.ts';
import { stamped, stampOf } from '#test/sim/store-history.ts';

export const software = await ourSoftware();

export class Bed extends ArrayBed {
  constructor(options: Omit<BedOptions, 'software'>) {
    super({ software, ...options });
  }

  /** Made, open, with space 1. */
  static async made(layout: Layout, disks: number, columns: number | null = null): Promise<Bed> {
    const bed = new Bed({ disks });
    await bed.format(layout, columns);
    const store = await bed.open();
    await bed.until(store.create(1, 0));
    return bed;
  }

  /** Blocks [block, block + count) of space 1. Not waited for: `until` does. */
  write(block: number, count: number, stamp: number): Promise<StorageError | null> {
    const data = new Uint8Array(count * 4096);
    for (let index = 0; index < count; index += 1) {
      data.set(stamped(1, block + index, stamp), index * 4096);
    }
    return new Promise((complete) => this.store!.write(1, block, data, { complete }));
  }

  /** Written and waited for. */
  async put(block: number, count: number, stamp: number): Promise<string | null> {
    return (await this.until(this.write(block, count, stamp)))?.code ?? null;
  }

  /** The stamp of a block, 0 for zeros, -1 for anything else, or the error's code. */
  async read(block: number): Promise<number | string> {
    const into = new Uint8Array(4096).fill(0xaa);
    const error = await this.until(
      new Promise<StorageError | null>((complete) =>
        this.store!.read(1, block, 1, into, 0, { complete }),
      ),
    );
    return error === null ? stampOf(1, block, into) : error.code;
  }

  /** Blocks of [0, count) that do not hold this stamp. */
  async wrong(count: number, stamp: number): Promise<(number | string)[]> {
    const found: (number | string)[] = [];
    for (let from = 0; from < count; from += 60) {
      const blocks = Math.min(60, count - from);
      if (await this.#all(from, blocks, stamp)) continue;
      for (let block = from; block < from + blocks; block += 1) {
        const read = await this.read(block);
        if (read !== stamp) found.push(`${block}: ${read}`);
      }
    }
    return found;
  }

  /** Whether all of these blocks hold the stamp, in one read. */
  async #all(from: number, count: number, stamp: number): Promise<boolean> {
    const into = new Uint8Array(count * 4096);
    const error = await this.until(
      new Promise<StorageError | null>((complete) =>
        this.store!.read(1, from, count, into, 0, { complete }),
      ),
    );
    if (error !== null) return false;
    for (let index = 0; index < count; index += 1) {
      const block = into.subarray(index * 4096, (index + 1) * 4096);
      if (stampOf(1, from + index, block) !== stamp) return false;
    }
    return true;
  }

  /** Opened anew on what a crash leaves, without the disks `lost`. */
  async again(lost: readonly number[], mode: CrashMode = 'drop'): Promise<Bed> {
    const images = this.images(mode).map((image, disk) =>
      lost.includes(disk) ? undefined : image,
    );
    const bed = new Bed({ images });
    await bed.open();
    return bed;
  }

  /** The disk with this number fails with its next write. */
  fail(disk: number): void {
    this.disks[disk]!.failWrite = this.disks[disk]!.writes + 1;
  }

  /** States of the disks, by the table in force. */
  get states(): (string | null)[] {
    const words = ['', 'in', 'draining', 'out', 'empty'];
    return this.array!.members.table.disks.map((entry) => entry && words[entry.state]!);
  }
}
