/**
 * Snapshots, groups of them, clones, rollbacks and removals in the course of a load: chosen by chance,
 * from a few names that are used again and again, as many as there is room for.
 */
import type { Store } from '../../storage/map/open.ts';
import type { SimRandom } from './random.ts';
import type { History } from './store-history.ts';
import type { Shape } from './store-load.ts';

const clones = [4, 5] as const;
const snapshots = [10, 11, 12, 13, 14, 15] as const;

export interface ImageOperation {
  /** Of the history, in which it is already. */
  readonly point: number;
  call(store: Store): Promise<void>;
}

export class ImagesPlan {
  readonly #random: SimRandom;
  readonly #share: number;
  readonly #most: number;
  readonly #frozen = new Map<number, Shape>();
  readonly counts: Record<string, number> = {};
  /** Removals that have not ended: what they give back is still in use. */
  #removing = 0;

  /** `share` of the operations; the spaces hold about `most` different blocks together, no more. */
  constructor(random: SimRandom, share: number, most: number) {
    this.#random = random;
    this.#share = share;
    this.#most = most;
  }

  /** Null: none this time. `open`: the spaces that can be written, which it changes. */
  next(history: History, open: Map<number, Shape>): ImageOperation | null {
    const random = this.#random;
    if (!random.chance(this.#share) || this.#removing > 1) return null;
    const removable = [...this.#frozen.keys(), ...clones.filter((ref) => open.has(ref))];
    const held = history.held([...open.keys(), ...this.#frozen.keys()]);
    const kind = random.below(100);
    if (held > this.#most || kind < 30) {
      return removable.length === 0 ? null : this.#drop(history, open, random.pick(removable));
    }
    if (kind < 65) return this.#snapshot(history, open);
    if (this.#frozen.size === 0) return null;
    const [from, shape] = random.pick([...this.#frozen]);
    if (kind < 85) return this.#clone(history, open, from, shape);
    return this.#revert(history, open, from, shape);
  }

  #counted(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  #drop(history: History, open: Map<number, Shape>, ref: number): ImageOperation {
    this.#counted(this.#frozen.has(ref) ? 'snapshots dropped' : 'clones dropped');
    open.delete(ref);
    this.#frozen.delete(ref);
    return this.#removal(history.drop(ref), (store) => store.drop(ref));
  }

  #removal(point: number, call: (store: Store) => Promise<void>): ImageOperation {
    this.#removing += 1;
    const ended = (): void => {
      this.#removing -= 1;
    };
    return { point, call: (store) => call(store).finally(ended) };
  }

  #snapshot(history: History, open: Map<number, Shape>): ImageOperation | null {
    const random = this.#random;
    const free = snapshots.filter((ref) => !this.#frozen.has(ref));
    const from = [...open.keys()].filter(() => random.chance(0.4)).slice(0, free.length);
    if (from.length === 0) return null;
    this.#counted(from.length > 1 ? 'groups' : 'snapshots');
    const pairs = from.map((of, index) => ({ of, as: free[index]! }));
    for (const { of, as } of pairs) this.#frozen.set(as, open.get(of)!);
    return { point: history.snapshot(pairs), call: (store) => store.snapshot(pairs) };
  }

  #clone(
    history: History,
    open: Map<number, Shape>,
    from: number,
    shape: Shape,
  ): ImageOperation | null {
    const ref = clones.find((each) => !open.has(each));
    if (ref === undefined) return null;
    this.#counted('clones');
    open.set(ref, shape);
    return { point: history.clone(from, ref), call: (store) => store.clone(from, ref, 0) };
  }

  #revert(
    history: History,
    open: Map<number, Shape>,
    from: number,
    shape: Shape,
  ): ImageOperation | null {
    // A space whose content has another shape would be one of both.
    const alike = [...open.keys()].filter((ref) => open.get(ref) === shape);
    if (alike.length === 0) return null;
    this.#counted('rollbacks');
    const ref = this.#random.pick(alike);
    return this.#removal(history.revert(ref, from), (store) => store.revert(ref, from));
  }
}
