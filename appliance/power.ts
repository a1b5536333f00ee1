/**
 * What is done when the power fails: everything that disks with write-back hold in memory is written at
 * once, and until the power is back every write is durable when it completes. Hosts are told by mode
 * page 08h (WCE) and a unit attention.
 *
 * WCE=0 is shown only when it is true: after the last block is durable; WCE=1 before the first may be
 * held back. Both may be said again and again, by SIGPWR, a UPS's hook or a person, and change nothing.
 */
import { Serial } from '#storage/base/serial.ts';
import type { Exposure } from './exposure.ts';
import type { Log } from './log.ts';

/** As `petal power status` shows it. */
export interface PowerView {
  /** `failing`: disks with write-back write through until `restored`. */
  readonly state: 'ok' | 'failing';
  /** Disks with write-back, whether it is in force or not. */
  readonly disks: number;
  /** Acknowledged and not written yet, bytes. */
  readonly dirty: number;
}

export interface PowerPorts {
  readonly store: {
    suspendWriteBack(): Promise<void>;
    resumeWriteBack(): void;
    readonly dirtyBytes: number;
  };
  readonly exposure: Exposure;
  readonly log: Log;
}

export class Power {
  readonly #ports: PowerPorts;
  readonly #turns = new Serial();
  #failing = false;

  constructor(ports: PowerPorts) {
    this.#ports = ports;
  }

  get view(): PowerView {
    const { store, exposure } = this.#ports;
    const state = this.#failing ? 'failing' : 'ok';
    return { state, disks: exposure.writeBackDisks, dirty: store.dirtyBytes };
  }

  /** Resolves when all is durable. */
  async failing(): Promise<PowerView> {
    const { store, exposure, log } = this.#ports;
    const before = store.dirtyBytes;
    if (!this.#failing) log.warn({ dirty: before }, 'the power is failing: disks write through');
    this.#failing = true;
    // Not in turn: nothing may be held back from this moment on, whatever else is going on.
    const written = store.suspendWriteBack();
    written.catch(() => {});
    return await this.#turns.run(async () => {
      await written;
      if (this.#failing) {
        exposure.suspendWriteBack(true);
        log.warn({ written: before }, 'all that was held back is written');
      }
      return this.view;
    });
  }

  async restored(): Promise<PowerView> {
    const { store, exposure, log } = this.#ports;
    if (this.#failing) log.info({}, 'the power is back: disks with write-back hold back again');
    this.#failing = false;
    return await this.#turns.run(async () => {
      if (!this.#failing) {
        exposure.suspendWriteBack(false);
        store.resumeWriteBack();
      }
      return this.view;
    });
  }
}
