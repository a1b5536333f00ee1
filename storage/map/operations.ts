/**
 * Operations that change the store take their turn one behind the other. One that finds no room
 * waits at the head for the cleaner, and those behind it wait with it, so that writes to one block
 * keep their order and what was decided about space stays decided.
 */
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

/**
 * `done`; `room`: waits for free segments; `busy`: waits for groups under way to reach the disk;
 * `load`: waits for pages of the map; `later`: has more to do when others had their turn.
 */
export type Step = 'done' | 'room' | 'busy' | 'load' | 'later';

export interface Operation {
  step(): Step;
  /** It has to wait behind others: begin to load what it will need. */
  prefetch(): void;
  /** It has to wait: take over what belongs to the caller; returns the bytes taken. */
  keep(): number;
  fail(error: StorageError): void;
}

interface Waiting {
  readonly operation: Operation;
  readonly bytes: number;
}

export class Operations {
  readonly #soon: (fire: () => void) => void;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #stepping = false;
  #starving = false;
  #idle: (() => void)[] = [];

  constructor(soon: (fire: () => void) => void) {
    this.#soon = soon;
  }

  get count(): number {
    return this.#waiting.length;
  }

  /** The first one waits for free segments. */
  get starving(): boolean {
    return this.#starving;
  }

  /** Run it now, or when its turn comes. */
  push(operation: Operation): void {
    let step: Step = 'later';
    if (this.#waiting.length === 0 && !this.#stepping) {
      this.#stepping = true;
      step = operation.step();
      this.#stepping = false;
      if (step === 'done') {
        if (this.#waiting.length > 0) this.#soon(() => this.pump());
        return;
      }
    }
    const full = this.#waiting.length >= limits.waitingOperations;
    if (full || this.#bytes >= limits.waitingBytes) {
      operation.fail(new StorageError('BUSY', 'too many writes wait for the cleaner'));
      return;
    }
    const bytes = operation.keep();
    if (this.#waiting.length > 0) operation.prefetch();
    this.#bytes += bytes;
    this.#waiting.push({ operation, bytes });
    this.#wait(step);
  }

  /** Room may have come. */
  pump(): void {
    if (this.#stepping) return;
    while (this.#waiting.length > 0) {
      const { operation, bytes } = this.#waiting[0]!;
      this.#stepping = true;
      const step = operation.step();
      this.#stepping = false;
      if (step !== 'done') {
        this.#wait(step);
        return;
      }
      this.#waiting.shift();
      this.#bytes -= bytes;
    }
    this.#starving = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #wait(step: Step): void {
    this.#starving = step === 'room';
    if (step === 'later') this.#soon(() => this.pump());
  }

  /** Nothing will ever have its turn any more. */
  failAll(error: StorageError): void {
    this.#starving = false;
    this.#bytes = 0;
    for (const { operation } of this.#waiting.splice(0)) operation.fail(error);
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    if (this.#waiting.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
}
