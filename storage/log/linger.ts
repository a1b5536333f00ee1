/**
 * When the next group waits a moment for company (Kafka's "linger"). Hosts that one group answers send their
 * next writes at once. Were the few that came meanwhile sealed right away, two halves would follow each other
 * for ever and each would pay a disk write of its own; together they are one group.
 *
 * It is worth a part of what the disk write takes, no more: the wait ends when as many are here as can be
 * expected, when the group is large enough by itself, when nobody came for `quietShare` of the time that the
 * last group took, or when it has lasted as long as that. Waits that were in vain make the next ones rarer.
 */
import type { Clock } from '../base/clock.ts';

/** Of the duration of the last group. */
const quietShare = 1 / 4;
/** The event loop goes round so often at most: a clock may stand still. */
const turnsMax = 4096;
/** How many groups do not wait after the n-th wait in vain: 2^n, up to this. */
const skippedMax = 64;

export interface LingerPorts {
  readonly clock: Clock;
  /** Who waits for the open group by now. */
  readonly here: () => number;
  /** Whether the open group should leave whoever comes. */
  readonly full: () => boolean;
  /** The wait has ended. */
  readonly leave: () => void;
}

export class Linger {
  readonly #ports: LingerPorts;
  #active = false;
  #skip = 0;
  #vain = 0;

  constructor(ports: LingerPorts) {
    this.#ports = ports;
  }

  /** The open group is not to be sent now: `leave` is called soon. */
  get active(): boolean {
    return this.#active;
  }

  /** A group that took `tookMs` has answered `answered`. Whether the next one waits for them. */
  start(answered: number, tookMs: number): boolean {
    const { clock, here, full } = this.#ports;
    const expected = answered + here();
    if (this.#active || answered === 0 || expected < 2 || full()) return this.#active;
    if (this.#skip > 0) {
      this.#skip -= 1;
      return false;
    }
    this.#active = true;
    const start = clock.now();
    this.#look({ expected, quietMs: tookMs * quietShare, end: start + tookMs }, here(), start, 0);
    return true;
  }

  #look(bounds: Bounds, seen: number, since: number, turns: number): void {
    const { clock, here, full, leave } = this.#ports;
    clock.soon(() => {
      const now = clock.now();
      const count = here();
      const all = count >= bounds.expected || full();
      const last = count > seen ? now : since;
      const late = now >= bounds.end || now - last >= bounds.quietMs || turns >= turnsMax;
      if (!all && !late) {
        this.#look(bounds, count, last, turns + 1);
        return;
      }
      this.#active = false;
      this.#vain = all ? 0 : this.#vain + 1;
      if (!all) this.#skip = Math.min(2 ** this.#vain, skippedMax);
      leave();
    });
  }
}

interface Bounds {
  readonly expected: number;
  readonly quietMs: number;
  /** On the clock. */
  readonly end: number;
}
