/**
 * Addresses of blocks that lately left the cache's small queue without having been asked for again.
 * Whoever comes back while it is remembered is no stranger (see cache.ts).
 *
 * A bucket has four places; each holds an address and the time at which it went, counted in ghosts
 * made. One older than `capacity` such times is none any more; a full bucket gives up its oldest.
 */
const ways = 4;

export class Ghosts {
  readonly #capacity: number;
  readonly #address: Uint32Array;
  readonly #made: Float64Array;
  readonly #shift: number;
  #now = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    // Half full when it holds all that it may, so that a bucket seldom gives one up too early.
    const bits = Math.max(1, Math.ceil(Math.log2((capacity * 2) / ways + 1)));
    this.#address = new Uint32Array(2 ** bits * ways);
    this.#made = new Float64Array(2 ** bits * ways);
    this.#shift = 32 - bits;
  }

  add(address: number): void {
    this.#now += 1;
    const first = this.#bucket(address);
    let oldest = first;
    for (let place = first; place < first + ways; place += 1) {
      if (this.#made[place]! < this.#made[oldest]!) oldest = place;
    }
    this.#address[oldest] = address;
    this.#made[oldest] = this.#now;
  }

  /** Whether `address` is remembered; it is not any more. */
  take(address: number): boolean {
    const first = this.#bucket(address);
    for (let place = first; place < first + ways; place += 1) {
      if (this.#address[place] !== address) continue;
      this.#address[place] = 0;
      const age = this.#now - this.#made[place]!;
      this.#made[place] = 0;
      return age < this.#capacity;
    }
    return false;
  }

  #bucket(address: number): number {
    // Not the cache's own multiplier: neighbours there need not be neighbours here.
    return (Math.imul(address, 0x85ebca6b) >>> this.#shift) * ways;
  }
}
