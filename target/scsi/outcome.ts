/**
 * How a command ends, written into its task: an answer cut to the allocation length, or CHECK
 * CONDITION with sense data. Nothing here finishes the task.
 */
import { encodeSense, Sense, type SenseCode, type SenseDetail } from './sense.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';

/** Leaves `data` for the initiator, at most `allocationLength` bytes of it (SPC-4 4.2.5.6). */
export function answer(task: Task, data: Uint8Array, allocationLength: number): void {
  task.dataIn = data.length > allocationLength ? data.subarray(0, allocationLength) : data;
}

/** CHECK CONDITION with `code`. */
export function setCheck(
  task: Task,
  code: SenseCode,
  descriptor: boolean,
  detail?: SenseDetail,
): void {
  task.status = ScsiStatus.checkCondition;
  task.dataIn = null;
  task.sense = encodeSense(code, descriptor, detail);
}

/** INVALID FIELD IN CDB that points at `byte` (and `bit`). Always false: the command has ended. */
export function fieldInCdb(task: Task, descriptor: boolean, byte: number, bit?: number): false {
  const field = bit === undefined ? { inCdb: true, byte } : { inCdb: true, byte, bit };
  setCheck(task, Sense.invalidFieldInCdb, descriptor, { field });
  return false;
}
