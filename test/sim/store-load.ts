/**
 * A mixed load on a store over a simulated disk, from a seed: what was done is kept in a `History`. A block's
 * stamp says which write made it, whichever spaces see it.
 */
import type { Done } from '../../storage/map/blocks.ts';
import type { BlocksOptions, BlocksPorts, FormatOptions, Store } from '../../storage/map/open.ts';
import { drained, type SimClock } from './clock.ts';
import type { SimDisk } from './disk.ts';
import type { ImagesPlan } from './images-plan.ts';
import type { SimRandom } from './random.ts';
import { History, stamped } from './store-history.ts';

/** The software under test: ours, or a copy of it with a fault planted. */
export interface Software {
  formatBlocks(disk: BlocksPorts['disk'], options: FormatOptions): Promise<void>;
  openBlocks(ports: BlocksPorts, options: BlocksOptions): Promise<Store>;
}

/** In a trace: operations up to this point were issued, or acknowledged. */
export interface Mark {
  readonly issued: number;
  readonly acked: number;
}

export const smallStore: BlocksOptions = {
  cacheBytes: 1024 * 1024,
  recentBytes: 0,
  checkpointBytes: 3 * 1024 * 1024,
};

/** Where the blocks of a space are, and how many are used. */
export interface Shape {
  readonly ref: number;
  readonly block: (number: number) => number;
  readonly blocks: number;
}

/** Spaces and the blocks that are used of each: dense, scattered, short-lived. */
const spaces: readonly Shape[] = [
  { ref: 1, block: (number: number): number => number, blocks: 300 },
  { ref: 2, block: (number: number): number => number * 777, blocks: 60 },
  { ref: 3, block: (number: number): number => 2 ** 27 - 20 + number, blocks: 40 },
];

export class Load {
  readonly history: History;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #disk: SimDisk;
  /** Spaces that can be written, with the shape of their content. */
  readonly #living = new Map<number, Shape>();
  #store: Store;
  #stamp = 0;
  #inFlight = 0;
  acked = 0;
  failures: string[] = [];
  /** Operations in flight at most. */
  depth = 24;
  /** Where the load goes: 1 everywhere. */
  focus = 1;
  /** Blocks of a write at most, but for one in twenty; and of those. */
  longest = 12;
  longer = 200;
  /** Snapshots, clones and rollbacks as well. */
  images: ImagesPlan | null = null;

  /** `before`: the load that went on until the last crash, whose surviving content is `history`. */
  constructor(
    store: Store,
    clock: SimClock,
    disk: SimDisk,
    random: SimRandom,
    history = new History(),
    before: Load | null = null,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#disk = disk;
    this.#random = random;
    this.history = history;
    this.acked = history.issued;
    if (before === null) return;
    this.#stamp = before.#stamp;
    for (const ref of store.refs()) this.#living.set(ref, spaces[ref - 1]!);
  }

  /** Issue `count` operations and fire some events: a crash comes in the middle of it. */
  async runUnfinished(count: number): Promise<void> {
    for (let issued = 0; issued < count; issued += 1) {
      this.issue();
      while (this.#inFlight >= this.depth) if (!(await this.#step())) return;
      if (this.#random.chance(0.3)) await this.#step();
    }
  }

  /** Issue `count` operations, with at most `depth` in flight, and wait for them. */
  async run(count: number): Promise<void> {
    for (let issued = 0; issued < count; issued += 1) {
      this.issue();
      while (this.#inFlight >= this.depth) if (!(await this.#step())) return;
      // Now and then everything comes to rest, so that lone writes are seen as well.
      if (this.#random.chance(0.02)) while (this.#inFlight > 0) if (!(await this.#step())) return;
      if (this.#random.chance(0.3)) await this.#step();
    }
    while (this.#inFlight > 0) if (!(await this.#step())) return;
  }

  async #step(): Promise<boolean> {
    let went = this.#clock.step();
    await drained();
    // What was just asked for may only now have come to ask the clock for something.
    if (!went) went = this.#clock.step();
    await drained();
    if (!went && this.#inFlight > 0) this.failures.push(`${this.#inFlight} operations hang`);
    return went;
  }

  /** One operation chosen by chance. */
  issue(): void {
    const random = this.#random;
    const image = this.images?.next(this.history, this.#living) ?? null;
    if (image !== null) {
      this.#promised(image.point, () => image.call(this.#store));
      return;
    }
    const space = spaces[random.below(spaces.length)]!;
    const { ref } = space;
    if (!this.#living.has(ref)) {
      this.#living.set(ref, space);
      const point = this.history.create(ref);
      this.#promised(point, () => this.#store.create(ref, 0));
      return;
    }
    if (ref === 3 && random.chance(0.02)) {
      this.#living.delete(ref);
      const point = this.history.drop(ref);
      this.#promised(point, () => this.#store.drop(ref));
      return;
    }
    if (this.images === null) this.#change(ref, space);
    else {
      const [chosen, shape] = random.pick([...this.#living]);
      this.#change(chosen, shape);
    }
  }

  /** Write, unmap or flush, of a space whose content has this shape. */
  #change(ref: number, shape: Shape): void {
    const random = this.#random;
    const number = random.below(Math.ceil(shape.blocks * this.focus));
    const block = shape.block(number);
    const kind = random.below(100);
    if (kind < 3) {
      const point = this.history.issued;
      this.#started(point);
      this.#store.flush(this.#done(point));
    } else if (kind < 10) {
      const count = 1 + random.below(shape.ref === 2 ? 4000 : 20);
      const point = this.history.unmap(ref, block, count);
      this.#started(point);
      this.#store.unmap(ref, block, count, this.#done(point));
    } else this.#write(ref, shape, number);
  }

  #write(ref: number, shape: Shape, number: number): void {
    const random = this.#random;
    const most = (): number => (random.chance(0.05) ? this.longer : this.longest);
    const longest = shape.ref === 2 ? 1 : Math.min(most(), shape.blocks - number);
    const count = 1 + random.below(longest);
    this.#stamp += 1;
    const block = shape.block(number);
    const data = new Uint8Array(count * 4096);
    for (let index = 0; index < count; index += 1) {
      data.set(stamped(0, block + index, this.#stamp), index * 4096);
    }
    const point = this.history.write(ref, block, count, this.#stamp);
    this.#started(point);
    this.#store.write(ref, block, data, this.#done(point));
    // The store has its copy: what the caller does with the buffer is its own.
    data.fill(0xee);
  }

  #promised(point: number, call: () => Promise<void>): void {
    this.#started(point);
    const done = this.#done(point);
    call().then(
      () => done.complete(null),
      (error) => done.complete(error),
    );
  }

  #started(_point: number): void {
    this.#inFlight += 1;
    this.#mark();
  }

  #done(point: number): Done {
    let told = false;
    return {
      complete: (error) => {
        if (told) this.failures.push('an operation was completed twice');
        told = true;
        this.#inFlight -= 1;
        if (error !== null) this.failures.push(`${error.code}: ${error.message}`);
        else if (point > this.acked) this.acked = point;
        this.#mark();
      },
    };
  }

  #mark(): void {
    const note: Mark = { issued: this.history.issued, acked: this.acked };
    this.#disk.trace?.push({ kind: 'note', note });
  }
}
