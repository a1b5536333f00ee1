/**
 * Where a block command works: LOGICAL BLOCK ADDRESS and TRANSFER LENGTH by the CDB's group code
 * (SPC-4 4.2.5.1), checked against the capacity and the announced limits.
 *
 *   group     0 (6)          1, 2 (10)      4 (16)         5 (12)
 *   LBA       1–3, 21 bits   2, 32 bits     2, 64 bits     2, 32 bits
 *   length    4, 0 = 256     7, 16 bits     10, 32 bits    6, 32 bits
 */
import { u8, u16, u24, u32, u64 } from './bytes.ts';
import { maximumBlocks } from './geometry.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { Sense } from './sense.ts';
import type { Task } from './task.ts';

/** Above 2^53 the value is inexact but still out of range of every device. */
export function lbaOf(cdb: Uint8Array): number {
  const group = u8(cdb, 0) >> 5;
  if (group === 0) return u24(cdb, 1) & 0x1fffff;
  return group === 4 ? u64(cdb, 2) : u32(cdb, 2);
}

export function blocksOf(cdb: Uint8Array): number {
  const group = u8(cdb, 0) >> 5;
  if (group === 0) return u8(cdb, 4) || 256;
  if (group === 4) return u32(cdb, 10);
  return group === 5 ? u32(cdb, 6) : u16(cdb, 7);
}

/** The byte of the CDB where the length field begins, for the field pointer. */
export function lengthByte(cdb: Uint8Array): number {
  const group = u8(cdb, 0) >> 5;
  if (group === 0) return 4;
  if (group === 4) return 10;
  return group === 5 ? 6 : 7;
}

/** LOGICAL BLOCK ADDRESS OUT OF RANGE unless all of lba…lba+blocks-1 is on the medium. */
export function inRange(unit: LogicalUnit, task: Task, lba: number, blocks: number): boolean {
  if (lba + blocks <= unit.device.sectors) return true;
  unit.check(task, Sense.lbaOutOfRange);
  return false;
}

/** Protection information is not supported: a non-zero xxPROTECT (byte 1, bits 7:5) is refused. */
export function unprotected(unit: LogicalUnit, task: Task): boolean {
  return u8(task.cdb, 1) >> 5 === 0 || unit.badField(task, 1, 7);
}

/** Checks range and MAXIMUM TRANSFER LENGTH, sets `offset` and `length` in bytes. */
export function setRange(unit: LogicalUnit, task: Task): boolean {
  const { cdb } = task;
  const lba = lbaOf(cdb);
  const blocks = blocksOf(cdb);
  if (!inRange(unit, task, lba, blocks)) return false;
  if (blocks > maximumBlocks(unit.device)) return unit.badField(task, lengthByte(cdb));
  const { sectorBytes } = unit.device;
  task.offset = lba * sectorBytes;
  task.length = blocks * sectorBytes;
  return true;
}
