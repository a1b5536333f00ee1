/**
 * Referrals (SBC-3 4.25): through which target port groups which blocks are best reached. A unit is one user
 * data segment here: every port group reaches all of it, in the state that ALUA gives it.
 *
 *   REPORT REFERRALS  9Eh/13h, LBA (8) at 2, ALLOCATION LENGTH (4) at 10, ONE_SEG (0) of byte 14, CONTROL
 *   data (5.23)       0 r, 2   2 LENGTH, 2   then the descriptor:
 *                     3 NUMBER OF GROUPS   4 FIRST LBA, 8   12 LAST LBA, 8   20 … 4 bytes a group:
 *                     0 ACCESS STATE (3:0)   2 TARGET PORT GROUP, 2
 *   VPD page B3h      8 USER DATA SEGMENT SIZE, 4 = 0: as the descriptor says   12 MULTIPLIER, 4 = 0
 */
import { strict as assert } from 'node:assert';
import { putU16, putU64, u32, u64 } from './bytes.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { answer } from './outcome.ts';
import { Sense } from './sense.ts';
import type { Task } from './task.ts';

const headLength = 4;
const segmentLength = 20;
const groupLength = 4;

export function startReferrals(unit: LogicalUnit, task: Task): boolean {
  if (u64(task.cdb, 2) < unit.device.sectors) return true;
  unit.check(task, Sense.lbaOutOfRange);
  return false;
}

export function referrals(unit: LogicalUnit, task: Task): void {
  const groups = unit.target.alua.groups();
  assert(groups.length <= 0xff, 'NUMBER OF GROUPS is one byte');
  const out = new Uint8Array(headLength + segmentLength + groups.length * groupLength);
  putU16(out, 2, out.length - headLength);
  out[headLength + 3] = groups.length;
  putU64(out, headLength + 12, unit.device.sectors - 1);
  groups.forEach(({ id, state }, i) => {
    const at = headLength + segmentLength + i * groupLength;
    out[at] = state;
    putU16(out, at + 2, id);
  });
  answer(task, out, u32(task.cdb, 10));
  task.finish();
}
