/**
 * A store with `Images` beside a plain model of it: a block's content is a number of its own, so the model of a
 * space is a table of numbers, and two spaces share a block exactly when they have the same number there.
 */
import type { ExecutionContext } from 'ava';
import type { StorageError } from '#storage/base/errors.ts';
import { blockBytes, type Done } from '#storage/map/blocks.ts';
import type { ImageBlocks } from '#storage/map/images.ts';
import type { SeededRandom } from './random.ts';

type T = ExecutionContext<unknown>;
type Model = Map<number, number>;

const call = (start: (done: Done) => void): Promise<StorageError | null> =>
  new Promise((resolve) => start({ complete: resolve }));

function stamped(stamps: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(stamps.length * blockBytes);
  const view = new DataView(bytes.buffer);
  stamps.forEach((stamp, index) => {
    for (let at = 0; at < blockBytes; at += 512) {
      view.setFloat64(index * blockBytes + at, stamp, true);
    }
  });
  return bytes;
}

function stampsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / blockBytes }, (_, index) => {
    const stamp = view.getFloat64(index * blockBytes, true);
    for (let at = 0; at < blockBytes; at += 512) {
      if (view.getFloat64(index * blockBytes + at, true) !== stamp) return Number.NaN;
    }
    return stamp;
  });
}

export async function write(store: ImageBlocks, ref: number, block: number, ...stamps: number[]) {
  return await call((done) => store.write(ref, block, stamped(stamps), done));
}

export const unmap = (store: ImageBlocks, ref: number, block: number, count: number) =>
  call((done) => store.unmap(ref, block, count, done));

export async function read(store: ImageBlocks, ref: number, block: number, count: number) {
  const into = new Uint8Array(count * blockBytes);
  const error = await call((done) => store.read(ref, block, count, into, 0, done));
  if (error !== null) throw error;
  return stampsOf(into);
}

/** Walk two spaces: the blocks that may differ (at most a thousand of each range), and the calls that it took. */
export async function passed(store: ImageBlocks, a: number, b: number, count: number) {
  const differing: number[] = [];
  let calls = 0;
  for (let at = 0; at < count; calls++) {
    const answer = await store.difference(a, b, at, count - at);
    for (let index = 0; answer.differs && index < Math.min(answer.count, 1000); index++) {
      differing.push(at + index);
    }
    at += answer.count;
  }
  return { differing, calls };
}

const span = 600;

export class RandomRun {
  store: ImageBlocks;
  readonly #t: T;
  readonly #random: SeededRandom;
  readonly #spaces = new Map<number, { readonly frozen: boolean; model: Model }>();
  #ref = 0;
  #stamp = 0;

  constructor(t: T, store: ImageBlocks, random: SeededRandom) {
    this.#t = t;
    this.store = store;
    this.#random = random;
  }

  #some(frozen: boolean): number | null {
    const refs = [...this.#spaces].filter(([, space]) => space.frozen === frozen);
    return refs.length === 0 ? null : this.#random.pick(refs)[0];
  }

  async step(): Promise<void> {
    const random = this.#random;
    const [disk, image] = [this.#some(false), this.#some(true)];
    const choice = random.below(100);
    if (disk === null || choice < 4) {
      await this.store.create(++this.#ref, 0);
      this.#spaces.set(this.#ref, { frozen: false, model: new Map() });
    } else if (choice < 45) await this.#write(disk);
    else if (choice < 55) {
      const from = random.below(span);
      const count = random.between(1, span - from);
      this.#t.is(await unmap(this.store, disk, from, count), null);
      const { model } = this.#spaces.get(disk)!;
      for (let at = from; at < from + count; at++) model.delete(at);
    } else if (choice < 68) {
      const others = [...this.#spaces].filter(([ref, one]) => !one.frozen && ref !== disk);
      const of = [disk, ...others.map(([ref]) => ref).slice(0, random.below(3))];
      const pairs = of.map((ref) => ({ of: ref, as: ++this.#ref }));
      await this.store.snapshot(pairs);
      for (const { of, as } of pairs) {
        this.#spaces.set(as, { frozen: true, model: new Map(this.#spaces.get(of)!.model) });
      }
    } else if (image !== null && choice < 78) {
      await this.store.clone(image, ++this.#ref, 0);
      const model = new Map(this.#spaces.get(image)!.model);
      this.#spaces.set(this.#ref, { frozen: false, model });
    } else if (image !== null && choice < 84) {
      await this.store.revert(disk, image);
      this.#spaces.get(disk)!.model = new Map(this.#spaces.get(image)!.model);
    } else if (this.#spaces.size > 6) {
      const gone = random.pick([...this.#spaces.keys()]);
      await this.store.drop(gone);
      this.#spaces.delete(gone);
    }
  }

  async #write(disk: number): Promise<void> {
    const count = this.#random.between(1, 20);
    const from = this.#random.below(span - count);
    const stamps = Array.from({ length: count }, () => ++this.#stamp);
    this.#t.is(await write(this.store, disk, from, ...stamps), null);
    const { model } = this.#spaces.get(disk)!;
    for (const [index, stamp] of stamps.entries()) model.set(from + index, stamp);
  }

  async check(what: string): Promise<void> {
    const t = this.#t;
    t.deepEqual(
      [...this.store.refs()].sort((a, b) => a - b),
      [...this.#spaces.keys()].sort((a, b) => a - b),
      what,
    );
    for (const [ref, { model, frozen }] of this.#spaces) {
      const wanted = Array.from({ length: span }, (_, at) => model.get(at) ?? 0);
      t.deepEqual(await read(this.store, ref, 0, span), wanted, `${what}: space ${ref}`);
      t.is(this.store.usage(ref).mapped, model.size, `${what}: space ${ref}`);
      t.is(this.store.isFrozen(ref), frozen);
    }
    const refs = [...this.#spaces.keys()];
    if (refs.length === 0) return;
    const group = refs.filter(() => this.#random.chance(0.5));
    for (const some of [[this.#random.pick(refs)], group]) {
      if (some.length === 0) continue;
      t.is(await this.store.exclusive(some), this.#alone(some), `${what}: alone in ${some}`);
    }
    const [a, b] = [this.#random.pick(refs), this.#random.pick(refs)];
    const found = new Set((await passed(this.store, a, b, span)).differing);
    for (let at = 0; at < span; at++) {
      const differ = this.#spaces.get(a)!.model.get(at) !== this.#spaces.get(b)!.model.get(at);
      if (differ && !found.has(at)) t.fail(`${what}: ${a} and ${b} differ at ${at}`);
    }
  }

  #alone(refs: readonly number[]): number {
    const here = new Set<number>();
    const elsewhere = new Set<number>();
    for (const [ref, { model }] of this.#spaces) {
      const into = refs.includes(ref) ? here : elsewhere;
      for (const stamp of model.values()) into.add(stamp);
    }
    return [...here].filter((stamp) => !elsewhere.has(stamp)).length;
  }
}
