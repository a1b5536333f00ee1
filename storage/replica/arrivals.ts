/**
 * No ghosts (replication.md, section 6): a write that sat in a gateway while the initiator wrote the same block
 * through another must not land afterwards. Times are of this server's clock, milliseconds.
 */
import type { Clock } from '../base/clock.ts';
import type { Chunk } from './store.ts';

/** When a write came to its gateway: not before `low`, not after `high`. */
export interface Arrival {
  readonly gateway: string;
  /** In the order in which writes came to this gateway. */
  readonly sequence: number;
  readonly low: number;
  readonly high: number;
}

interface Latest extends Arrival {
  /** Forgotten then. */
  readonly until: number;
}

export class Arrivals {
  readonly #clock: Clock;
  readonly #lifetimeMs: number;
  readonly #blockBytes: number;
  readonly #latest = new Map<string, Latest>();
  #sweepAt = 0;

  constructor(clock: Clock, lifetimeMs: number, blockBytes: number) {
    this.#clock = clock;
    this.#lifetimeMs = lifetimeMs;
    this.#blockBytes = blockBytes;
  }

  /** Whether the write came too long ago, or before this server coordinated the chunk. */
  expired(arrival: Arrival, became: number): boolean {
    return arrival.low < Math.max(became, this.#clock.now() - this.#lifetimeMs);
  }

  /**
   * Whether a write that was applied there is younger, or may be [H15]. Among those of one gateway its order
   * decides, of which it is sure.
   */
  overtaken(chunk: Chunk, offset: number, length: number, arrival: Arrival): boolean {
    const now = this.#clock.now();
    return this.#keys(chunk, offset, length).some((key) => {
      const latest = this.#latest.get(key);
      if (latest === undefined || latest.until < now) return false;
      if (latest.gateway === arrival.gateway) return arrival.sequence < latest.sequence;
      return arrival.low <= latest.high;
    });
  }

  applied(chunk: Chunk, offset: number, length: number, arrival: Arrival): void {
    this.#sweep();
    const until = Math.max(this.#clock.now(), arrival.high) + this.#lifetimeMs;
    for (const key of this.#keys(chunk, offset, length)) {
      const latest = this.#latest.get(key);
      // The highest of all, not those of the last one [H14].
      const low = Math.max(arrival.low, latest?.low ?? arrival.low);
      const high = Math.max(arrival.high, latest?.high ?? arrival.high);
      this.#latest.set(key, { ...arrival, low, high, until });
    }
  }

  /** The memory of more than a lifetime ago goes. */
  #sweep(): void {
    const now = this.#clock.now();
    if (now < this.#sweepAt) return;
    this.#sweepAt = now + this.#lifetimeMs;
    for (const [key, { until }] of this.#latest) if (until < now) this.#latest.delete(key);
  }

  #keys(chunk: Chunk, offset: number, length: number): string[] {
    const first = Math.floor(offset / this.#blockBytes);
    const last = Math.floor((offset + length - 1) / this.#blockBytes);
    return Array.from({ length: last - first + 1 }, (_, index) => `${chunk}/${first + index}`);
  }
}
