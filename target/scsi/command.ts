/**
 * The shape of a row of the dispatch table (dispatch.ts): a command and every policy that applies to
 * it. REPORT SUPPORTED OPERATION CODES, the check of reserved CDB bits, reservation conflicts, unit
 * attentions and write protection all derive from the row; handlers hold only what is their own.
 */
import type { LogicalUnit } from './logical-unit.ts';
import type { Task, Transfer } from './task.ts';

/** How a command stands towards a persistent reservation (SPC-4 table 65, SBC-3 table 13). */
export const Access = {
  /** Allowed to everybody. */
  always: 0,
  /** Conflicts with the exclusive access types only. */
  read: 1,
  /** Conflicts with every type. */
  write: 2,
} as const;
export type Access = (typeof Access)[keyof typeof Access];

export interface Command {
  /** As in the standard. */
  readonly name: string;
  readonly opcode: number;
  /** Service action in byte 1 bits 4:0, or null when the opcode has none. */
  readonly action: number | null;
  /** CDB usage data (SPC-4 6.35.3): byte 0 the opcode, then 1 for each bit that is looked at. Its
   *  length is the CDB's. */
  readonly usage: Uint8Array;
  /** Per CDB byte the bits that must be zero. Derived from `usage`. */
  readonly refused: Uint8Array;
  readonly transfer: Transfer;
  readonly access: Access;
  /** Where the access depends on the CDB. */
  readonly accessOf: ((cdb: Uint8Array) => Access) | null;
  /** Allowed while another nexus holds an SPC-2 RESERVE (SPC-2 table 9, SBC table 3). */
  readonly whileReserved: boolean;
  /** Runs although a unit attention is pending (SAM-5 5.14.1). */
  readonly attentionExempt: boolean;
  /** Changes the medium: refused by a read-only unit or nexus and by SWP. */
  readonly writes: boolean;
  /** Changes what all nexuses share (mode parameters, reservations): refused to a nexus that may only
   *  read, which could otherwise lock the writers out. */
  readonly alters: boolean;
  /** Needs the medium: NOT READY when it was ejected. */
  readonly medium: boolean;
  /** Reads or changes the medium, or the order of changes to it: BUSY while tasks that were aborted are
   *  still inside the device (LogicalUnit.hold). */
  readonly touches: boolean;
  /** Runs through a port in standby (SPC-4 5.15.2.4). */
  readonly whileStandby: boolean;
  /** Runs through a port in any access state. */
  readonly whileUnavailable: boolean;
  /** Runs while a sanitize operation does (SBC-3 4.11.2). */
  readonly whileSanitizing: boolean;
  /** Runs after a sanitize operation failed: SANITIZE itself. */
  readonly sanitizes: boolean;
  /** Where the standard has it. */
  readonly source: string;
  /** Absent: always supported. */
  readonly supported: ((unit: LogicalUnit) => boolean) | null;
  /** Checks the rest of the CDB and sets offset, length, fua. False: ended, status is set. */
  readonly start: ((unit: LogicalUnit, task: Task) => boolean) | null;
  /** Carries it out; ends in one finish. */
  readonly execute: (unit: LogicalUnit, task: Task, dataOut: Uint8Array | null) => void;
}
