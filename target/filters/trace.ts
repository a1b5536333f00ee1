/**
 * Tells a listener of every call and of how it ended. It changes nothing and keeps nothing; the data
 * of a call is not shown, for a trace is often kept where the data must not be.
 *
 * A read that was answered on the quick path (readNow) is told as started and ended at once; one that
 * was not is no call, and comes again as `read`.
 */
import type { BlockDevice, Completion, DeviceError } from '../scsi/device.ts';
import { CallFilter, completion, type DeviceCall, describe, type Pass } from './filter.ts';

export interface TraceListener {
  /** `number` counts the calls of this filter from 1 and is the same at the end of the call. */
  started?(number: number, call: DeviceCall): void;
  /** `error` is null when the call succeeded. */
  ended(number: number, call: DeviceCall, error: DeviceError | null): void;
}

export class TraceFilter extends CallFilter {
  readonly #listener: TraceListener;
  #calls = 0;

  constructor(next: BlockDevice, listener: TraceListener) {
    super(next);
    this.#listener = listener;
  }

  override readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    if (!super.readNow(offset, length, into, at)) return false;
    const call = describe('read', offset, length);
    const number = ++this.#calls;
    this.#listener.started?.(number, call);
    this.#listener.ended(number, call, null);
    return true;
  }

  protected override call(call: DeviceCall, done: Completion, pass: Pass): void {
    const number = ++this.#calls;
    this.#listener.started?.(number, call);
    const told = completion((error) => {
      this.#listener.ended(number, call, error);
      done.complete(error);
    });
    pass(told);
  }
}
