/** A read of several parts: told once, when the last has ended, with the first error. */
import type { StorageError } from '../base/errors.ts';
import type { Done } from './blocks.ts';

export class WholeRead {
  readonly #done: Done;
  #pending = 1;
  #error: StorageError | null = null;

  constructor(done: Done) {
    this.#done = done;
  }

  part(): Done {
    this.#pending += 1;
    return { complete: (error) => this.#ended(error) };
  }

  started(): void {
    this.#ended(null);
  }

  #ended(error: StorageError | null): void {
    this.#error ??= error;
    this.#pending -= 1;
    if (this.#pending === 0) this.#done.complete(this.#error);
  }
}
