/**
 * The dispatch table: every command of a logical unit with its policy (command.ts says what a row
 * holds), found by operation code and service action. What is not in here is refused.
 */
import { strict as assert } from 'node:assert';
import { blockCommands } from './block-commands.ts';
import { u8 } from './bytes.ts';
import { Access, type Command } from './command.ts';
import { command } from './command-row.ts';
import { primaryCommands } from './primary-commands.ts';
import { type CommandTable, opcodes, startOpcodes } from './report.ts';
import { sanitizeCommands } from './sanitize.ts';
import { Transfer } from './task.ts';
import { copyCommands } from './third-party.ts';
import { transferCommands } from './transfer-commands.ts';

const table: CommandTable = { commands: commandList(), find, hasActions };

function commandList(): readonly Command[] {
  const reportOpcodes = command({
    name: 'REPORT SUPPORTED OPERATION CODES',
    usage: 'a3 00 87 ff ff ff ff ff ff ff 00 00',
    action: 0x0c,
    transfer: Transfer.in,
    access: Access.read,
    source: 'SPC-4 6.35',
    start: (unit, task) => startOpcodes(table, unit, task),
    execute: (unit, task) => opcodes(table, unit, task),
  });
  return [
    ...primaryCommands,
    reportOpcodes,
    ...transferCommands,
    ...blockCommands,
    ...copyCommands,
    ...sanitizeCommands,
  ].sort((a, b) => a.opcode - b.opcode || (a.action ?? 0) - (b.action ?? 0));
}

/** Every command, by operation code and service action. */
export const commands: readonly Command[] = table.commands;

const plain: (Command | null)[] = new Array(256).fill(null);
const withActions: ((Command | null)[] | null)[] = new Array(256).fill(null);
for (const each of commands) {
  if (each.action === null) {
    assert(plain[each.opcode] === null && withActions[each.opcode] === null, each.name);
    plain[each.opcode] = each;
    continue;
  }
  assert(plain[each.opcode] === null, each.name);
  const actions = withActions[each.opcode] ?? new Array<Command | null>(32).fill(null);
  assert(actions[each.action] === null, each.name);
  actions[each.action] = each;
  withActions[each.opcode] = actions;
}

/** Whether byte 1 of the CDB holds a service action. */
export function hasActions(opcode: number): boolean {
  return (withActions[opcode] ?? null) !== null;
}

/** `action` does not matter for opcodes that have none. */
export function find(opcode: number, action: number): Command | null {
  return plain[opcode] ?? withActions[opcode]?.[action] ?? null;
}

/** The row for a CDB, or null. */
export function commandOf(cdb: Uint8Array): Command | null {
  return find(u8(cdb, 0), u8(cdb, 1) & 0x1f);
}
