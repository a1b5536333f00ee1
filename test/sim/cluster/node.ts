/** A process of the simulated cluster: everything that it hears goes through its clock. */

import type { SimClock } from '../clock.ts';
import { NodeClock } from '../node-clock.ts';

export class SimNode {
  readonly name: string;
  readonly clock: NodeClock;

  constructor(name: string, world: SimClock, rate: number, ahead: number) {
    this.name = name;
    this.clock = new NodeClock(world, rate, ahead);
  }

  get alive(): boolean {
    return this.clock.runs;
  }

  /** The dead hear nothing, the frozen later. */
  deliver(event: () => void): void {
    this.clock.run(event);
  }

  freeze(): void {
    this.clock.freeze(false);
  }

  thaw(): void {
    this.clock.thaw();
  }

  kill(): void {
    this.clock.stop();
  }
}
