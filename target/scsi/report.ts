/**
 * MAINTENANCE IN: REPORT SUPPORTED OPERATION CODES (SPC-4 6.35) and REPORT SUPPORTED TASK MANAGEMENT
 * FUNCTIONS (6.36). The opcodes come from the dispatch table, which is
 * handed in, so that the answer cannot differ from what is done.
 */
import { putU16, putU32, u8, u16, u32 } from './bytes.ts';
import type { Command } from './command.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { answer } from './outcome.ts';
import type { Task } from './task.ts';

/** What this file needs of the dispatch table. */
export interface CommandTable {
  readonly commands: readonly Command[];
  find(opcode: number, action: number): Command | null;
  hasActions(opcode: number): boolean;
}

const timeoutsLength = 12;

/** REPORTING OPTIONS (SPC-4 table 284). */
const Option = { all: 0, opcode: 1, action: 2, either: 3 } as const;

function option(task: Task): number {
  return u8(task.cdb, 2) & 7;
}

export function startOpcodes(table: CommandTable, unit: LogicalUnit, task: Task): boolean {
  const opcode = u8(task.cdb, 3);
  switch (option(task)) {
    case Option.all:
    case Option.either:
      return true;
    case Option.opcode:
      return !table.hasActions(opcode) || unit.badField(task, 2, 2);
    case Option.action:
      return table.hasActions(opcode) || unit.badField(task, 2, 2);
    default:
      return unit.badField(task, 2, 2);
  }
}

export function opcodes(table: CommandTable, unit: LogicalUnit, task: Task): void {
  const timeouts = (u8(task.cdb, 2) & 0x80) !== 0;
  const out =
    option(task) === Option.all ? allOpcodes(table, unit, timeouts) : oneOpcode(table, unit, task);
  answer(task, out, u32(task.cdb, 6));
  task.finish();
}

/** Descriptors: 0 OPCODE, 2 SERVICE ACTION (2), 5 CTDP (1) SERVACTV (0), 6 CDB LENGTH (2), [timeouts]. */
function allOpcodes(table: CommandTable, unit: LogicalUnit, timeouts: boolean): Uint8Array {
  const listed = table.commands.filter((c) => c.supported === null || c.supported(unit));
  const size = 8 + (timeouts ? timeoutsLength : 0);
  const out = new Uint8Array(4 + listed.length * size);
  putU32(out, 0, out.length - 4);
  listed.forEach((command, i) => {
    const at = 4 + i * size;
    out[at] = command.opcode;
    putU16(out, at + 2, command.action ?? 0);
    out[at + 5] = (timeouts ? 2 : 0) | (command.action === null ? 0 : 1);
    putU16(out, at + 6, command.usage.length);
    if (timeouts) putTimeouts(out, at + 8);
  });
  return out;
}

/** 0 r, 1 CTDP (7) SUPPORT (2:0): 1 no, 3 as in the standard; 2 CDB SIZE (2), 4 usage data, [timeouts]. */
function oneOpcode(table: CommandTable, unit: LogicalUnit, task: Task): Uint8Array {
  const timeouts = (u8(task.cdb, 2) & 0x80) !== 0;
  const opcode = u8(task.cdb, 3);
  const action = u16(task.cdb, 4);
  const command = table.find(opcode, action);
  // Option 3: an opcode without service actions is supported only with a SERVICE ACTION of zero.
  const odd = option(task) === Option.either && !table.hasActions(opcode) && action !== 0;
  if (command === null || odd || (command.supported !== null && !command.supported(unit))) {
    return Uint8Array.of(0, 1, 0, 0);
  }
  const { usage } = command;
  const out = new Uint8Array(4 + usage.length + (timeouts ? timeoutsLength : 0));
  out[1] = (timeouts ? 0x80 : 0) | 3;
  putU16(out, 2, usage.length);
  out.set(usage, 4);
  if (timeouts) putTimeouts(out, 4 + usage.length);
  return out;
}

/** Command timeouts descriptor (SPC-4 6.35.4): no timeout is announced, all fields zero. */
function putTimeouts(out: Uint8Array, at: number): void {
  putU16(out, at, timeoutsLength - 2);
}

/** ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT RESET: what RFC 7143 11.5 offers here. */
export function taskManagement(_unit: LogicalUnit, task: Task): void {
  const extended = (u8(task.cdb, 2) & 0x80) !== 0;
  const out = new Uint8Array(extended ? 16 : 4);
  out[0] = 0x80 | 0x40 | 0x10 | 0x08;
  if (extended) out[3] = 12;
  answer(task, out, u32(task.cdb, 6));
  task.finish();
}
