/**
 * How a row of the dispatch table is written down, and made into a Command.
 *
 * Usage is the CDB in hex, one bits for what is looked at; `ignored` are fields of older standards that
 * hosts still set and that change nothing. Any other bit set is INVALID FIELD IN CDB.
 */
import { strict as assert } from 'node:assert';
import { Access, type Command } from './command.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { Transfer } from './task.ts';

export interface Row {
  readonly name: string;
  /** CDB in hex: the opcode, then the bits looked at. */
  readonly usage: string;
  readonly action?: number;
  readonly ignored?: string;
  readonly transfer: Transfer;
  readonly access: Access | ((cdb: Uint8Array) => Access);
  readonly flags?: readonly Flag[];
  readonly source: string;
  readonly supported?: (unit: LogicalUnit) => boolean;
  readonly start?: Command['start'];
  readonly execute: Command['execute'];
}

/** See the fields of the same meaning in command.ts. */
export type Flag =
  | 'whileReserved'
  | 'attentionExempt'
  | 'writes'
  | 'medium'
  /** With `medium`: that it is there is enough, it is neither read nor changed. */
  | 'presence'
  /** Without `medium`: touches it all the same. */
  | 'touches'
  | 'alters'
  | 'whileStandby'
  | 'whileUnavailable'
  | 'whileSanitizing'
  | 'sanitizes';

/** NACA (bit 2 of CONTROL) asks for an ACA that is not supported (NORMACA=0). */
const naca = 0x04;
/** SCSI-2 had the LUN here; hosts fill it in before they know the version (SPC-2 annex). */
const oldLun = 0xe0;

export function command(row: Row): Command {
  const usage = bytes(row.usage);
  const ignored = bytes(row.ignored ?? '');
  const opcode = usage[0];
  assert(opcode !== undefined && [6, 10, 12, 16].includes(usage.length), row.name);
  const refused = usage.map((used, i) => ~(used | (ignored[i] ?? 0)) & 0xff);
  refused[0] = 0;
  if (((usage[1] ?? 0) & oldLun) === 0) refused[1] = (refused[1] ?? 0) & ~oldLun;
  refused[usage.length - 1] = naca;
  if (row.action !== undefined) {
    refused[1] = (refused[1] ?? 0) & ~0x1f;
    usage[1] = ((usage[1] ?? 0) & 0xe0) | row.action;
  }
  const has = (flag: Flag) => row.flags?.includes(flag) ?? false;
  return Object.freeze({
    name: row.name,
    opcode,
    action: row.action ?? null,
    usage,
    refused,
    transfer: row.transfer,
    access: typeof row.access === 'function' ? Access.write : row.access,
    accessOf: typeof row.access === 'function' ? row.access : null,
    whileReserved: has('whileReserved'),
    attentionExempt: has('attentionExempt'),
    writes: has('writes'),
    medium: has('medium'),
    touches: has('touches') || (has('medium') && !has('presence')),
    alters: has('alters'),
    whileSanitizing: has('whileSanitizing'),
    whileStandby: has('whileStandby') || has('whileUnavailable'),
    whileUnavailable: has('whileUnavailable'),
    sanitizes: has('sanitizes'),
    source: row.source,
    supported: row.supported ?? null,
    start: row.start ?? null,
    execute: row.execute,
  });
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(' ', ''));
}

const lba4 = 'ffffffff';
export const lba8 = 'ffffffffffffffff';

/** Rows of one shape for the 10, 12 and 16 byte forms; `byte1` is the flag byte. */
export function forms(
  shape: Omit<Row, 'name' | 'usage' | 'source'> & { name: string; byte1: string },
  opcodes: { ten?: [number, string]; twelve?: [number, string]; sixteen?: [number, string] },
): Command[] {
  const { name, byte1, ...rest } = shape;
  const made: Command[] = [];
  const add = (suffix: string, entry: [number, string] | undefined, tail: string) => {
    if (!entry) return;
    const usage = entry[0].toString(16).padStart(2, '0') + byte1 + tail;
    made.push(command({ ...rest, name: `${name}(${suffix})`, usage, source: entry[1] }));
  };
  add('10', opcodes.ten, `${lba4} 1f ffff 00`);
  add('12', opcodes.twelve, `${lba4} ffffffff 1f 00`);
  add('16', opcodes.sixteen, `${lba8} ffffffff 1f 00`);
  return made;
}
