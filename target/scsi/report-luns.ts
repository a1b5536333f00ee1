/**
 * REPORT LUNS (SPC-4 6.33). Answered by every unit, the absent and the well-known one included.
 *
 *   CDB: A0h, r, SELECT REPORT, r r r, ALLOCATION LENGTH (4), r, CONTROL
 *   data: LUN LIST LENGTH (4), reserved (4), then 8 bytes a LUN
 */
import { putU16, putU32, u8, u32 } from './bytes.ts';
import { putLun } from './lun.ts';
import { answer, fieldInCdb } from './outcome.ts';
import type { TargetView } from './target-view.ts';
import type { Task } from './task.ts';

/** SELECT REPORT values of SPC-4 table 279 that are served. */
const Select = { logicalUnits: 0, wellKnown: 1, all: 2 } as const;

export function parseReportLuns(task: Task, descriptor: boolean): boolean {
  if (u8(task.cdb, 2) > Select.all) return fieldInCdb(task, descriptor, 2, 7);
  // SPC-4: an allocation length below 16 is an error here, unlike elsewhere.
  if (u32(task.cdb, 6) < 16) return fieldInCdb(task, descriptor, 6);
  return true;
}

/** Leaves the list in the task. The unit attention about it goes from every unit of the target. */
export function reportLuns(target: TargetView, task: Task): void {
  const select = u8(task.cdb, 2);
  const luns = select === Select.wellKnown ? [] : target.luns();
  const wellKnown = select === Select.logicalUnits ? 0 : 1;
  const out = new Uint8Array(8 + (luns.length + wellKnown) * 8);
  putU32(out, 0, out.length - 8);
  let at = 8;
  for (const lun of luns) {
    putLun(out, at, lun);
    at += 8;
  }
  if (wellKnown === 1) putU16(out, at, 0xc101);
  answer(task, out, u32(task.cdb, 6));
  target.lunsReported(task.nexus);
}
