/** What a unit may ask of the target it belongs to. */
import type { Alua } from './alua.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { Nexus } from './nexus.ts';
import type { RodTokens } from './rod-tokens.ts';

/** A logical unit that a third-party copy may use, and how. */
export interface CopyTarget {
  readonly unit: LogicalUnit;
  /** True: only as a source. */
  readonly readOnly: boolean;
}

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
  /**
   * The unit with that NAA designator, if `nexus` may use it; null: unknown or masked, nobody is told which.
   * With `known`, a unit that was found so before, only that one is judged again: cheap, for every piece.
   */
  copyTarget(nexus: Nexus, naa: Uint8Array, known?: LogicalUnit): CopyTarget | null;
  /** The ROD tokens that are good here. */
  readonly rodTokens: RodTokens;
  /** Calls `done` once, when no write of `nexuses` on `lun` that began before this call can still land. */
  settle(lun: number, nexuses: readonly Nexus[], done: () => void): void;
  /** Relative target port identifiers of every target port, ascending. */
  ports(): readonly number[];
  /** Target port groups and their states. */
  readonly alua: Alua;
  /** The one group there is never leaves active/optimized. */
  readonly aluaFixed: boolean;
  /** An access state changed: every nexus but `except` hears of it. */
  accessChanged(except: Nexus | null): void;
  /** REPORT LUNS was answered to `nexus`: the matching unit attention goes from every unit. */
  lunsReported(nexus: Nexus): void;
  /** Calls `next` when the code that runs now has returned. */
  soon(next: () => void): void;
  /** Calls `next` in a later turn of the event loop. */
  defer(next: () => void): void;
}
