/**
 * Time that passes only when told: events fire in the order of their times, those of one time in
 * the order in which they were asked for. After every event all promises that it settled run on.
 */
import type { Clock } from '../../storage/base/clock.ts';

interface Event {
  readonly at: number;
  readonly number: number;
  readonly fire: () => void;
}

export class SimClock implements Clock {
  #now = 0;
  #numbers = 0;
  /** A heap by time, then number. */
  readonly #heap: Event[] = [];
  readonly #cancelled = new Set<number>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return Date.UTC(2026, 0, 1) + this.#now;
  }

  after(delayMs: number, fire: () => void): () => void {
    const number = this.#numbers;
    this.#numbers += 1;
    this.#add({ at: this.#now + delayMs, number, fire });
    return () => this.#cancelled.add(number);
  }

  soon(fire: () => void): void {
    this.after(0, fire);
  }

  /**
   * Let events fire until `promise` settles; fails when there is nothing left that could settle it.
   */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    await drained();
    while (!settled) {
      if (!this.step()) throw new Error('deadlock: nothing is going on and it has not ended');
      await drained();
    }
    return promise;
  }

  /** Fire events until none is left. */
  async quiet(): Promise<void> {
    await drained();
    while (this.step()) await drained();
  }

  /** Fire the next event; false: there is none. */
  step(): boolean {
    for (;;) {
      const event = this.#take();
      if (event === undefined) return false;
      if (this.#cancelled.delete(event.number)) continue;
      this.#now = Math.max(this.#now, event.at);
      event.fire();
      return true;
    }
  }

  #add(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!before(event, heap[up]!)) break;
      heap[at] = heap[up]!;
      at = up;
    }
    heap[at] = event;
  }

  #take(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let down = at * 2 + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && before(heap[down + 1]!, heap[down]!)) down += 1;
      if (!before(heap[down]!, last)) break;
      heap[at] = heap[down]!;
      at = down;
    }
    heap[at] = last;
    return first;
  }
}

const before = (a: Event, b: Event): boolean =>
  a.at < b.at || (a.at === b.at && a.number < b.number);

/** All promises that can go on have done so. */
export const drained = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
