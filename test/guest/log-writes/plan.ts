/**
 * What is done to a store whose writes are logged, from a seed and nothing else: the guest does it,
 * the host knows by the same seed what each block may hold. Dense and scattered blocks, short-lived
 * spaces, snapshots, unmaps, cleaning.
 */
import { SimRandom } from '../../sim/random.ts';
import { History } from '../../sim/store-history.ts';

/** `point`: of the history, when this and all before it has happened. */
export type Operation = { readonly point: number } & (
  | { readonly kind: 'create' | 'drop'; readonly ref: number }
  | { readonly kind: 'snapshot'; readonly of: number; readonly as: number }
  | { readonly kind: 'unmap'; readonly ref: number; readonly block: number; readonly count: number }
  | {
      readonly kind: 'write';
      readonly ref: number;
      readonly block: number;
      readonly count: number;
      readonly stamp: number;
    }
  | { readonly kind: 'flush' | 'clean' }
);

interface Space {
  readonly ref: number;
  readonly block: (number: number) => number;
  readonly blocks: number;
  /** Longest write. */
  readonly longest: number;
  readonly shortLived: boolean;
}

const spaces: readonly Space[] = [
  { ref: 1, block: (number) => number, blocks: 300, longest: 12, shortLived: false },
  { ref: 2, block: (number) => number * 777, blocks: 60, longest: 1, shortLived: false },
  { ref: 3, block: (number) => 2 ** 27 - 20 + number, blocks: 40, longest: 12, shortLived: true },
];
const firstSnapshot = 100;
const snapshotsMost = 4;

export class Plan {
  readonly history = new History();
  readonly #random: SimRandom;
  readonly #living = new Set<number>();
  readonly #snapshots: number[] = [];
  #nextSnapshot = firstSnapshot;
  #stamp = 0;

  constructor(seed: number) {
    this.#random = new SimRandom(seed);
  }

  /** The history that `operations` of this seed make. */
  static history(seed: number, operations: number): History {
    const plan = new Plan(seed);
    for (let index = 0; index < operations; index += 1) plan.next();
    return plan.history;
  }

  next(): Operation {
    const { history } = this;
    const random = this.#random;
    const space = random.pick(spaces);
    const { ref } = space;
    if (!this.#living.has(ref)) {
      this.#living.add(ref);
      return { kind: 'create', ref, point: history.create(ref) };
    }
    const chosen = random.below(1000);
    if (space.shortLived && chosen < 20) {
      this.#living.delete(ref);
      return { kind: 'drop', ref, point: history.drop(ref) };
    }
    // Cleaning ends by itself, whatever else is under way.
    if (chosen < 30) return { kind: 'clean', point: 0 };
    if (chosen < 40) return { kind: 'flush', point: history.issued };
    if (chosen < 50) return this.#snapshot(ref);
    const number = random.below(space.blocks);
    const block = space.block(number);
    if (chosen < 110) {
      const count = 1 + random.below(space.longest === 1 ? 4000 : 20);
      return { kind: 'unmap', ref, block, count, point: history.unmap(ref, block, count) };
    }
    const longest = space.longest > 1 && random.chance(0.05) ? 200 : space.longest;
    const count = 1 + random.below(Math.min(longest, space.blocks - number));
    this.#stamp += 1;
    const stamp = this.#stamp;
    return {
      kind: 'write',
      ref,
      block,
      count,
      stamp,
      point: history.write(ref, block, count, stamp),
    };
  }

  /** A new one, or the oldest goes. */
  #snapshot(of: number): Operation {
    const { history } = this;
    if (this.#snapshots.length === snapshotsMost) {
      const ref = this.#snapshots.shift()!;
      return { kind: 'drop', ref, point: history.drop(ref) };
    }
    const as = this.#nextSnapshot;
    this.#nextSnapshot += 1;
    this.#snapshots.push(as);
    return { kind: 'snapshot', of, as, point: history.snapshot([{ of, as }]) };
  }
}
