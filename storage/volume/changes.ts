/**
 * Changes that the blocks have accepted and not completed. One that waits for room there is not yet
 * seen by reads, so whoever reads in order to write waits until those in its range have completed.
 *
 * The waiter holds the lock on its range (locks.ts): nothing new can be accepted there meanwhile.
 */
import assert from 'node:assert/strict';

/** A range of blocks, both ends included. */
export interface Change {
  readonly first: number;
  readonly last: number;
}

interface Waiter extends Change {
  left: number;
  readonly run: () => void;
}

const overlap = (a: Change, b: Change): boolean => a.first <= b.last && b.first <= a.last;

export class Changes {
  readonly #inFlight = new Set<Change>();
  readonly #waiters = new Set<Waiter>();

  get count(): number {
    return this.#inFlight.size;
  }

  add(change: Change): void {
    this.#inFlight.add(change);
  }

  remove(change: Change): void {
    assert(this.#inFlight.delete(change), 'a change completes once');
    if (this.#waiters.size === 0) return;
    for (const waiter of [...this.#waiters]) {
      if (!overlap(waiter, change)) continue;
      if (--waiter.left > 0) continue;
      this.#waiters.delete(waiter);
      waiter.run();
    }
  }

  /** Call `run` when no change is in flight in the range: now, if that is so. */
  whenNone(range: Change, run: () => void): void {
    let left = 0;
    for (const change of this.#inFlight) if (overlap(range, change)) left++;
    if (left === 0) run();
    else this.#waiters.add({ first: range.first, last: range.last, left, run });
  }
}
