/**
 * A load of everything that a store can do with whole contents, from a seed, against a plain model: spaces
 * are maps from block to the write that made it, and what is used is how many different writes are left.
 */
import type { SimDisk } from './disk.ts';
import type { SimRandom } from './random.ts';
import { SmallStore } from './small-store.ts';
import { stamped, stampOf } from './store-history.ts';
import { type Software, smallStore } from './store-load.ts';

interface Space {
  readonly content: Map<number, number>;
  readonly frozen: boolean;
}

export interface ImagesLoadOptions {
  readonly seed: number;
  readonly operations: number;
  readonly size?: number;
  /** Memory for map pages; default as little as there can be. */
  readonly mapBytes?: number;
  readonly checkpointBytes?: number;
  /** Blocks written at most by all spaces together. */
  readonly most?: number;
  readonly software?: Software;
}

/** Where blocks are: dense, across the end of a leaf, in leaves of their own, far away. */
const places = [0, 200, 256 * 40, 256 * 600, 2 ** 27] as const;

export class ImagesLoad {
  readonly #random: SimRandom;
  readonly #options: ImagesLoadOptions;
  #small: SmallStore;
  readonly spaces = new Map<number, Space>();
  #next = 1;
  #stamp = 0;
  #cleaned = 0;
  counts: Record<string, number> = {};

  constructor(options: ImagesLoadOptions) {
    this.#options = options;
    this.#small = new SmallStore(options.size ?? 20 * 1024 * 1024, options.seed);
    if (options.software !== undefined) this.#small.software = options.software;
    this.#random = this.#small.random;
  }

  get #store() {
    return this.#small.blocks;
  }

  get disk(): SimDisk {
    return this.#small.disk;
  }

  async run(): Promise<void> {
    await this.#small.format();
    await this.#open();
    for (let done = 0; done < this.#options.operations; done += 1) {
      await this.#one();
      if (done % 97 === 96) await this.#look();
    }
    await this.#look();
    this.counts.cleaned = this.#cleaned + this.#store.stats().segmentsCleaned;
    for (const ref of [...this.spaces.keys()]) await this.#drop(ref);
    await this.#look();
    this.#is('pages', this.#store.stats().mapPages, 0);
  }

  async #open(): Promise<void> {
    // Checkpoints come often, so that crashes meet them.
    const { mapBytes = 0, checkpointBytes = 400 * 1024 } = this.#options;
    await this.#small.open({ ...smallStore, mapBytes, checkpointBytes });
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  #is(what: string, actual: unknown, expected: unknown): void {
    if (JSON.stringify(actual) === JSON.stringify(expected)) return;
    throw new Error(
      `seed ${this.#options.seed}: ${what} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`,
    );
  }

  #pick(frozen: boolean): number {
    const refs = [...this.spaces].filter(([, space]) => space.frozen === frozen);
    return refs.length === 0 ? 0 : refs[this.#random.below(refs.length)]![0];
  }

  async #one(): Promise<void> {
    const random = this.#random;
    const open = this.#pick(false);
    const frozen = this.#pick(true);
    const kind = random.below(100);
    if (open === 0 || (kind < 2 && this.spaces.size < 30)) return this.#create();
    if (kind < 70) return this.#write(open);
    if (kind < 78) return this.#unmap(open);
    if (kind < 85 && this.spaces.size < 30) return this.#snapshot();
    if (kind < 90 && frozen !== 0 && this.spaces.size < 30) return this.#clone(frozen);
    if (kind < 92 && frozen !== 0) return this.#revert(open, frozen);
    if (kind < 97) return this.#drop(random.chance(0.7) && frozen !== 0 ? frozen : open);
    return this.#crash();
  }

  async #create(): Promise<void> {
    this.#count('create');
    const ref = this.#next++;
    await this.#small.until(this.#store.create(ref, 0));
    this.spaces.set(ref, { content: new Map(), frozen: false });
  }

  #block(): number {
    return places[this.#random.below(places.length)]! + this.#random.below(120);
  }

  async #write(ref: number): Promise<void> {
    if (this.#used() > (this.#options.most ?? 900)) return;
    this.#count('write');
    const block = this.#block();
    const count = 1 + this.#random.below(12);
    this.#stamp += 1;
    const data = new Uint8Array(count * 4096);
    for (let index = 0; index < count; index += 1) {
      data.set(stamped(0, block + index, this.#stamp), index * 4096);
      this.spaces.get(ref)!.content.set(block + index, this.#stamp);
    }
    const written = new Promise((complete) => this.#store.write(ref, block, data, { complete }));
    this.#is('write', await this.#small.until(written), null);
  }

  async #unmap(ref: number): Promise<void> {
    this.#count('unmap');
    const block = this.#block();
    const count = this.#random.chance(0.2) ? 256 * 50 : 1 + this.#random.below(40);
    this.#is('unmap', await this.#small.unmap(ref, block, count), null);
    const { content } = this.spaces.get(ref)!;
    for (const each of [...content.keys()]) {
      if (each >= block && each < block + count) content.delete(each);
    }
  }

  async #snapshot(): Promise<void> {
    this.#count('snapshot');
    const pairs = new Map<number, number>();
    for (let each = 0; each <= this.#random.below(3); each += 1) {
      pairs.set(this.#pick(false), this.#next++);
    }
    await this.#small.until(this.#store.snapshot([...pairs].map(([of, as]) => ({ of, as }))));
    for (const [of, as] of pairs) {
      const content = new Map(this.spaces.get(of)!.content);
      this.spaces.set(as, { content, frozen: true });
    }
  }

  async #clone(from: number): Promise<void> {
    this.#count('clone');
    const ref = this.#next++;
    await this.#small.until(this.#store.clone(from, ref, 0));
    const content = new Map(this.spaces.get(from)!.content);
    this.spaces.set(ref, { content, frozen: false });
  }

  async #revert(ref: number, from: number): Promise<void> {
    this.#count('revert');
    await this.#small.until(this.#store.revert(ref, from));
    const content = new Map(this.spaces.get(from)!.content);
    this.spaces.set(ref, { content, frozen: false });
  }

  async #drop(ref: number): Promise<void> {
    this.#count('drop');
    this.spaces.delete(ref);
    const dropped = this.#store.drop(ref);
    // Often others go on while it is given back.
    if (this.#random.chance(0.5)) await this.#small.until(dropped);
    else dropped.catch(() => {});
  }

  async #crash(): Promise<void> {
    this.#count('crash');
    // Drops that were not waited for may be lost as well: they are durable first.
    await this.#small.until(new Promise((complete) => this.#store.flush({ complete })));
    this.#cleaned += this.#store.stats().segmentsCleaned;
    this.#small = this.#small.again();
    await this.#open();
  }

  #writes(refs: Iterable<number>): Set<string> {
    const writes = new Set<string>();
    for (const ref of refs) {
      for (const [block, stamp] of this.spaces.get(ref)!.content) writes.add(`${block}/${stamp}`);
    }
    return writes;
  }

  #used(): number {
    return this.#writes(this.spaces.keys()).size;
  }

  /** Everything is as the model says. */
  async #look(): Promise<void> {
    await this.#small.removed();
    const refs = [...this.spaces.keys()];
    this.#is('spaces', this.#store.refs().toSorted(byNumber), refs.toSorted(byNumber));
    for (const ref of refs) await this.#compare(ref);
    this.#is('used', this.#store.stats().blocksUsed, this.#used());
    const some = refs.filter(() => this.#random.chance(0.3));
    const others = this.#writes(refs.filter((ref) => !some.includes(ref)));
    const alone = [...this.#writes(some)].filter((write) => !others.has(write)).length;
    this.#is(`alone ${some}`, await this.#small.until(this.#store.exclusive(some)), alone);
    if (refs.length > 1) await this.#differ(refs[0]!, refs.at(-1)!);
  }

  async #compare(ref: number): Promise<void> {
    const { content, frozen } = this.spaces.get(ref)!;
    this.#is('mapped', this.#store.usage(ref).mapped, content.size);
    this.#is('frozen', this.#store.isFrozen(ref), frozen);
    const into = new Uint8Array(140 * 4096);
    for (const place of places) {
      const read = new Promise<Error | null>((complete) => {
        this.#store.read(ref, place, 140, into, 0, { complete });
      });
      this.#is('read', await this.#small.until(read), null);
      for (let index = 0; index < 140; index += 1) {
        const block = place + index;
        const data = into.subarray(index * 4096, (index + 1) * 4096);
        const expected = content.get(block) ?? 0;
        const actual = stampOf(0, block, data);
        if (actual !== expected) this.#is(`block ${block} of space ${ref}`, actual, expected);
      }
    }
  }

  async #differ(a: number, b: number): Promise<void> {
    const [ours, theirs] = [this.spaces.get(a)!.content, this.spaces.get(b)!.content];
    const end = 2 ** 27 + 300;
    for (let at = 0; at < end; ) {
      const { differs, count } = await this.#small.until(
        this.#store.difference(a, b, at, end - at),
      );
      if (count < 1 || at + count > end) throw new Error('a difference of no blocks');
      for (const place of places) {
        for (let block = place; !differs && block < place + 140; block += 1) {
          if (block < at || block >= at + count) continue;
          this.#is(`difference at ${block}`, ours.get(block), theirs.get(block));
        }
      }
      at += count;
    }
  }
}

const byNumber = (a: number, b: number): number => a - b;
