/**
 * MODE SENSE and MODE SELECT, 6 and 10 (SPC-4 6.11–6.14, 7.5).
 *
 *   MODE SENSE(6)   1Ah, DBD (3), PC (7:6) | PAGE CODE (5:0), SUBPAGE, ALLOCATION LENGTH, CONTROL
 *   MODE SENSE(10)  5Ah, LLBAA (4) DBD (3), PC | PAGE CODE, SUBPAGE, r r r, ALLOCATION LENGTH (2), …
 *   MODE SELECT(6)  15h, PF (4) SP (0), r r, PARAMETER LIST LENGTH, CONTROL; (10): 55h, length at 7
 *
 *   parameter header (6)    0 data length   1 medium   2 device specific   3 block descriptor length
 *   parameter header (10)   0 data length (2)  2 medium  3 device specific  4 LONGLBA  6 b. d. length (2)
 *   block descriptor        short: blocks (4), r, block length (3);  long: blocks (8), r (4), length (4)
 *
 * A MODE SELECT is checked as a whole before anything of it is applied.
 */
import { strict as assert } from 'node:assert';
import { putU16, putU24, putU32, putU64, u8, u16, u24, u32, u64 } from './bytes.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import {
  allSubpages,
  ModePage,
  PageControl,
  subpageFormat,
  writeBackOf,
} from './mode-parameters.ts';
import { Opcode } from './opcode.ts';
import { answer } from './outcome.ts';
import { Sense } from './sense.ts';
import type { Task } from './task.ts';

export function startModeSense(unit: LogicalUnit, task: Task): boolean {
  const control = u8(task.cdb, 2) >> 6;
  const code = u8(task.cdb, 2) & 0x3f;
  const subpage = u8(task.cdb, 3);
  if (control === PageControl.saved) {
    unit.check(task, Sense.savingNotSupported);
    return false;
  }
  if (unit.mode.pages(code, allSubpages).length === 0) return unit.badField(task, 2, 5);
  // Of all pages only 00h and FFh may be asked for (SPC-4 table 172).
  const sensible = code !== ModePage.all || subpage === 0 || subpage === allSubpages;
  return (sensible && unit.mode.pages(code, subpage).length > 0) || unit.badField(task, 3);
}

export function modeSense(unit: LogicalUnit, task: Task): void {
  const { cdb } = task;
  const ten = u8(cdb, 0) === Opcode.modeSense10;
  const control = (u8(cdb, 2) >> 6) as PageControl;
  const code = u8(cdb, 2) & 0x3f;
  const long = ten && (u8(cdb, 1) & 0x10) !== 0;
  const withDescriptor = (u8(cdb, 1) & 0x08) === 0;
  const pages: Uint8Array[] = [];
  for (const each of unit.mode.pages(code, u8(cdb, 3))) {
    const page = unit.mode.page(each, control);
    if (page) pages.push(page);
  }
  const descriptor = withDescriptor ? blockDescriptor(unit, long) : new Uint8Array(0);
  const headLength = ten ? 8 : 4;
  const total = pages.reduce((sum, page) => sum + page.length, headLength + descriptor.length);
  const out = new Uint8Array(total);
  // WP and DPOFUA (SBC-3 6.5.1): both DPO and FUA are taken.
  const specific = (unit.protection(task.nexus) === null ? 0 : 0x80) | 0x10;
  if (ten) {
    putU16(out, 0, total - 2);
    out[3] = specific;
    out[4] = long && withDescriptor ? 1 : 0;
    putU16(out, 6, descriptor.length);
  } else {
    out[0] = total - 1;
    out[2] = specific;
    out[3] = descriptor.length;
  }
  out.set(descriptor, headLength);
  let at = headLength + descriptor.length;
  for (const page of pages) {
    out.set(page, at);
    at += page.length;
  }
  answer(task, out, ten ? u16(cdb, 7) : u8(cdb, 4));
  task.finish();
}

function blockDescriptor(unit: LogicalUnit, long: boolean): Uint8Array {
  const { sectors, sectorBytes } = unit.device;
  const out = new Uint8Array(long ? 16 : 8);
  if (long) {
    putU64(out, 0, sectors);
    putU32(out, 12, sectorBytes);
  } else {
    putU32(out, 0, Math.min(sectors, 0xffffffff));
    putU24(out, 5, sectorBytes);
  }
  return out;
}

export function startModeSelect(unit: LogicalUnit, task: Task): boolean {
  const { cdb } = task;
  const ten = u8(cdb, 0) === Opcode.modeSelect10;
  // SP: nothing can be saved. PF=0 would mean vendor specific pages (SPC-4 6.11).
  if ((u8(cdb, 1) & 0x01) !== 0) return unit.badField(task, 1, 0);
  task.length = ten ? u16(cdb, 7) : u8(cdb, 4);
  if (task.length > 0 && (u8(cdb, 1) & 0x10) === 0) return unit.badField(task, 1, 4);
  if (task.length > scsiLimits.modeSelectBytes || task.expectedLength < task.length) {
    unit.check(task, Sense.parameterListLength);
    return false;
  }
  return true;
}

export function modeSelect(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  const list = dataOut?.subarray(0, task.length) ?? new Uint8Array(0);
  if (list.length === task.length) {
    if (task.length > 0 && applyList(unit, task, list)) return;
  } else unit.check(task, Sense.parameterListLength);
  task.finish();
}

/** Checks the whole list, then applies what is in it. True: the device was asked and ends the task. */
function applyList(unit: LogicalUnit, task: Task, list: Uint8Array): boolean {
  const pages: Uint8Array[] = [];
  const wrong = checkList(unit, u8(task.cdb, 0) === Opcode.modeSelect10, list, pages);
  if (wrong === 'length') unit.check(task, Sense.parameterListLength);
  else if (wrong !== null) {
    unit.check(task, Sense.invalidFieldInParameters, { field: { inCdb: false, byte: wrong } });
  }
  if (wrong !== null) return false;
  let changed = false;
  let writeBack: boolean | null = null;
  for (const page of pages) {
    changed = unit.mode.apply(page) || changed;
    writeBack = writeBackOf(page) ?? writeBack;
  }
  if (changed) {
    unit.post(Sense.modeChanged, task.nexus);
    unit.lookAtThresholds();
  }
  if (writeBack === null || writeBack === unit.device.capabilities.writeBack) return false;
  setWriteBack(unit, task, writeBack);
  return true;
}

/** The device tells every nexus; the one that asked need not hear of it (SPC-4 5.14). */
function setWriteBack(unit: LogicalUnit, task: Task, on: boolean): void {
  const { device } = unit;
  assert(device.setWriteBack, 'a device that lets hosts change WCE');
  device.setWriteBack(on, {
    complete: (error) => {
      if (error === null) {
        unit.drop(task.nexus, Sense.modeChanged);
        unit.drop(task.nexus, Sense.inquiryChanged);
      } else unit.fail(task, error);
      task.finish();
    },
  });
}

/** The first offending byte, 'length' when the list is cut within something, or null. */
function checkList(unit: LogicalUnit, ten: boolean, list: Uint8Array, pages: Uint8Array[]): Wrong {
  const headLength = ten ? 8 : 4;
  if (list.length < headLength) return 'length';
  const long = ten && (u8(list, 4) & 1) !== 0;
  const descriptorLength = ten ? u16(list, 6) : u8(list, 3);
  const wrong = checkBlockDescriptor(unit, list, headLength, descriptorLength, long);
  if (wrong !== null) return wrong;
  let at = headLength + descriptorLength;
  while (at < list.length) {
    const length = pageLength(list, at);
    if (at + length > list.length) return 'length';
    const page = list.subarray(at, at + length);
    const byte = checkPage(unit, page);
    if (byte !== null) return at + byte;
    pages.push(page);
    at += length;
  }
  return null;
}

type Wrong = number | 'length' | null;

/** The offending byte, 'length' when the list ends within the descriptor, or null. The descriptor may
 *  only repeat what is: neither the capacity nor the block length can be set (SBC-3 6.5.2). */
function checkBlockDescriptor(
  unit: LogicalUnit,
  list: Uint8Array,
  at: number,
  length: number,
  long: boolean,
): Wrong {
  if (length === 0) return null;
  if (length !== (long ? 16 : 8)) return long || at === 8 ? 6 : 3;
  if (at + length > list.length) return 'length';
  const { sectors, sectorBytes } = unit.device;
  const blocks = long ? u64(list, at) : u32(list, at);
  const current = long ? sectors : Math.min(sectors, 0xffffffff);
  if (blocks !== 0 && blocks !== current) return at;
  const bytes = long ? u32(list, at + 12) : u24(list, at + 5);
  return bytes === sectorBytes ? null : at + (long ? 12 : 5);
}

/** Of the page at `at`, its header included; infinite when not even that is there. */
function pageLength(list: Uint8Array, at: number): number {
  if ((u8(list, at) & subpageFormat) === 0) {
    return at + 2 <= list.length ? u8(list, at + 1) + 2 : Number.POSITIVE_INFINITY;
  }
  return at + 4 <= list.length ? u16(list, at + 2) + 4 : Number.POSITIVE_INFINITY;
}

/** The offset within `page` of the first byte that may not be so, or null. */
function checkPage(unit: LogicalUnit, page: Uint8Array): number | null {
  const hasSubpage = (u8(page, 0) & subpageFormat) !== 0;
  const name = { code: u8(page, 0) & 0x3f, subpage: hasSubpage ? u8(page, 1) : 0 };
  // A page with a short header is asked for by one (SPC-4 7.5.7).
  if (hasSubpage && name.subpage === 0) return 0;
  const current = unit.mode.page(name, PageControl.current);
  const mask = unit.mode.page(name, PageControl.changeable);
  if (current === null || mask === null) return 0;
  if (page.length !== current.length) return hasSubpage ? 2 : 1;
  for (let i = hasSubpage ? 4 : 2; i < page.length; i++) {
    if (((u8(page, i) ^ u8(current, i)) & ~u8(mask, i)) !== 0) return i;
  }
  return null;
}
