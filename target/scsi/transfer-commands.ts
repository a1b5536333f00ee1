/**
 * Rows of the dispatch table: the commands that move blocks to and from the medium (SBC-3 5).
 */
import { Access, type Command } from './command.ts';
import { command, forms } from './command-row.ts';
import { Opcode } from './opcode.ts';
import * as rw from './read-write.ts';
import { Transfer } from './task.ts';
import * as verify from './verify.ts';

const { read, write, out } = Transfer;

/** FUA_NV and the older RELADR. */
const oldReadFlags = '00 03';

/** READ, WRITE, VERIFY and WRITE AND VERIFY. */
export const transferCommands: readonly Command[] = [
  command({
    name: 'READ(6)',
    usage: '08 1f ff ff ff 00',
    transfer: read,
    access: Access.read,
    flags: ['medium'],
    source: 'SBC-2; obsolete in SBC-3',
    start: rw.startReadWrite,
    execute: rw.nothing,
  }),
  command({
    name: 'WRITE(6)',
    usage: '0a 1f ff ff ff 00',
    transfer: write,
    access: Access.write,
    flags: ['writes', 'medium'],
    source: 'SBC-2; obsolete in SBC-3',
    start: rw.startReadWrite,
    execute: rw.nothing,
  }),
  ...forms(
    {
      name: 'READ',
      byte1: 'f8',
      ignored: oldReadFlags,
      transfer: read,
      access: Access.read,
      flags: ['medium'],
      start: rw.startReadWrite,
      execute: rw.nothing,
    },
    {
      ten: [Opcode.read10, 'SBC-3 5.11'],
      twelve: [Opcode.read12, 'SBC-3 5.12'],
      sixteen: [Opcode.read16, 'SBC-3 5.13'],
    },
  ),
  ...forms(
    {
      name: 'WRITE',
      byte1: 'f8',
      ignored: oldReadFlags,
      transfer: write,
      access: Access.write,
      flags: ['writes', 'medium'],
      start: rw.startReadWrite,
      execute: rw.nothing,
    },
    {
      ten: [Opcode.write10, 'SBC-3 5.33'],
      twelve: [Opcode.write12, 'SBC-3 5.34'],
      sixteen: [Opcode.write16, 'SBC-3 5.35'],
    },
  ),
  ...forms(
    {
      name: 'WRITE AND VERIFY',
      byte1: 'f6',
      transfer: out,
      access: Access.write,
      flags: ['writes', 'medium'],
      start: verify.startWriteVerify,
      execute: verify.writeVerify,
    },
    {
      ten: [Opcode.writeVerify10, 'SBC-3 5.37'],
      twelve: [Opcode.writeVerify12, 'SBC-3 5.38'],
      sixteen: [Opcode.writeVerify16, 'SBC-3 5.39'],
    },
  ),
  ...forms(
    {
      name: 'VERIFY',
      byte1: 'f6',
      transfer: out,
      access: Access.read,
      flags: ['medium'],
      start: verify.startVerify,
      execute: verify.verify,
    },
    {
      ten: [Opcode.verify10, 'SBC-3 5.29'],
      twelve: [Opcode.verify12, 'SBC-3 5.30'],
      sixteen: [Opcode.verify16, 'SBC-3 5.31'],
    },
  ),
];
