/**
 * Chance from a seed for tests: the same seed gives the same run, so a failure can be replayed from
 * the number it printed. The generator is SplitMix32-style mixing of a counter; it is for choosing
 * test cases, never for secrets.
 */
import { randomInt } from 'node:crypto';

export class SeededRandom {
  readonly seed: number;
  #state: number;

  constructor(seed: number = randomInt(2 ** 31)) {
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** A whole number, 0 … 2^32-1. */
  word(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  }

  /** A whole number, 0 … `bound`-1. */
  below(bound: number): number {
    return Math.floor((this.word() / 2 ** 32) * bound);
  }

  /** A whole number, `low` … `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.word() < probability * 2 ** 32;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new RangeError('nothing to pick from');
    return choice;
  }

  fill(into: Buffer): Buffer {
    let at = 0;
    for (; at + 4 <= into.length; at += 4) into.writeUInt32LE(this.word(), at);
    for (; at < into.length; at++) into[at] = this.word() & 0xff;
    return into;
  }
}
