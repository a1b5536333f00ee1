/**
 * One SCSI command between the transport (session/) and the logical unit (scsi/).
 *
 *   transport                                logical unit (scsi/unit.ts)
 *   fills cdb, nexus, expectedLength  ──▶    unit.start(task): checks unit attention, reservation,
 *                                            opcode, fields; says in `transfer` what is to move
 *   read:  streams device.readNow / read into Data-In PDUs, a piece at a time
 *   write: collects `length` bytes (immediate, unsolicited, R2T), calls device.write
 *   out:   collects `length` bytes    ──▶    unit.execute(task, dataOut)
 *   in, none:                         ──▶    unit.execute(task, null)
 *                                     ◀──    task.finish(), once, now or later
 *
 * `read` and `write` are the hot path: the transport talks to `unit.device` itself, and maps a
 * DeviceError with `task.fail(error)`. Tasks are pooled by their connection.
 */
import type { Nexus } from './nexus.ts';
import type { Unit } from './unit.ts';

export const Transfer = {
  /** Nothing moves; `execute` follows at once. */
  none: 1,
  /** Medium to initiator: `offset`, `length` in bytes; carried out by the transport. */
  read: 2,
  /** Initiator to medium: `offset`, `length` in bytes, `fua`; carried out by the transport. */
  write: 3,
  /** `length` bytes of Data-Out are collected, then `execute` gets them. */
  out: 4,
  /** `execute` leaves its answer in `dataIn`. */
  in: 5,
} as const;
export type Transfer = (typeof Transfer)[keyof typeof Transfer];

export interface Task {
  /** The CDB: 16 bytes, or more with an extended-CDB AHS. Valid until `finish`. */
  readonly cdb: Uint8Array;
  readonly nexus: Nexus;
  /** Expected Data Transfer Length of the iSCSI command, bytes. */
  readonly expectedLength: number;

  transfer: Transfer;
  offset: number;
  length: number;
  fua: boolean;

  /** SAM status; GOOD unless set. */
  status: number;
  /** Sense data without the iSCSI length field, or null. */
  sense: Uint8Array | null;
  /** Parameter data for the initiator, already cut to the allocation length, or null. */
  dataIn: Uint8Array | null;
  /** True once the task was aborted: whoever works on it stops as soon as it can. */
  readonly aborted: boolean;

  /** The unit, other than its own, that a copy is writing to now: busy with it when it is stuck. */
  elsewhere: Unit | null;

  /** The command has ended; status, sense and dataIn are final. Exactly once. */
  finish(): void;
}
