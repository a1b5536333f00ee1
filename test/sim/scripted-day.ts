/**
 * A day in the life of a store, always the same one: two disks, snapshots, a clone, a rollback, removals,
 * cleaning, a restart. Calls may fail; what each block may then hold is known, and compared with what is read.
 */
import { StorageError } from '../../storage/base/errors.ts';
import type { BlocksOptions, Store } from '../../storage/map/open.ts';
import type { SimClock } from './clock.ts';
import { stamped, stampOf } from './store-history.ts';
import { smallStore } from './store-load.ts';

/** Little memory and many checkpoints, so that the disk is read and written all the time. */
export const dayStore: BlocksOptions = {
  ...smallStore,
  cacheBytes: 0,
  checkpointBytes: 300 * 1024,
  mapBytes: 0,
};

const blocks = [0, 1, 2, 255, 256, 900, 5000] as const;

/** What each block of a space may hold: after a call that failed, what was or what was to be. */
type Content = Map<number, Set<number>>;

export class ScriptedDay {
  readonly spaces = new Map<number, Content>();
  /** Spaces of which it is not known whether they are there. */
  readonly doubtful = new Set<number>();
  store: Store | null = null;
  /** What was read and should not have been. */
  wrong: string | null = null;
  /** Calls that failed, reads included. */
  refused = 0;
  readonly #clock: SimClock;
  readonly #open: () => Promise<Store>;
  #stamp = 0;

  /** `open` opens the store as it is then. */
  constructor(clock: SimClock, open: () => Promise<Store>) {
    this.#clock = clock;
    this.#open = open;
  }

  async run(): Promise<void> {
    if (!(await this.#opened())) return;
    await this.#script();
    if (!(await this.#close())) return;
    // And once more with nothing in memory.
    if (!(await this.#opened())) return;
    await this.look(this.store!, 'the next day');
    await this.#write(1, 0, 60);
    await this.#close();
  }

  async #opened(): Promise<boolean> {
    const opening = this.#clock.until(this.#open());
    this.store = await opening.catch((error: unknown) => this.#error(error));
    return this.store !== null;
  }

  /** What is not an expected failure is a bug. */
  #error(error: unknown): null {
    if (!(error instanceof StorageError)) throw error;
    this.refused += 1;
    return null;
  }

  async #script(): Promise<void> {
    await this.#change(
      [1],
      () => this.store!.create(1, 0),
      () => this.spaces.set(1, new Map()),
    );
    for (const block of blocks) await this.#write(1, block, 3);
    await this.#branch(1, 10, () => this.store!.snapshot([{ of: 1, as: 10 }]));
    for (const block of blocks) await this.#write(1, block + 1, 1);
    await this.#branch(10, 2, () => this.store!.clone(10, 2, 0));
    for (let round = 0; round < 12; round += 1) {
      await this.#write(2, blocks[round % 7]!, 40);
      await this.#write(1, blocks[(round * 3) % 7]!, 40);
      await this.look(this.store!, `round ${round}`);
    }
    await this.#branch(1, 11, () => this.store!.snapshot([{ of: 1, as: 11 }]));
    await this.#unmap(2, 0, 1000);
    await this.#gone(10);
    await this.#branch(11, 2, () => this.store!.revert(2, 11));
    for (let round = 0; round < 12; round += 1) await this.#write(2, blocks[round % 7]!, 60);
    await this.look(this.store!, 'the end');
  }

  async #close(): Promise<boolean> {
    const closed = this.store!.close().then(
      () => true,
      (error: unknown) => this.#error(error) !== null,
    );
    return await this.#clock.until(closed);
  }

  #at(ref: number, block: number): Set<number> {
    return this.spaces.get(ref)?.get(block) ?? new Set([0]);
  }

  async #call(
    what: (done: (error: StorageError | null) => void) => void,
    clock = this.#clock,
  ): Promise<boolean> {
    const error = await clock.until(new Promise<StorageError | null>(what));
    if (error !== null) this.refused += 1;
    return error === null;
  }

  async #write(ref: number, block: number, count: number): Promise<void> {
    const content = this.spaces.get(ref);
    if (content === undefined || this.doubtful.has(ref)) return;
    this.#stamp += 1;
    const data = new Uint8Array(count * 4096);
    for (let index = 0; index < count; index += 1) {
      data.set(stamped(0, block + index, this.#stamp), index * 4096);
    }
    const good = await this.#call((complete) => this.store!.write(ref, block, data, { complete }));
    for (let index = 0; index < count; index += 1) {
      const before = good ? [] : this.#at(ref, block + index);
      content.set(block + index, new Set([...before, this.#stamp]));
    }
  }

  async #unmap(ref: number, block: number, count: number): Promise<void> {
    const content = this.spaces.get(ref);
    if (content === undefined || this.doubtful.has(ref)) return;
    const good = await this.#call((complete) => {
      this.store!.unmap(ref, block, count, { complete });
    });
    for (const [each, stamps] of content) {
      if (each < block || each >= block + count) continue;
      content.set(each, new Set(good ? [0] : [...stamps, 0]));
    }
  }

  async #change(refs: number[], call: () => Promise<void>, then: () => void): Promise<void> {
    const good = await this.#clock.until(
      call().then(
        () => true,
        (error: unknown) => this.#error(error) !== null,
      ),
    );
    if (!good) for (const ref of refs) this.doubtful.add(ref);
    then();
  }

  async #branch(from: number, to: number, call: () => Promise<void>): Promise<void> {
    if (this.doubtful.has(from) || !this.spaces.has(from)) return;
    const content = new Map([...this.spaces.get(from)!].map(([at, set]) => [at, new Set(set)]));
    await this.#change([to], call, () => this.spaces.set(to, content));
  }

  async #gone(ref: number): Promise<void> {
    await this.#change(
      [ref],
      () => this.store!.drop(ref),
      () => this.doubtful.add(ref),
    );
  }

  /** Every block is one that it may be, or says that it cannot be read. */
  async look(store: Store, when: string, clock = this.#clock): Promise<void> {
    const into = new Uint8Array(16 * 4096);
    for (const [ref, content] of this.spaces) {
      if (this.doubtful.has(ref)) continue;
      for (const { block, count } of runs([...content.keys()])) {
        const read = (complete: (error: StorageError | null) => void): void => {
          store.read(ref, block, count, into, 0, { complete });
        };
        if (!(await this.#call(read, clock))) continue;
        for (let index = 0; index < count; index += 1) {
          const stamps = content.get(block + index)!;
          const found = stampOf(0, block + index, into.subarray(index * 4096, (index + 1) * 4096));
          if (stamps.has(found)) continue;
          this.wrong ??= `${when}: block ${block + index} of ${ref} is ${found}, not ${[...stamps]}`;
        }
      }
    }
  }
}

/** Neighbours together, at most 16. */
function runs(all: number[]): { block: number; count: number }[] {
  const found: { block: number; count: number }[] = [];
  for (const block of all.sort((a, b) => a - b)) {
    const last = found.at(-1);
    const next = last !== undefined && last.block + last.count === block && last.count < 16;
    if (next) last.count += 1;
    else found.push({ block, count: 1 });
  }
  return found;
}
