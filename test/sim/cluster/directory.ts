/**
 * The Directory of a simulated cluster: one truth, seen by each process through delays; calls can be lost, and
 * then have taken effect, do so later, or never.
 */
import type { StorageError } from '#storage/base/errors.ts';
import type {
  Comparison,
  Directory,
  DirectoryEntry,
  DirectoryEvent,
  Mutation,
  Revision,
} from '#storage/cluster/directory.ts';
import { limits } from '#storage/cluster/limits.ts';
import { transaction } from '#storage/cluster/transaction.ts';
import type { SimClock } from '../clock.ts';
import { DirectoryState } from '../directory-state.ts';
import type { SimRandom } from '../random.ts';
import type { SimNode } from './node.ts';

const timeoutMs = 1000;

export class SimGlobalState {
  readonly #world: SimClock;
  readonly #random: SimRandom;
  /** Of the software under test. */
  readonly #Error: typeof StorageError;
  readonly #state = new DirectoryState();
  readonly #away = new Set<string>();
  /** Commits in a thousand of which the caller never hears. */
  lost = 0;
  /** Process → changes of it that may still take effect. */
  readonly #underWay = new Map<string, number>();
  counts = { commits: 0, unknown: 0, conflicts: 0 };

  constructor(world: SimClock, random: SimRandom, error: typeof StorageError) {
    this.#world = world;
    this.#random = random;
    this.#Error = error;
  }

  /** Out of reach of this process, or of all. */
  cut(name: string): void {
    this.#away.add(name);
  }

  heal(): void {
    this.#away.clear();
  }

  /** Whether a change of this server may still take effect. */
  changes(name: string): boolean {
    return (this.#underWay.get(name) ?? 0) > 0;
  }

  #counts(name: string, by: number): void {
    this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + by);
  }

  peek(key: string): DirectoryEntry | null {
    return this.#state.get(key);
  }

  commit(compare: readonly Comparison[], mutate: readonly Mutation[]): Revision {
    const revision = this.#state.commit(transaction(compare, mutate, limits.transactionBytes));
    if (revision === null) {
      this.counts.conflicts += 1;
      throw new this.#Error('CONFLICT', 'a key was written at another revision');
    }
    this.counts.commits += 1;
    return revision;
  }

  client(node: SimNode): Directory {
    const ask = <T>(look: () => T, changes: boolean): Promise<T> => this.#ask(node, look, changes);
    return {
      get: (key) => ask(() => this.peek(key), false),
      list: (prefix) => ask(() => this.#state.list(prefix), false),
      commit: (compare, mutate) => ask(() => this.commit(compare, mutate), true),
      watch: (_prefix: string, _after: Revision, _heard: (event: DirectoryEvent) => void) => {
        throw new Error('nothing of this simulation watches');
      },
      seen: () => this.#state.seen(),
      close: async () => {},
    };
  }

  #ask<T>(node: SimNode, look: () => T, changes: boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!node.alive) return;
      const away = this.#away.has(node.name) || this.#away.has('*');
      const lost = changes && this.#random.below(1000) < this.lost;
      if (away || lost) {
        // A commit may have gone out before the way was cut, and be in no hurry.
        if (changes && (lost || this.#random.below(4) === 0) && this.#random.below(2) === 0) {
          this.#counts(node.name, 1);
          this.#world.after(this.#random.below(3000), () => {
            this.#counts(node.name, -1);
            this.#attempt(look);
          });
        }
        if (changes) this.counts.unknown += 1;
        const code = changes ? 'UNKNOWN_OUTCOME' : 'BUSY';
        node.clock.after(timeoutMs, () => reject(new this.#Error(code, 'no answer')));
        return;
      }
      this.#counts(node.name, 1);
      this.#world.after(1 + this.#random.below(5), () => {
        this.#counts(node.name, -1);
        const [error, result] = this.#attempt(look);
        this.#world.after(1 + this.#random.below(5), () =>
          node.deliver(() => (error === null ? resolve(result as T) : reject(error))),
        );
      });
    });
  }

  #attempt<T>(look: () => T): [StorageError, null] | [null, T] {
    try {
      return [null, look()];
    } catch (error) {
      if (error instanceof this.#Error) return [error, null];
      throw error;
    }
  }
}
