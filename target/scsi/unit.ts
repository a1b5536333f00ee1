/**
 * The port between the transport (session/) and whatever answers commands sent to one LUN: a
 * logical unit over a device, the REPORT LUNS well-known logical unit, or "no such LUN".
 *
 * Invariant: for a task, `start` is called once. When it answers true and the transfer is none, in or
 * out, `execute` is called once and ends in exactly one `task.finish()`. When the transfer is read
 * or write the transport moves the data itself and ends the command itself.
 */
import type { BlockDevice, DeviceError } from './device.ts';
import type { SenseCode } from './sense.ts';
import type { Task } from './task.ts';

export interface Unit {
  /** Null for the well-known and the absent unit. */
  readonly device: BlockDevice | null;
  /** A task that another nexus aborts ends with TASK ABORTED (TAS, SPC-4 7.5.8). */
  readonly tellsAborts: boolean;

  /**
   * Checks reservations, unit attentions, opcode and CDB fields. True: go on as `task.transfer` says
   * (`transfer`, `offset`, `length`, `fua` are set). False: the command has ended; `task.status`,
   * `task.sense` (and `task.dataIn`, null) are final and the transport answers; `finish` is not called.
   */
  start(task: Task): boolean;

  /**
   * True when a reservation made since `start` keeps the task out, or the unit has become busy (see
   * `hold`); its status is set then. To be asked when a write's data has arrived, before any of it goes
   * to the device: what a reservation excludes does not land after the reservation was acknowledged.
   */
  keptOut(task: Task): boolean;

  /**
   * A task that was aborted stays inside the device longer than its host was made to wait. Until as
   * many calls of `lift` the unit answers BUSY to whatever would touch the medium.
   */
  hold(): void;
  lift(): void;

  /**
   * For transfer none, in, out. Ends with exactly one `task.finish()`, now or later. `dataOut` holds
   * `task.length` bytes, or fewer if the initiator announced less; borrowed until `finish`.
   */
  execute(task: Task, dataOut: Uint8Array | null): void;

  /** Sets status and sense for a device error; does not finish. */
  fail(task: Task, error: DeviceError): void;

  /** Sets CHECK CONDITION with `code` in the unit's sense format; does not finish. For the transport's
   *  own errors (digest, data phase) that the initiator must see as sense data. */
  check(task: Task, code: SenseCode): void;
}
