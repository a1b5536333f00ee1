/**
 * LOG SENSE (SPC-4 6.7, 7.3): supported pages (00h), logical block provisioning (0Ch, SBC-4 6.4.5) and
 * informational exceptions (2Fh).
 *
 *   page       0 DS (7) PAGE CODE (5:0), 1 SUBPAGE, 2 PAGE LENGTH (2), 4 …
 *   parameter  0 CODE (2), 2 control = 03h (binary list), 3 LENGTH, 4 …
 *   0Ch        4 RESOURCE COUNT (4), in threshold sets   8 SCOPE (1:0): 1 this unit, 2 shared by others
 *   2Fh        4 ADDITIONAL SENSE CODE, 5 … QUALIFIER, 6 TEMPERATURE = FFh (not known)
 */
import { putU16, putU32, u8, u16 } from './bytes.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { answer } from './outcome.ts';
import { Sense } from './sense.ts';
import type { Task } from './task.ts';
import { provisioningOf, Resource, setsOf } from './thresholds.ts';

const LogPage = { supported: 0x00, provisioning: 0x0c, exceptions: 0x2f } as const;

/** Nothing is kept over a restart, so nothing is saved. */
const disableSave = 0x80;
const binaryList = 0x03;
const Scope = { unit: 1, shared: 2 } as const;

interface Parameter {
  readonly code: number;
  readonly value: Uint8Array;
}

function pagesOf(unit: LogicalUnit): readonly number[] {
  const { supported, provisioning, exceptions } = LogPage;
  return unit.mode.thresholds.offered
    ? [supported, provisioning, exceptions]
    : [supported, exceptions];
}

function parameters(unit: LogicalUnit, code: number): readonly Parameter[] {
  if (code === LogPage.exceptions) {
    const passed = unit.mode.thresholds.passed ? Sense.thinThreshold.code : 0;
    return [{ code: 0, value: Uint8Array.of(passed >> 8, passed & 0xff, 0xff, 0) }];
  }
  const now = provisioningOf(unit.device);
  if (now === null) return [];
  const { availableBytes, usedBytes, shared } = now;
  return [
    count(Resource.available, availableBytes, shared ? Scope.shared : Scope.unit),
    count(Resource.used, usedBytes, Scope.unit),
  ];
}

function count(code: number, bytes: number, scope: number): Parameter {
  const value = new Uint8Array(8);
  putU32(value, 0, setsOf(bytes));
  value[4] = scope;
  return { code, value };
}

export function startLogSense(unit: LogicalUnit, task: Task): boolean {
  const code = u8(task.cdb, 2) & 0x3f;
  if (!pagesOf(unit).includes(code)) return unit.badField(task, 2, 5);
  if (u8(task.cdb, 3) !== 0) return unit.badField(task, 3);
  // PARAMETER POINTER: the first parameter wanted; beyond the last there is nothing (SPC-4 6.7).
  const last = code === LogPage.supported ? 0 : (parameters(unit, code).at(-1)?.code ?? 0);
  return u16(task.cdb, 5) <= last || unit.badField(task, 5);
}

export function logSense(unit: LogicalUnit, task: Task): void {
  const code = u8(task.cdb, 2) & 0x3f;
  const body: number[] = [];
  if (code === LogPage.supported) body.push(...pagesOf(unit));
  else {
    for (const each of parameters(unit, code)) {
      if (each.code < u16(task.cdb, 5)) continue;
      body.push(each.code >> 8, each.code & 0xff, binaryList, each.value.length, ...each.value);
    }
  }
  const out = new Uint8Array(4 + body.length);
  out[0] = code === LogPage.provisioning ? disableSave | code : code;
  putU16(out, 2, body.length);
  out.set(body, 4);
  answer(task, out, u16(task.cdb, 7));
  task.finish();
}
