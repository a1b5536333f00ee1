/**
 * `Blocks` in memory, for tests of what stands on them: completes at once, or later in a seeded
 * order. Changes take effect in the order in which they were accepted, and reads may not see them
 * before they have completed, as when they wait for room in the real store. Capacity is counted.
 *
 * A block is one Uint8Array that is never changed, so spaces share a block when they hold the same array. Whole
 * contents (`Images`) are copies of a space's table; `#holders` counts in how many tables each array is.
 */
import { StorageError } from '#storage/base/errors.ts';
import {
  type Blocks,
  type BlockUsage,
  blockBytes,
  type Claims,
  type Done,
  type Extent,
  type Redemption,
  type StoreUsage,
} from '#storage/map/blocks.ts';
import type { Images, SnapshotPair } from '#storage/map/images.ts';
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
  frozen?: boolean;
}

export class MemoryBlocks implements Blocks, Claims, Images {
  readonly spaces = new Map<number, Space>();
  /** Set: every later call that changes something fails with it. */
  failure: StorageError | null = null;
  /** Set: what was claimed is refused with it, and nothing else. */
  refusal: StorageError | null = null;
  /** Set: reads of these blocks (of any space) fail with MEDIUM_ERROR. */
  readonly damaged = new Set<number>();
  readonly #capacity: number;
  readonly #random: SeededRandom | null;
  /** Blocks that are claimed; pages cost nothing here. */
  claimed = 0;
  claimedPages = 0;
  #pending: (() => void)[] = [];
  /** Accepted changes that reads do not see yet, in order. */
  readonly #unseen: (() => void)[] = [];
  /** Block → in how many spaces it is. */
  readonly #holders = new Map<Uint8Array, number>();

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
    const space = this.#known(ref);
    if (space.frozen) throw frozen(ref);
    const more = this.#outstanding({ ...space, reserved }) - this.#outstanding(space);
    if (more > this.#free()) throw full();
    space.reserved = reserved;
  }

  async drop(ref: number): Promise<void> {
    this.#check();
    const { content } = this.#known(ref);
    this.#see();
    this.#release(content);
    this.spaces.delete(ref);
  }

  async snapshot(pairs: readonly SnapshotPair[]): Promise<void> {
    this.#check();
    this.#see();
    const fresh = new Set(pairs.map(({ as }) => as));
    const origins = new Set(pairs.map(({ of }) => of));
    if (pairs.length === 0 || Math.min(fresh.size, origins.size) < pairs.length) {
      throw new StorageError('INVALID', 'a snapshot is of different spaces, at least one');
    }
    for (const { of, as } of pairs) {
      if (this.#known(of).frozen) throw frozen(of);
      if (this.spaces.has(as)) throw new StorageError('EXISTS', `space ${as}`);
    }
    const free = this.#free();
    for (const { of, as } of pairs) this.#copy(this.#known(of).content, as, 0, true);
    if (this.#free() < 0 && this.#free() < free) {
      for (const as of fresh) await this.drop(as);
      throw full();
    }
  }

  async clone(from: number, ref: number, reserved: number): Promise<void> {
    this.#check();
    const { content, frozen: isFrozen } = this.#known(from);
    if (!isFrozen) throw new StorageError('INVALID', `space ${from} is not frozen`);
    if (this.spaces.has(ref)) throw new StorageError('EXISTS', `space ${ref}`);
    if (reserved > this.#free()) throw full();
    this.#copy(content, ref, reserved, false);
  }

  async revert(ref: number, from: number): Promise<void> {
    this.#check();
    const space = this.#known(ref);
    const { content, frozen: isFrozen } = this.#known(from);
    if (space.frozen) throw frozen(ref);
    if (!isFrozen) throw new StorageError('INVALID', `space ${from} is not frozen`);
    this.#see();
    this.#release(space.content);
    this.#copy(content, ref, space.reserved, false);
  }

  isFrozen(ref: number): boolean {
    return this.#known(ref).frozen === true;
  }

  async exclusive(refs: readonly number[]): Promise<number> {
    const held = new Map<Uint8Array, number>();
    for (const ref of new Set(refs)) {
      for (const block of this.#known(ref).content.values()) {
        held.set(block, (held.get(block) ?? 0) + 1);
      }
    }
    let count = 0;
    for (const [block, here] of held) if (this.#holders.get(block) === here) count++;
    return count;
  }

  async difference(
    a: number,
    b: number,
    block: number,
    count: number,
  ): Promise<{ differs: boolean; count: number }> {
    const [one, two] = [this.#known(a).content, this.#known(b).content];
    const differ = (at: number): boolean => one.get(at) !== two.get(at);
    const differs = differ(block);
    let reach = differs ? 1 : count;
    if (differs) while (reach < count && differ(block + reach)) reach++;
    else {
      for (const at of [...one.keys(), ...two.keys()]) {
        if (at > block && at - block < reach && differ(at)) reach = at - block;
      }
    }
    return { differs, count: reach };
  }

  #copy(content: ReadonlyMap<number, Uint8Array>, ref: number, reserved: number, frozen: boolean) {
    for (const block of content.values()) this.#hold(block, 1);
    this.spaces.set(ref, { content: new Map(content), reserved, frozen });
  }

  #release(content: ReadonlyMap<number, Uint8Array>): void {
    for (const block of content.values()) this.#hold(block, -1);
  }

  #hold(block: Uint8Array, more: number): void {
    const holders = (this.#holders.get(block) ?? 0) + more;
    if (holders > 0) this.#holders.set(block, holders);
    else this.#holders.delete(block);
  }

  #put(content: Map<number, Uint8Array>, at: number, block: Uint8Array | null): void {
    const old = content.get(at);
    if (old !== undefined) this.#hold(old, -1);
    if (block === null) content.delete(at);
    else {
      this.#hold(block, 1);
      content.set(at, block);
    }
  }

  refs(): readonly number[] {
    return [...this.spaces.keys()];
  }

  readNow(ref: number, block: number, count: number, into: Uint8Array, at: number): boolean {
    if (this.#random?.chance(0.5)) return false;
    if (this.#damage(block, count)) return false;
    this.#fill(ref, block, count, into, at);
    return true;
  }

  read(ref: number, block: number, count: number, into: Uint8Array, at: number, done: Done): void {
    this.#later(() => {
      if (this.#damage(block, count)) {
        done.complete(new StorageError('MEDIUM_ERROR', 'damaged'));
        return;
      }
      this.#fill(ref, block, count, into, at);
      done.complete(null);
    });
  }

  write(ref: number, block: number, data: Uint8Array, done: Done): void {
    const space = this.#space(ref);
    const refusal = this.failure ?? (space.frozen ? frozen(ref) : null);
    if (refusal !== null) {
      done.complete(refusal);
      return;
    }
    const count = data.length / blockBytes;
    if (!Number.isInteger(count) || count === 0) throw new Error('not whole blocks');
    let fresh = 0;
    for (let i = 0; i < count; i++) if (!this.#owns(space, block + i)) fresh++;
    if (fresh - this.#outstanding(space) > this.#free()) {
      done.complete(full());
      return;
    }
    this.#write(ref, block, data, done);
  }

  claim(blocks: number, pages: number): boolean {
    if (this.failure !== null || blocks > this.#free()) return false;
    this.claimed += blocks;
    this.claimedPages += pages;
    return true;
  }

  release(blocks: number, pages: number): void {
    if (blocks > this.claimed || pages > this.claimedPages) throw new Error('never claimed');
    this.claimed -= blocks;
    this.claimedPages -= pages;
  }

  redeem(write: Redemption, done: Done): void {
    if (this.failure !== null) {
      done.complete(this.failure);
      return;
    }
    if (this.refusal !== null) {
      done.complete(this.refusal);
      return;
    }
    this.release(write.blocks, write.pages);
    this.#write(write.ref, write.block, write.data, done);
  }

  #write(ref: number, block: number, data: Uint8Array, done: Done): void {
    const count = data.length / blockBytes;
    // A Buffer's own `slice` is no copy.
    const copy = new Uint8Array(data);
    this.#change(done, () => {
      const { content } = this.#space(ref);
      for (let i = 0; i < count; i++) {
        this.#put(content, block + i, copy.slice(i * blockBytes, (i + 1) * blockBytes));
      }
    });
  }

  unmap(ref: number, block: number, count: number, done: Done): void {
    const refusal = this.failure ?? (this.#space(ref).frozen ? frozen(ref) : null);
    if (refusal !== null) {
      done.complete(refusal);
      return;
    }
    this.#change(done, () => {
      const { content } = this.#space(ref);
      for (const held of [...content.keys()]) {
        if (held >= block && held < block + count) this.#put(content, held, null);
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
    const used = this.#holders.size;
    const free = this.#free();
    return {
      capacity: this.#capacity * blockBytes,
      used: used * blockBytes,
      reserved: (this.#capacity - used - free) * blockBytes,
      free: free * blockBytes,
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

  /** All that was accepted takes effect. */
  #see(): void {
    for (const effect of this.#unseen.splice(0)) effect();
  }

  #later(fire: () => void): void {
    if (this.#random === null) fire();
    else this.#pending.push(fire);
  }

  #fill(ref: number, block: number, count: number, into: Uint8Array, at: number): void {
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

  /** Whether overwriting this block takes no more room. */
  #owns({ content }: Space, at: number): boolean {
    const block = content.get(at);
    return block !== undefined && this.#holders.get(block) === 1;
  }

  /** Promised to the space and not yet taken by blocks of its own. */
  #outstanding(space: Space): number {
    if (space.reserved === 0) return 0;
    let own = 0;
    for (const at of space.content.keys()) if (this.#owns(space, at)) own++;
    return Math.max(0, space.reserved - own);
  }

  #free(): number {
    let free = this.#capacity - this.#holders.size - this.claimed;
    for (const space of this.spaces.values()) free -= this.#outstanding(space);
    return free;
  }

  #known(ref: number): Space {
    const space = this.spaces.get(ref);
    if (space === undefined) throw new StorageError('NOT_FOUND', `there is no space ${ref}`);
    return space;
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
const frozen = (ref: number): StorageError => new StorageError('INVALID', `space ${ref} is frozen`);
