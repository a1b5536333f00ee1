/** What a unit may ask of the target it belongs to. */
import type { Nexus } from './nexus.ts';

export interface TargetView {
  /** Target name (IQN). */
  readonly name: string;
  /** Relative target port identifier, 1…65535. */
  readonly relativePort: number;
  /** Target portal group tag; also the target port group. */
  readonly portalGroup: number;
  /** The LUNs offered, ascending. */
  luns(): number[];
  /**
   * PREEMPT AND ABORT: ends the tasks of `nexus` on `lun`. `done` is called once, when nothing of them
   * can reach the device any more.
   */
  abortTasks(nexus: Nexus, lun: number, done: () => void): void;
  /** REPORT LUNS was answered to `nexus`: the matching unit attention goes from every unit. */
  lunsReported(nexus: Nexus): void;
  /** Calls `next` when the code that runs now has returned. */
  soon(next: () => void): void;
  /** Calls `next` in a later turn of the event loop. */
  defer(next: () => void): void;
}
