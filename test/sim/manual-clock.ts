/** A clock that moves only when told, for tests of what is due when. */
import type { Clock } from '#storage/base/clock.ts';

export class ManualClock implements Clock {
  #now = 1000;
  #wall = 1_790_000_000_000;
  #timers: { at: number; fire: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wall;
  }

  after(delayMs: number, fire: () => void): () => void {
    const timer = { at: this.#now + delayMs, fire };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  soon(fire: () => void): void {
    setImmediate(fire);
  }

  /** Time passes; due timers fire in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== due);
      this.#wall += due.at - this.#now;
      this.#now = due.at;
      due.fire();
    }
    this.#wall += end - this.#now;
    this.#now = end;
  }

  /** Somebody sets the wall clock. */
  setWall(ms: number): void {
    this.#wall = ms;
  }
}
