/** A call that tells a `complete` how it ended, as a promise. */

export interface Told {
  complete(error: Error | null): void;
}

export function called(start: (done: Told) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start({ complete: (error) => (error === null ? resolve() : reject(error)) });
  });
}
