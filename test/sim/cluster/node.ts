/**
 * A process of the simulated cluster: it has a clock of its own, and can be frozen and killed. Everything that
 * it hears goes through `deliver`: the dead hear nothing, the frozen later.
 */
import type { Clock } from '#storage/base/clock.ts';
import type { SimClock } from '../clock.ts';

export class SimNode {
  readonly name: string;
  readonly #world: SimClock;
  /** Ours runs so much faster, and is so far ahead. */
  readonly #rate: number;
  readonly #ahead: number;
  #alive = true;
  #frozen = false;
  #late: (() => void)[] = [];

  constructor(name: string, world: SimClock, rate: number, ahead: number) {
    this.name = name;
    this.#world = world;
    this.#rate = rate;
    this.#ahead = ahead;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  readonly clock: Clock = {
    now: () => this.#world.now() * this.#rate + this.#ahead,
    wall: () => this.#world.wall(),
    after: (delayMs, fire) => {
      let due = true;
      const cancel = this.#world.after(delayMs / this.#rate, () => {
        this.deliver(() => {
          if (due) fire();
        });
      });
      return () => {
        due = false;
        cancel();
      };
    },
    soon: (fire) => this.#world.soon(() => this.deliver(fire)),
  };

  deliver(event: () => void): void {
    if (!this.#alive) return;
    if (this.#frozen) this.#late.push(event);
    else event();
  }

  freeze(): void {
    this.#frozen = true;
  }

  /** All that came meanwhile comes now, one after the other, others' events in between. */
  thaw(): void {
    this.#frozen = false;
    for (const event of this.#late.splice(0)) this.#world.soon(() => this.deliver(event));
  }

  kill(): void {
    this.#alive = false;
    this.#late = [];
  }
}
