/**
 * Reads and writes of a unit by copies that another unit may have been commanded to do: the transport does not
 * know them as tasks of this unit, so whoever must outwait them (settle.ts, sanitize.ts, the removal of a
 * target) asks here as well.
 */
import { strict as assert } from 'node:assert';

export class Visits {
  #count = 0;
  #waiting: (() => void)[] = [];

  enter(): void {
    this.#count++;
  }

  leave(): void {
    assert(this.#count > 0);
    this.#count--;
    if (this.#count > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done();
  }

  /** Calls `done` once, when no such write is under way. */
  idle(done: () => void): void {
    if (this.#count === 0) done();
    else this.#waiting.push(done);
  }
}
