/**
 * Unit attention conditions of one nexus on one logical unit (SAM-5 5.14, SPC-4 6.39).
 *
 * A kind is queued once. The order of report is by the standard's precedence: power on and resets
 * first (they also clear what happened before: SAM-5 5.14.1 lets a reset supersede), then in the order they
 * came. Bounded by `limits.attentions`.
 */
import { strict as assert } from 'node:assert';
import { scsiLimits } from './limits.ts';
import { Sense, type SenseCode } from './sense.ts';

/** Resets, most important first; a more general one makes a less general one superfluous. */
const resets: readonly SenseCode[] = [Sense.powerOn, Sense.deviceReset, Sense.nexusLoss];

export class AttentionQueue {
  readonly #codes: SenseCode[] = [];

  /** Whether a condition is waiting. */
  get pending(): boolean {
    return this.#codes.length !== 0;
  }

  post(code: SenseCode): void {
    if (this.#codes.includes(code)) return;
    const rank = resets.indexOf(code);
    if (rank < 0) {
      assert(
        this.#codes.length < scsiLimits.attentions,
        'more unit attention kinds than the limit',
      );
      this.#codes.push(code);
      return;
    }
    const first = this.#codes[0];
    const present = first === undefined ? -1 : resets.indexOf(first);
    if (present >= 0 && present <= rank) return;
    if (present > rank) this.#codes.shift();
    this.#codes.unshift(code);
  }

  /** Takes the condition to report now; null when none waits. */
  take(): SenseCode | null {
    return this.#codes.shift() ?? null;
  }

  /** Forgets one kind. */
  drop(code: SenseCode): void {
    const at = this.#codes.indexOf(code);
    if (at >= 0) this.#codes.splice(at, 1);
  }
}
