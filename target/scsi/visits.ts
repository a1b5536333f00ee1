/**
 * Calls into the device of a unit by copies that another unit may have been commanded to do: the transport does not
 * know them as tasks of this unit, so whoever must outwait them (settle.ts, sanitize.ts, a reset, the removal
 * of a LUN or a target) asks here as well.
 *
 * Only what is inside when it is asked is waited for: copies that go on rightly, one call after the other,
 * hold up nobody for ever.
 */
import { strict as assert } from 'node:assert';

/** One call inside the device. */
export class Visit {
  readonly #inside: Set<Visit>;
  readonly #waiting: (() => void)[] = [];

  constructor(inside: Set<Visit>) {
    this.#inside = inside;
    inside.add(this);
  }

  /** The call has ended, well or not. */
  leave(): void {
    const was = this.#inside.delete(this);
    assert(was, 'a visit ended twice');
    for (const done of this.#waiting) done();
  }

  whenLeft(done: () => void): void {
    this.#waiting.push(done);
  }
}

export class Visits {
  readonly #inside = new Set<Visit>();

  enter(): Visit {
    return new Visit(this.#inside);
  }

  /** Calls `done` once, when no call that was begun before is under way any more. */
  idle(done: () => void): void {
    let left = this.#inside.size;
    if (left === 0) {
      done();
      return;
    }
    for (const visit of this.#inside) {
      visit.whenLeft(() => {
        left--;
        if (left === 0) done();
      });
    }
  }
}
