/**
 * The scratch buffers of one logical unit: at most `limits.scratchBuffers` of `limits.pieceBytes`.
 * A command that finds none free waits its turn; that is what bounds the memory of long commands. A
 * buffer is handed over through `soon`, so that many who wait cost no stack.
 */
import { strict as assert } from 'node:assert';
import { scsiLimits } from './limits.ts';

export class ScratchPool {
  readonly #free: Uint8Array[] = [];
  readonly #waiting: ((buffer: Uint8Array) => void)[] = [];
  readonly #soon: (next: () => void) => void;
  #out = 0;

  constructor(soon: (next: () => void) => void) {
    this.#soon = soon;
  }

  /** Calls `ready` with a buffer (contents undefined), now or when one is given back. */
  take(ready: (buffer: Uint8Array) => void): void {
    if (this.#out === scsiLimits.scratchBuffers) {
      this.#waiting.push(ready);
      return;
    }
    this.#out++;
    ready(this.#free.pop() ?? new Uint8Array(scsiLimits.pieceBytes));
  }

  give(buffer: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next) {
      this.#soon(() => next(buffer));
      return;
    }
    assert(this.#out > 0);
    this.#out--;
    // One stays for the next command; an idle unit holds 256 KiB and not four times that.
    if (this.#free.length === 0) this.#free.push(buffer);
  }
}
