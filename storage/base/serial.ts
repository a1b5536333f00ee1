/**
 * One thing at a time: work that must not overlap, in the order in which it was asked for. A failure
 * is its caller's own and does not stop those behind it.
 */

export class Serial {
  #tail: Promise<unknown> = Promise.resolve();

  /** Run `work` when all earlier work has ended; settles as `work` does. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work, work);
    this.#tail = turn.then(nothing, nothing);
    return turn;
  }

  /** Resolves when everything asked for so far has ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}

const nothing = (): void => {};
