/** A store on a simulated disk, with calls as promises, for tests of single promises. */
import { pause } from '#storage/base/clock.ts';
import type { StorageError } from '../../storage/base/errors.ts';
import type { BlocksOptions, Store } from '../../storage/map/open.ts';
import * as ours from '../../storage/map/open.ts';
import { SimClock } from './clock.ts';
import { type Image, SimDisk } from './disk.ts';
import { SimRandom } from './random.ts';
import { stamped, stampOf } from './store-history.ts';
import { type Software, smallStore } from './store-load.ts';

export class SmallStore {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly disk: SimDisk;
  /** Ours, or a copy with a fault planted. */
  software: Software = ours;
  #store: Store | null = null;

  constructor(size: number, seed = 1, image?: Image, slowMs = 2) {
    this.random = new SimRandom(seed);
    const { clock, random } = this;
    this.disk = new SimDisk({ clock, random, size, slowMs, ...(image ? { image } : {}) });
  }

  get blocks(): Store {
    return this.#store!;
  }

  async format(): Promise<void> {
    const { random } = this;
    await this.clock.until(
      this.software.formatBlocks(this.disk, { storeId: random.bytes(16), random }),
    );
  }

  async open(options: BlocksOptions = smallStore): Promise<Store> {
    const { clock, random, disk } = this;
    this.#store = await clock.until(this.software.openBlocks({ disk, clock, random }, options));
    return this.#store;
  }

  /** Runs on a copy of what is durable now. */
  again(): SmallStore {
    const again = new SmallStore(this.disk.size, 2, this.disk.crash('drop'));
    again.software = this.software;
    return again;
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.clock.until(promise);
  }

  /** Removals have ended: their turns come one behind the other. */
  async removed(): Promise<void> {
    for (let used = -1; used !== this.blocks.total().used; ) {
      used = this.blocks.total().used;
      await this.until(pause(this.clock, 1000));
    }
  }

  /** Not waited for: `until` does. */
  write(ref: number, block: number, stamp: number, count = 1): Promise<StorageError | null> {
    const data = new Uint8Array(count * 4096);
    for (let index = 0; index < count; index += 1) {
      data.set(stamped(ref, block + index, stamp), index * 4096);
    }
    return new Promise((complete) => this.blocks.write(ref, block, data, { complete }));
  }

  unmap(ref: number, block: number, count: number): Promise<StorageError | null> {
    return this.until(
      new Promise((complete) => this.blocks.unmap(ref, block, count, { complete })),
    );
  }

  /** A read that is not waited for: `until` does. */
  start(ref: number, block: number): Promise<StorageError | null> {
    const into = new Uint8Array(4096);
    return new Promise((complete) => this.blocks.read(ref, block, 1, into, 0, { complete }));
  }

  /** The stamp of a block, 0 for zeros, -1 for anything else, or the error's code. */
  async read(ref: number, block: number): Promise<number | string> {
    const into = new Uint8Array(4096).fill(0xaa);
    const error = await this.until(
      new Promise<StorageError | null>((complete) =>
        this.blocks.read(ref, block, 1, into, 0, { complete }),
      ),
    );
    return error === null ? stampOf(ref, block, into) : error.code;
  }
}
