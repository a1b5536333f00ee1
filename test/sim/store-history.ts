/**
 * What a store was told, in order, and what it may hold after a crash: the effects of the log up to
 * some point, which is not before the last acknowledged operation and not after the last one
 * issued. Blocks carry the number of the write that made them, so that what is read back says which
 * point that is.
 */
import { limits } from '../../storage/base/limits.ts';

const seedOf = (ref: number, block: number, stamp: number): number =>
  (Math.imul(stamp, 0x9e3779b1) ^ Math.imul(ref, 0x85ebca6b) ^ block) >>> 0;

/** Content of a block: who wrote it, and where it belongs. */
export function stamped(ref: number, block: number, stamp: number): Uint8Array {
  const words = new Uint32Array(1024);
  const seed = seedOf(ref, block, stamp);
  for (let index = 1; index < 1024; index += 1) words[index] = seed + index;
  words[0] = stamp;
  return new Uint8Array(words.buffer);
}

/** The stamp in a block; 0: zeros; -1: neither zeros nor what was ever written there. */
export function stampOf(ref: number, block: number, data: Uint8Array): number {
  const words = new Uint32Array(data.buffer, data.byteOffset, 1024);
  const stamp = words[0]!;
  const seed = seedOf(ref, block, stamp);
  for (let index = 1; index < 1024; index += 1) {
    if (words[index] !== (stamp === 0 ? 0 : (seed + index) >>> 0)) return -1;
  }
  return stamp;
}

interface Effect {
  readonly at: number;
  readonly value: number;
}

/** Whether a space exists is kept as a block of its own. */
const existence = -1;

export class History {
  readonly #effects = new Map<string, Effect[]>();
  readonly #blocks = new Map<number, Set<number>>();
  /** Of a snapshot: the space whose blocks it has. */
  readonly #origins = new Map<number, number>();
  /** Points: the effects up to and including a number. */
  #points = 0;

  /** The newest point. */
  get issued(): number {
    return this.#points;
  }

  /** Refs ever used. */
  get refs(): number[] {
    return [...this.#blocks.keys()];
  }

  /** Blocks of a space that were ever written, in order. */
  blocks(ref: number): number[] {
    return [...(this.#blocks.get(ref) ?? [])].sort((a, b) => a - b);
  }

  /** The space that the blocks of `ref` were written to. */
  origin(ref: number): number {
    return this.#origins.get(ref) ?? ref;
  }

  create(ref: number): number {
    if (!this.#blocks.has(ref)) this.#blocks.set(ref, new Set());
    this.#points += 1;
    this.#effect(ref, existence, 1);
    return this.#points;
  }

  /** `as`, never used before, keeps what `of` holds now. */
  snapshot(of: number, as: number): number {
    const blocks = this.#blocks.get(of)!;
    this.#points += 1;
    this.#blocks.set(as, new Set(blocks));
    this.#origins.set(as, this.origin(of));
    this.#effect(as, existence, 1);
    for (const block of blocks) {
      this.#effect(as, block, this.#valueAt(`${of}/${block}`, this.#points));
    }
    return this.#points;
  }

  drop(ref: number): number {
    this.#points += 1;
    this.#effect(ref, existence, 0);
    for (const block of this.#blocks.get(ref)!) this.#effect(ref, block, 0);
    return this.#points;
  }

  /**
   * Block by block: a crash may come between two blocks of a write, never within one, nor between those of
   * a write inside one aligned run of `limits.atomicBlocks`.
   */
  write(ref: number, block: number, count: number, stamp: number): number {
    const atomic = (block % limits.atomicBlocks) + count <= limits.atomicBlocks;
    for (let index = 0; index < count; index += 1) {
      if (index === 0 || !atomic) this.#points += 1;
      this.#blocks.get(ref)!.add(block + index);
      this.#effect(ref, block + index, stamp);
    }
    return this.#points;
  }

  unmap(ref: number, block: number, count: number): number {
    this.#points += 1;
    for (const each of this.#blocks.get(ref)!) {
      if (each >= block && each < block + count) this.#effect(ref, each, 0);
    }
    return this.#points;
  }

  #effect(ref: number, block: number, value: number): void {
    const key = `${ref}/${block}`;
    const effects = this.#effects.get(key);
    const effect = { at: this.#points, value };
    if (effects === undefined) this.#effects.set(key, [effect]);
    else effects.push(effect);
  }

  /**
   * Null when what is observed is the state at one point in [acked, issued]; else what is wrong.
   * `observed` gives the stamp of a block, 0 for zeros, -1 for anything else.
   */
  judge(
    acked: number,
    issued: number,
    exists: (ref: number) => boolean,
    observed: (ref: number, block: number) => number,
  ): string | null {
    let possible: [number, number][] = [[acked, issued]];
    for (const ref of this.refs) {
      for (const block of [existence, ...this.blocks(ref)]) {
        const value = block === existence ? Number(exists(ref)) : observed(ref, block);
        const when = this.#when(`${ref}/${block}`, value, acked, issued);
        possible = intersect(possible, when);
        if (possible.length > 0) continue;
        const expected = this.#valueAt(`${ref}/${block}`, acked);
        const what = block === existence ? `space ${ref}` : `block ${block} of space ${ref}`;
        return `${what} is ${value}; acknowledged was ${expected} (points ${acked}…${issued})`;
      }
    }
    return null;
  }

  /** Points in [acked, issued] at which the value was this. */
  #when(key: string, value: number, acked: number, issued: number): [number, number][] {
    const spans: [number, number][] = [];
    let from = 0;
    let current = 0;
    for (const effect of this.#effects.get(key) ?? []) {
      if (current === value && effect.at > acked) spans.push([from, effect.at - 1]);
      from = effect.at;
      current = effect.value;
      if (from > issued) return spans;
    }
    if (current === value) spans.push([from, Number.MAX_SAFE_INTEGER]);
    return spans;
  }

  #valueAt(key: string, point: number): number {
    return this.#effects.get(key)?.findLast((effect) => effect.at <= point)?.value ?? 0;
  }
}

function intersect(a: readonly [number, number][], b: readonly [number, number][]) {
  const both: [number, number][] = [];
  for (const [from, to] of a) {
    for (const [start, end] of b) {
      if (Math.max(from, start) <= Math.min(to, end)) {
        both.push([Math.max(from, start), Math.min(to, end)]);
      }
    }
  }
  return both;
}
