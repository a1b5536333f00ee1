/** The clock of one process, which can be frozen and thawed, or be gone for good. */
import type { Clock } from '#storage/base/clock.ts';
import type { SimClock } from './clock.ts';

export class NodeClock implements Clock {
  readonly #base: SimClock;
  /** It runs so much faster than the base, and is so far ahead. */
  readonly #rate: number;
  readonly #ahead: number;
  #frozen = false;
  #stopped = false;
  /** The clock stands still with the process. */
  #still = false;
  #frozenAt = 0;
  /** How long it has stood still. */
  #lost = 0;
  /** What was due while it was frozen. */
  #due: (() => void)[] = [];

  constructor(base: SimClock, rate = 1, ahead = 0) {
    this.#base = base;
    this.#rate = rate;
    this.#ahead = ahead;
  }

  /** Not stopped. */
  get runs(): boolean {
    return !this.#stopped;
  }

  get frozen(): boolean {
    return this.#frozen || this.#stopped;
  }

  now(): number {
    const base = this.#frozen && this.#still ? this.#frozenAt : this.#base.now();
    return (base - this.#lost) * this.#rate + this.#ahead;
  }

  wall(): number {
    return this.#base.wall() - this.#lost;
  }

  after(delayMs: number, fire: () => void): () => void {
    let cancelled = false;
    const cancel = this.#base.after(delayMs / this.#rate, () => {
      this.run(() => {
        if (!cancelled) fire();
      });
    });
    return () => {
      cancelled = true;
      cancel();
    };
  }

  soon(fire: () => void): void {
    this.#base.soon(() => this.run(fire));
  }

  /** Now, or when it thaws, or never. */
  run(what: () => void): void {
    if (this.#stopped) return;
    if (this.#frozen) this.#due.push(what);
    else what();
  }

  freeze(still: boolean): void {
    this.#frozen = true;
    this.#still = still;
    this.#frozenAt = this.#base.now();
  }

  thaw(): void {
    if (!this.#frozen) return;
    if (this.#still) this.#lost += this.#base.now() - this.#frozenAt;
    this.#frozen = false;
    const due = this.#due;
    this.#due = [];
    for (const what of due) this.#base.soon(() => this.run(what));
  }

  stop(): void {
    this.#stopped = true;
    this.#due = [];
  }
}
