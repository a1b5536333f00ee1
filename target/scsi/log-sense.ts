/**
 * LOG SENSE (SPC-4 6.7, 7.3): supported pages (00h) and informational exceptions (2Fh).
 *
 *   page       0 PAGE CODE (5:0), 1 SUBPAGE, 2 PAGE LENGTH (2), 4 …
 *   parameter  0 CODE (2), 2 control = 03h (binary list), 3 LENGTH, 4 …
 */
import { putU16, u8, u16 } from './bytes.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { answer } from './outcome.ts';
import type { Task } from './task.ts';

const LogPage = { supported: 0x00, exceptions: 0x2f } as const;

export function startLogSense(unit: LogicalUnit, task: Task): boolean {
  const code = u8(task.cdb, 2) & 0x3f;
  if (code !== LogPage.supported && code !== LogPage.exceptions) return unit.badField(task, 2, 5);
  if (u8(task.cdb, 3) !== 0) return unit.badField(task, 3);
  // PARAMETER POINTER: the first parameter wanted; both pages have none beyond 0000h.
  return u16(task.cdb, 5) === 0 || unit.badField(task, 5);
}

export function logSense(_unit: LogicalUnit, task: Task): void {
  const code = u8(task.cdb, 2) & 0x3f;
  const body =
    code === LogPage.supported
      ? Uint8Array.from(Object.values(LogPage))
      : // No exception, and a temperature that is not known (FFh).
        Uint8Array.of(0, 0, 0x03, 4, 0, 0, 0xff, 0);
  const out = new Uint8Array(4 + body.length);
  out[0] = code;
  putU16(out, 2, body.length);
  out.set(body, 4);
  answer(task, out, u16(task.cdb, 7));
  task.finish();
}
