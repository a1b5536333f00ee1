/**
 * `Blocks` in memory, for tests of what stands on them: completes at once, or later in a seeded
 * order. Changes take effect in the order in which they were accepted, and reads may not see them
 * before they have completed, as when they wait for room in the real store. Capacity is counted.
 */
import { StorageError } from '#storage/base/errors.ts';
import {
  type Blocks,
  type BlockUsage,
  blockBytes,
  type Done,
  type Extent,
  type StoreUsage,
} from '#storage/map/blocks.ts';
import type { SeededRandom } from '#test/kit/random.ts';

export interface MemoryBlocksOptions {
  /** Blocks of user data. */
  readonly capacity?: number;
  /** Given: calls complete later, in an order of its choice, and `readNow` often says no. */
  readonly random?: SeededRandom;
}

interface Space {
  readonly content: Map<number, Uint8Array>;
  reserved: number;
}

export class MemoryBlocks implements Blocks {
  readonly spaces = new Map<number, Space>();
  /** Set: every later call that changes something fails with it. */
  failure: StorageError | null = null;
  /** Set: reads of these blocks (of any space) fail with MEDIUM_ERROR. */
  readonly damaged = new Set<number>();
  readonly #capacity: number;
  readonly #random: SeededRandom | null;
  #pending: (() => void)[] = [];
  /** Accepted changes that reads do not see yet, in order. */
  readonly #unseen: (() => void)[] = [];

  constructor(options: MemoryBlocksOptions = {}) {
    this.#capacity = options.capacity ?? 2 ** 30;
    this.#random = options.random ?? null;
  }

  async create(ref: number, reserved: number): Promise<void> {
    this.#check();
    if (this.spaces.has(ref)) throw new StorageError('EXISTS', `space ${ref}`);
    if (reserved > this.#free()) throw full();
    this.spaces.set(ref, { content: new Map(), reserved });
  }

  async reserve(ref: number, reserved: number): Promise<void> {
    this.#check();
    const space = this.#space(ref);
    const more = Math.max(reserved, space.content.size) - this.#taken(space);
    if (more > this.#free()) throw full();
    space.reserved = reserved;
  }

  async drop(ref: number): Promise<void> {
    this.#check();
    this.#space(ref);
    this.spaces.delete(ref);
  }

  refs(): readonly number[] {
    return [...this.spaces.keys()];
  }

  readNow(ref: number, block: number, count: number, into: Uint8Array, at: number): boolean {
    if (this.#random?.chance(0.5)) return false;
    if (this.#damage(block, count)) return false;
    this.#copy(ref, block, count, into, at);
    return true;
  }

  read(ref: number, block: number, count: number, into: Uint8Array, at: number, done: Done): void {
    this.#later(() => {
      if (this.#damage(block, count)) {
        done.complete(new StorageError('MEDIUM_ERROR', 'damaged'));
        return;
      }
      this.#copy(ref, block, count, into, at);
      done.complete(null);
    });
  }

  write(ref: number, block: number, data: Uint8Array, done: Done): void {
    const space = this.#space(ref);
    if (this.failure !== null) {
      done.complete(this.failure);
      return;
    }
    const count = data.length / blockBytes;
    if (!Number.isInteger(count) || count === 0) throw new Error('not whole blocks');
    let fresh = 0;
    for (let i = 0; i < count; i++) if (!space.content.has(block + i)) fresh++;
    const before = this.#taken(space);
    const after = Math.max(space.reserved, space.content.size + fresh);
    if (after - before > this.#free()) {
      done.complete(full());
      return;
    }
    const copy = data.slice();
    this.#change(done, () => {
      for (let i = 0; i < count; i++) {
        space.content.set(block + i, copy.slice(i * blockBytes, (i + 1) * blockBytes));
      }
    });
  }

  unmap(ref: number, block: number, count: number, done: Done): void {
    const space = this.#space(ref);
    if (this.failure !== null) {
      done.complete(this.failure);
      return;
    }
    this.#change(done, () => {
      for (const held of [...space.content.keys()]) {
        if (held >= block && held < block + count) space.content.delete(held);
      }
    });
  }

  flush(done: Done): void {
    const waiting = this.#pending;
    this.#later(() => {
      for (const complete of waiting.splice(0)) complete();
      done.complete(this.failure);
    });
  }

  async extent(ref: number, block: number, count: number): Promise<Extent> {
    return this.extentNow(ref, block, count);
  }

  extentNow(ref: number, block: number, count: number): Extent {
    const { content } = this.#space(ref);
    const mapped = content.has(block);
    let reach = 1;
    if (mapped) {
      while (reach < count && content.has(block + reach)) reach++;
    } else {
      reach = count;
      for (const held of content.keys()) if (held > block) reach = Math.min(reach, held - block);
    }
    return { mapped, count: reach };
  }

  usage(ref: number): BlockUsage {
    const { content, reserved } = this.#space(ref);
    return { mapped: content.size, reserved };
  }

  total(): StoreUsage {
    let used = 0;
    let taken = 0;
    for (const space of this.spaces.values()) {
      used += space.content.size;
      taken += this.#taken(space);
    }
    return {
      capacity: this.#capacity * blockBytes,
      used: used * blockBytes,
      reserved: (taken - used) * blockBytes,
      free: (this.#capacity - taken) * blockBytes,
    };
  }

  async close(): Promise<void> {}

  /** Run what waits, in an order of chance's choice. */
  settle(): void {
    while (this.#pending.length > 0) {
      const index = this.#random?.below(this.#pending.length) ?? 0;
      this.#pending.splice(index, 1)[0]!();
    }
  }

  /** Run one thing that waits; false when nothing does. */
  step(): boolean {
    if (this.#pending.length === 0) return false;
    this.#pending.splice(this.#random?.below(this.#pending.length) ?? 0, 1)[0]!();
    return true;
  }

  /** It takes effect some time before it completes, and after all that were accepted earlier. */
  #change(done: Done, effect: () => void): void {
    this.#unseen.push(effect);
    while (this.#unseen.length > 0 && !this.#random?.chance(0.6)) this.#unseen.shift()!();
    this.#later(() => {
      while (this.#unseen.includes(effect)) this.#unseen.shift()!();
      done.complete(this.failure);
    });
  }

  #later(fire: () => void): void {
    if (this.#random === null) fire();
    else this.#pending.push(fire);
  }

  #copy(ref: number, block: number, count: number, into: Uint8Array, at: number): void {
    const { content } = this.#space(ref);
    for (let i = 0; i < count; i++) {
      const from = at + i * blockBytes;
      const data = content.get(block + i);
      if (data === undefined) into.fill(0, from, from + blockBytes);
      else into.set(data, from);
    }
  }

  #damage(block: number, count: number): boolean {
    for (let i = 0; i < count; i++) if (this.damaged.has(block + i)) return true;
    return false;
  }

  #taken(space: Space): number {
    return Math.max(space.reserved, space.content.size);
  }

  #free(): number {
    let taken = 0;
    for (const space of this.spaces.values()) taken += this.#taken(space);
    return this.#capacity - taken;
  }

  #space(ref: number): Space {
    const space = this.spaces.get(ref);
    if (space === undefined) throw new Error(`no space ${ref}`);
    return space;
  }

  #check(): void {
    if (this.failure !== null) throw this.failure;
  }
}

const full = (): StorageError => new StorageError('NO_SPACE', 'the store is full');
