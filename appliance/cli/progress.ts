/** A bar at a terminal, on stderr, since stdout may carry the data; nothing in a pipe. */
import { Presets, SingleBar } from 'cli-progress';
import { formatSize } from '../sizes.ts';

export class Progress {
  readonly #bar: SingleBar | null = null;
  #total: number;

  /** `total` in bytes; null: not known. */
  constructor(total: number | null) {
    this.#total = total ?? 0;
    if (process.stderr.isTTY !== true || total === null || total === 0) return;
    this.#bar = new SingleBar(
      {
        stream: process.stderr,
        clearOnComplete: true,
        hideCursor: true,
        format: '{bar} {percentage}% {done} of {all}, {duration_formatted}, left {eta_formatted}',
        etaBuffer: 50,
      },
      Presets.shades_classic,
    );
    this.#bar.start(total, 0, { done: formatSize(0), all: formatSize(total) });
  }

  at(bytes: number): void {
    this.#bar?.update(Math.min(bytes, this.#total), { done: formatSize(bytes) });
  }

  end(): void {
    this.#bar?.stop();
  }
}
