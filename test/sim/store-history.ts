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
  /** Space → block → what it became when. */
  readonly #spaces = new Map<number, Map<number, Effect[]>>();
  readonly #sorted = new Map<number, number[]>();
  /** All effects in order: when, which space, which block. */
  readonly #order: { readonly at: number; readonly ref: number; readonly block: number }[] = [];
  /** Points: the effects up to and including a number. */
  #points = 0;

  /** The newest point. */
  get issued(): number {
    return this.#points;
  }

  /** Refs ever used. */
  get refs(): number[] {
    return [...this.#spaces.keys()];
  }

  /** Blocks of a space that were ever written, in order. */
  blocks(ref: number): readonly number[] {
    let sorted = this.#sorted.get(ref);
    if (sorted === undefined) {
      const blocks = [...(this.#spaces.get(ref)?.keys() ?? [])];
      sorted = blocks.filter((block) => block !== existence).sort((a, b) => a - b);
      this.#sorted.set(ref, sorted);
    }
    return sorted;
  }

  /** Blocks that are changed by the effects behind `after`, up to `to`. */
  touched(after: number, to: number): Map<number, Set<number>> {
    const touched = new Map<number, Set<number>>();
    for (let index = lastAt(this.#order, after) + 1; index < this.#order.length; index += 1) {
      const { at, ref, block } = this.#order[index]!;
      if (at > to) break;
      const blocks = touched.get(ref);
      if (blocks === undefined) touched.set(ref, new Set([block]));
      else blocks.add(block);
    }
    return touched;
  }

  /** How many different blocks the spaces hold together; what they share counts once. */
  held(refs: Iterable<number>): number {
    const held = new Set<number>();
    for (const ref of refs) {
      for (const [block, effects] of this.#spaces.get(ref)!) {
        const stamp = effects.at(-1)!.value;
        if (block !== existence && stamp !== 0) held.add(stamp * 2 ** 28 + block);
      }
    }
    return held.size;
  }

  create(ref: number): number {
    this.#points += 1;
    this.#begin(ref);
    return this.#points;
  }

  drop(ref: number): number {
    this.#points += 1;
    this.#effect(ref, existence, 0);
    for (const block of this.blocks(ref)) this.#become(ref, block, 0);
    return this.#points;
  }

  /** Spaces frozen at one point: a crash takes all of them or none. */
  snapshot(pairs: readonly { readonly of: number; readonly as: number }[]): number {
    this.#points += 1;
    for (const { of, as } of pairs) {
      this.#begin(as);
      this.#copy(of, as);
    }
    return this.#points;
  }

  clone(from: number, ref: number): number {
    return this.snapshot([{ of: from, as: ref }]);
  }

  /** `ref` becomes what `from` is. */
  revert(ref: number, from: number): number {
    this.#points += 1;
    this.#copy(from, ref);
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
      this.#effect(ref, block + index, stamp);
    }
    return this.#points;
  }

  unmap(ref: number, block: number, count: number): number {
    this.#points += 1;
    for (const each of this.blocks(ref)) {
      if (each >= block && each < block + count) this.#become(ref, each, 0);
    }
    return this.#points;
  }

  #begin(ref: number): void {
    if (!this.#spaces.has(ref)) this.#spaces.set(ref, new Map());
    this.#effect(ref, existence, 1);
  }

  #copy(from: number, to: number): void {
    for (const block of this.blocks(to)) this.#become(to, block, this.#latest(from, block));
    for (const block of this.blocks(from)) this.#become(to, block, this.#latest(from, block));
  }

  #latest(ref: number, block: number): number {
    return this.#spaces.get(ref)!.get(block)?.at(-1)?.value ?? 0;
  }

  #become(ref: number, block: number, value: number): void {
    if (this.#latest(ref, block) !== value) this.#effect(ref, block, value);
  }

  #effect(ref: number, block: number, value: number): void {
    const at = this.#points;
    const space = this.#spaces.get(ref)!;
    const effects = space.get(block);
    if (effects === undefined) {
      space.set(block, [{ at, value }]);
      this.#sorted.delete(ref);
    } else effects.push({ at, value });
    this.#order.push({ at, ref, block });
  }

  /**
   * Null when what is observed is the state at one point in [acked, issued]; else what is wrong.
   * `observed` gives the stamp of a block, 0 for zeros, -1 for anything else; `looked`: the blocks of a
   * space that were looked at.
   */
  judge(
    acked: number,
    issued: number,
    exists: (ref: number) => boolean,
    observed: (ref: number, block: number) => number,
    looked: (ref: number) => Iterable<number> = (ref) => this.blocks(ref),
  ): string | null {
    let possible: [number, number][] = [[acked, issued]];
    const wrong = (ref: number, block: number, value: number): string | null => {
      const effects = this.#spaces.get(ref)?.get(block) ?? [];
      possible = intersect(possible, whenever(effects, value, acked, issued));
      if (possible.length > 0) return null;
      const expected = effects[lastAt(effects, acked)]?.value ?? 0;
      const what = block === existence ? `space ${ref}` : `block ${block} of space ${ref}`;
      return `${what} is ${value}; acknowledged was ${expected} (points ${acked}…${issued})`;
    };
    for (const ref of this.refs) {
      const there = wrong(ref, existence, Number(exists(ref)));
      if (there !== null) return there;
      // At no point does a space that is not there hold anything.
      if (!exists(ref)) continue;
      for (const block of looked(ref)) {
        const found = wrong(ref, block, observed(ref, block));
        if (found !== null) return found;
      }
    }
    return null;
  }
}

/** Index of the last one that is not after `point`; -1: none. */
function lastAt(sorted: readonly { readonly at: number }[], point: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle]!.at <= point) from = middle + 1;
    else to = middle;
  }
  return from - 1;
}

/** Points, of those in [acked, issued] and around, at which the value was this. */
function whenever(
  effects: readonly Effect[],
  value: number,
  acked: number,
  issued: number,
): [number, number][] {
  const spans: [number, number][] = [];
  let index = lastAt(effects, acked);
  let from = 0;
  let current = effects[index]?.value ?? 0;
  for (index += 1; index < effects.length; index += 1) {
    const effect = effects[index]!;
    if (effect.at > issued) break;
    if (current === value) spans.push([from, effect.at - 1]);
    from = effect.at;
    current = effect.value;
  }
  if (current === value) spans.push([from, Number.MAX_SAFE_INTEGER]);
  return spans;
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
