/** Calls to a server to which there is no channel now: they wait for one, until their deadline. */
import type { Clock } from '../base/clock.ts';
import type { StorageError } from '../base/errors.ts';
import { type Call, fail, type Holder } from './calls.ts';
import { limits } from './limits.ts';

export class Queue implements Holder {
  readonly #peer: string;
  readonly #clock: Clock;
  /** Each with the way to stop its timer. */
  readonly #calls = new Map<Call, () => void>();

  constructor(peer: string, clock: Clock) {
    this.#peer = peer;
    this.#clock = clock;
  }

  get empty(): boolean {
    return this.#calls.size === 0;
  }

  push(call: Call): void {
    if (call.settled) return;
    if (this.#calls.size >= limits.rpcWaiting) {
      fail(call, 'full', `${this.#calls.size} calls wait for a channel to ${this.#peer}`);
      return;
    }
    call.holder = this;
    const stop = this.#clock.after(Math.max(0, call.due - this.#clock.now()), () => {
      this.#calls.delete(call);
      fail(call, 'deadline', `there was no channel to ${this.#peer} in time for ${call.name}`);
    });
    this.#calls.set(call, stop);
  }

  cancel(call: Call): void {
    this.#calls.get(call)?.();
    this.#calls.delete(call);
    fail(call, 'cancelled', `${call.name} was cancelled`);
  }

  /** All go on, in their order. */
  drain(start: (call: Call) => void): void {
    for (const [call, stop] of this.#calls) {
      stop();
      this.#calls.delete(call);
      start(call);
    }
  }

  fail(error: StorageError): void {
    this.drain((call) => {
      call.settled = true;
      call.reject(error);
    });
  }
}
