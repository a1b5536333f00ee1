/**
 * READ and WRITE (SBC-3 5.11–5.13, 5.33–5.35), WRITE ATOMIC(16), SYNCHRONIZE CACHE and PRE-FETCH.
 *
 * READ and WRITE are the hot path: `start` says where, and the transport moves the bytes. DPO is taken
 * and has no effect (the store's cache knows better); FUA reaches the device on writes.
 */

import { blocksOf, inRange, lbaOf, setRange, unprotected } from './block-range.ts';
import { u16 } from './bytes.ts';
import { atomicBlocks } from './geometry.ts';
import { flushJob, writeJob } from './job.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { type Task, Transfer } from './task.ts';

const fuaBit = 0x08;

export function startReadWrite(unit: LogicalUnit, task: Task): boolean {
  const six = (task.cdb[0] ?? 0) >> 5 === 0;
  if (!six && !unprotected(unit, task)) return false;
  if (!setRange(unit, task)) return false;
  task.fua = !six && ((task.cdb[1] ?? 0) & fuaBit) !== 0;
  // A transfer length of zero is no error and moves nothing (SBC-3 5.11); READ(6) has no zero.
  if (task.length === 0) task.transfer = Transfer.none;
  return true;
}

/** Only a READ or WRITE of no blocks comes here. */
export function nothing(_unit: LogicalUnit, task: Task): void {
  task.finish();
}

/** WRITE ATOMIC(16), SBC-4: a start at a multiple of the announced alignment. */
export function startWriteAtomic(unit: LogicalUnit, task: Task): boolean {
  const { cdb } = task;
  if (!unprotected(unit, task)) return false;
  const lba = lbaOf(cdb);
  const blocks = u16(cdb, 12);
  if (!inRange(unit, task, lba, blocks)) return false;
  const most = atomicBlocks(unit.device);
  if (blocks > most) return unit.badField(task, 12);
  if (u16(cdb, 10) !== 0) return unit.badField(task, 10);
  if (lba % most !== 0) return unit.badField(task, 2);
  task.offset = lba * unit.device.sectorBytes;
  task.length = blocks * unit.device.sectorBytes;
  task.fua = ((cdb[1] ?? 0) & fuaBit) !== 0;
  // All or nothing: without the whole of the data nothing is written.
  if (task.expectedLength < task.length) return unit.badField(task, 12);
  if (task.length === 0) task.transfer = Transfer.none;
  return true;
}

export function writeAtomic(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  if (task.length === 0 || dataOut === null) {
    task.finish();
    return;
  }
  // One call to the device, whatever its length: that is what makes it atomic.
  writeJob(unit, task, dataOut.subarray(0, task.length));
}

export function startRangeOnly(unit: LogicalUnit, task: Task): boolean {
  return inRange(unit, task, lbaOf(task.cdb), blocksOf(task.cdb));
}

/** The range is checked and the whole device flushed; IMMED waits too, so an error is never lost. */
export function synchronizeCache(unit: LogicalUnit, task: Task): void {
  flushJob(unit, task);
}

/** A hint that is not followed: GOOD says that not all of it is in a cache (SBC-3 5.8). */
export function preFetch(_unit: LogicalUnit, task: Task): void {
  task.finish();
}
