/**
 * Ranges of blocks that someone is reading in order to write: whoever writes there waits, in the
 * order of arrival. Nobody holds a lock while waiting for another, so there is no deadlock.
 *
 * Invariant: an entry runs when no earlier entry that overlaps it is left; `blockers` counts those.
 */
import assert from 'node:assert/strict';

/** A held or awaited range of blocks, both ends included. */
export interface Lock {
  readonly first: number;
  readonly last: number;
}

interface Entry extends Lock {
  readonly order: number;
  readonly run: (lock: Lock) => void;
  blockers: number;
}

export class RangeLocks {
  /** In order of arrival. */
  readonly #entries = new Set<Entry>();
  readonly #ready: Entry[] = [];
  #order = 0;
  #running = false;

  /** Held and awaited: zero means that nobody need look any further. */
  get count(): number {
    return this.#entries.size;
  }

  overlaps(first: number, last: number): boolean {
    for (const entry of this.#entries) if (first <= entry.last && entry.first <= last) return true;
    return false;
  }

  /** Call `run` with the lock once everyone earlier has let go: now, if nobody is there. */
  acquire(first: number, last: number, run: (lock: Lock) => void): void {
    assert(first <= last);
    const entry: Entry = { first, last, order: this.#order++, run, blockers: 0 };
    for (const other of this.#entries) {
      if (first <= other.last && other.first <= last) entry.blockers++;
    }
    this.#entries.add(entry);
    if (entry.blockers === 0) run(entry);
  }

  release(lock: Lock): void {
    const gone = lock as Entry;
    assert(this.#entries.delete(gone), 'released once');
    for (const entry of this.#entries) {
      if (entry.order < gone.order) continue;
      if (gone.first > entry.last || entry.first > gone.last) continue;
      if (--entry.blockers === 0) this.#ready.push(entry);
    }
    // A loop, not recursion: a thousand writers of one block must not nest a thousand deep.
    if (this.#running) return;
    this.#running = true;
    for (let next = this.#ready.shift(); next !== undefined; next = this.#ready.shift()) {
      next.run(next);
    }
    this.#running = false;
  }
}
