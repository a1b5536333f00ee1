/** Loading the pages that an operation needs, while it waits for its turn and when it has come. */
import type { StorageError } from '../base/errors.ts';
import { type Missing, type Pages, unreadable } from './pages.ts';

export class Fetch {
  readonly #pages: Pages;
  readonly #missing: () => Missing | null;
  readonly #here: () => void;
  #loading = false;
  error: StorageError | null = null;

  /** `missing` says what is still wanted; `here` is told when nothing is, or when a page cannot be read. */
  constructor(pages: Pages, missing: () => Missing | null, here: () => void) {
    this.#pages = pages;
    this.#missing = missing;
    this.#here = here;
  }

  /** Whether all is in memory now; else it is being loaded. */
  ready(): boolean {
    if (this.#loading) return false;
    const missing = this.#missing();
    if (missing === null) return true;
    this.#loading = true;
    this.#pages.load(missing).then(
      () => this.#loaded(),
      (reason: unknown) => {
        this.#loading = false;
        this.error = unreadable(reason);
        this.#here();
      },
    );
    return false;
  }

  #loaded(): void {
    this.#loading = false;
    if (this.ready()) this.#here();
  }
}
