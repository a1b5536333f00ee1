/**
 * Rows of the dispatch table: the block commands besides plain transfers (SBC-3 5).
 */
import * as capacity from './capacity.ts';
import { Access, type Command } from './command.ts';
import { command, forms, lba8 } from './command-row.ts';
import * as compare from './compare.ts';
import * as medium from './medium.ts';
import { Opcode } from './opcode.ts';
import * as rw from './read-write.ts';
import { referrals, startReferrals } from './referrals.ts';
import { Transfer } from './task.ts';
import { startUnmap, unmap } from './unmap.ts';
import { startWriteSame, writeSame } from './write-same.ts';

const { none, in: toInitiator, out } = Transfer;

export const blockCommands: readonly Command[] = [
  ...forms(
    {
      name: 'PRE-FETCH',
      byte1: '02',
      transfer: none,
      access: Access.read,
      flags: ['medium'],
      start: rw.startRangeOnly,
      execute: rw.preFetch,
    },
    {
      ten: [Opcode.preFetch10, 'SBC-3 5.8'],
      sixteen: [Opcode.preFetch16, 'SBC-3 5.9'],
    },
  ),
  ...forms(
    {
      name: 'SYNCHRONIZE CACHE',
      byte1: '06',
      transfer: none,
      access: Access.write,
      flags: ['medium'],
      start: rw.startRangeOnly,
      execute: rw.synchronizeCache,
    },
    {
      ten: [Opcode.synchronizeCache10, 'SBC-3 5.26'],
      sixteen: [Opcode.synchronizeCache16, 'SBC-3 5.27'],
    },
  ),
  ...forms(
    {
      name: 'WRITE SAME',
      byte1: 'f8',
      transfer: out,
      access: Access.write,
      flags: ['writes', 'medium'],
      start: startWriteSame,
      execute: writeSame,
    },
    { ten: [Opcode.writeSame10, 'SBC-3 5.43'] },
  ),
  ...forms(
    {
      name: 'WRITE SAME',
      byte1: 'f9',
      transfer: out,
      access: Access.write,
      flags: ['writes', 'medium'],
      start: startWriteSame,
      execute: writeSame,
    },
    { sixteen: [Opcode.writeSame16, 'SBC-3 5.44'] },
  ),
  command({
    name: 'UNMAP',
    usage: '42 01 00 00 00 00 1f ff ff 00',
    transfer: out,
    access: Access.write,
    flags: ['writes', 'medium'],
    source: 'SBC-3 5.28',
    supported: (unit) => unit.device.capabilities.thin,
    start: startUnmap,
    execute: unmap,
  }),
  command({
    name: 'COMPARE AND WRITE',
    usage: `89 f8 ${lba8} 000000 ff 1f 00`,
    ignored: '00 03',
    transfer: out,
    access: Access.write,
    flags: ['writes', 'medium'],
    source: 'SBC-3 5.2',
    start: compare.startCompareAndWrite,
    execute: compare.compareAndWrite,
  }),
  ...forms(
    {
      name: 'ORWRITE',
      byte1: 'f8',
      ignored: '00 03',
      transfer: out,
      access: Access.write,
      flags: ['writes', 'medium'],
      start: compare.startOrWrite,
      execute: compare.orWrite,
    },
    { sixteen: [Opcode.orWrite16, 'SBC-3 5.5'] },
  ),
  command({
    name: 'WRITE ATOMIC(16)',
    usage: `9c f8 ${lba8} ffff ffff 1f 00`,
    transfer: out,
    access: Access.write,
    flags: ['writes', 'medium'],
    source: 'SBC-4',
    supported: (unit) => unit.device.capabilities.atomicBytes >= unit.device.sectorBytes,
    start: rw.startWriteAtomic,
    execute: rw.writeAtomic,
  }),

  command({
    name: 'READ CAPACITY(10)',
    usage: '25 00 00 00 00 00 00 00 00 00',
    ignored: '00 01 ff ff ff ff 00 00 01 00', // RELADR, LBA and PMI, obsolete since SBC-3
    transfer: toInitiator,
    access: Access.always,
    flags: ['medium', 'presence', 'whileReserved'],
    source: 'SBC-3 5.15',
    execute: capacity.readCapacity10,
  }),
  command({
    name: 'READ CAPACITY(16)',
    usage: '9e 00 0000000000000000 ffffffff 00 00',
    action: 0x10,
    ignored: `00 00 ${lba8} 00000000 01 00`,
    transfer: toInitiator,
    access: Access.always,
    flags: ['medium', 'presence', 'whileReserved'],
    source: 'SBC-3 5.16',
    execute: capacity.readCapacity16,
  }),
  command({
    name: 'GET LBA STATUS',
    usage: `9e 00 ${lba8} ffffffff 00 00`,
    action: 0x12,
    transfer: toInitiator,
    access: Access.read,
    flags: ['medium'],
    source: 'SBC-3 5.4',
    start: capacity.startLbaStatus,
    execute: capacity.lbaStatus,
  }),
  command({
    name: 'REPORT REFERRALS',
    usage: `9e 00 ${lba8} ffffffff 01 00`,
    action: 0x13,
    transfer: toInitiator,
    access: Access.always,
    source: 'SBC-3 5.23',
    start: startReferrals,
    execute: referrals,
  }),
  command({
    name: 'READ DEFECT DATA(10)',
    usage: '37 00 1f 00 00 00 00 ff ff 00',
    transfer: toInitiator,
    access: Access.read,
    flags: ['medium', 'presence'],
    source: 'SBC-3 5.17',
    execute: capacity.readDefectData,
  }),
  command({
    name: 'READ DEFECT DATA(12)',
    usage: 'b7 1f ff ff ff ff ff ff ff ff 00 00',
    transfer: toInitiator,
    access: Access.read,
    flags: ['medium', 'presence'],
    source: 'SBC-3 5.18',
    execute: capacity.readDefectData,
  }),
  command({
    name: 'START STOP UNIT',
    usage: '1b 01 00 0f f7 00',
    transfer: none,
    access: medium.startStopAccess,
    flags: ['touches'],
    source: 'SBC-3 5.25',
    start: medium.startStartStop,
    execute: medium.startStop,
  }),
  command({
    name: 'PREVENT ALLOW MEDIUM REMOVAL',
    usage: '1e 00 00 00 01 00',
    transfer: none,
    access: medium.preventAccess,
    source: 'SBC-3 5.10',
    supported: (unit) => unit.device.capabilities.removable,
    execute: medium.preventAllow,
  }),
];
