/**
 * Makes a device slow: a call is carried out at once and its end is told later.
 *
 * What is delayed is the completion, because the port lets a caller reuse the data of a write as
 * soon as `write` returns. Time comes from the Clock that is given, so a test decides when it passes.
 */
import type { Clock } from '../clock.ts';
import type { BlockDevice, Completion } from '../scsi/device.ts';
import { CallFilter, completion, type DeviceCall, describe, type Pass } from './filter.ts';

export interface DelayOptions {
  readonly clock: Clock;
  /** Milliseconds, or how to find them for a call; 0: no delay. */
  readonly delayMs: number | ((call: DeviceCall) => number);
}

export class DelayFilter extends CallFilter {
  readonly #clock: Clock;
  readonly #delayMs: (call: DeviceCall) => number;
  #waiting = 0;

  constructor(next: BlockDevice, options: DelayOptions) {
    super(next);
    const { delayMs } = options;
    this.#clock = options.clock;
    this.#delayMs = typeof delayMs === 'number' ? () => delayMs : delayMs;
  }

  /** Calls that ended below and are not yet told. */
  get waiting(): number {
    return this.#waiting;
  }

  override readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    if (this.#delayMs(describe('read', offset, length)) > 0) return false;
    return super.readNow(offset, length, into, at);
  }

  protected override call(call: DeviceCall, done: Completion, pass: Pass): void {
    const delayMs = this.#delayMs(call);
    if (!(delayMs > 0)) {
      pass(done);
      return;
    }
    const late = completion((error) => {
      this.#waiting++;
      this.#clock.after(delayMs, () => {
        this.#waiting--;
        done.complete(error);
      });
    });
    pass(late);
  }
}
