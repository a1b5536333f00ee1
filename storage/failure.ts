/** How a store that has failed says so, once, to all who listen. */
import type { StorageError } from './base/errors.ts';
import type { Log } from './base/log.ts';

/** The first failure of the disk, and who wants to hear of it. */
export class Failure {
  readonly #log: Log;
  readonly #listeners = new Set<(error: StorageError) => void>();
  error: StorageError | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  set(error: StorageError): void {
    if (this.error !== null) return;
    this.error = error;
    this.#log.error({ err: error }, 'the disk has failed; nothing more is written to it');
    for (const heard of [...this.#listeners]) heard(error);
  }

  listen(heard: (error: StorageError) => void): () => void {
    this.#listeners.add(heard);
    if (this.error !== null) heard(this.error);
    return () => this.#listeners.delete(heard);
  }
}
