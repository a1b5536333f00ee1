/** Several parts of one call: completes once, when the last part has, with the first error. */
import type { StorageError } from '../base/errors.ts';
import type { Done } from '../map/blocks.ts';

export class Join implements Done {
  readonly #done: Done;
  #left = 1;
  #error: StorageError | null = null;

  /** Counts one part for whoever adds the others: complete it when all are added. */
  constructor(done: Done) {
    this.#done = done;
  }

  get failed(): boolean {
    return this.#error !== null;
  }

  add(): this {
    this.#left++;
    return this;
  }

  complete(error: StorageError | null): void {
    this.#error ??= error;
    if (--this.#left === 0) this.#done.complete(this.#error);
  }
}
