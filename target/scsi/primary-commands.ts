/**
 * Rows of the dispatch table: the commands every kind of device has (SPC-4 6), and the reservations of
 * SPC-2. REPORT SUPPORTED OPERATION CODES is in dispatch.ts, because it needs the table itself.
 */
import * as alua from './alua.ts';
import { Access, type Command } from './command.ts';
import { command } from './command-row.ts';
import { inquiry, startInquiry } from './inquiry.ts';
import * as legacyReserve from './legacy-reserve.ts';
import { logSense, startLogSense } from './log-sense.ts';
import * as medium from './medium.ts';
import * as mode from './mode.ts';
import * as pr from './persistent-reserve.ts';
import * as report from './report.ts';
import { parseReportLuns, reportLuns } from './report-luns.ts';
import { Transfer } from './task.ts';

const { none, in: toInitiator, out } = Transfer;

const inAction = pr.ReserveInAction;
const outAction = pr.ReserveOutAction;

function reserveIn(name: string, action: number): Command {
  return command({
    name: `PERSISTENT RESERVE IN, ${name}`,
    usage: '5e 00 00 00 00 00 00 ff ff 00',
    action,
    transfer: toInitiator,
    access: Access.always,
    flags: ['whileStandby'],
    source: 'SPC-4 6.15',
    start: pr.startReserveIn,
    execute: pr.reserveIn,
  });
}

/** Their conflicts are part of each service action (SPC-4 table 66), so none is in the row. */
function reserveOut(name: string, action: number): Command {
  return command({
    name: `PERSISTENT RESERVE OUT, ${name}`,
    usage: '5f 00 ff 00 00 ff ff ff ff 00',
    action,
    transfer: out,
    access: Access.always,
    flags: ['alters', 'whileStandby'],
    source: 'SPC-4 6.16',
    start: pr.startReserveOut,
    execute: pr.reserveOut,
  });
}

function legacy(
  name: string,
  usage: string,
  execute: Command['execute'],
  always: boolean,
): Command {
  return command({
    name,
    usage,
    transfer: none,
    access: Access.always,
    flags: always ? ['whileReserved'] : ['alters'],
    source: 'SPC-2 7.16–7.22',
    execute,
  });
}

export const primaryCommands: readonly Command[] = [
  command({
    name: 'TEST UNIT READY',
    usage: '00 00 00 00 00 00',
    transfer: none,
    access: Access.always,
    flags: ['medium', 'presence'],
    source: 'SPC-4 6.47',
    execute: medium.testUnitReady,
  }),
  command({
    name: 'REQUEST SENSE',
    usage: '03 01 00 00 ff 00',
    transfer: toInitiator,
    access: Access.always,
    flags: ['whileReserved', 'attentionExempt', 'whileSanitizing', 'whileUnavailable'],
    source: 'SPC-4 6.39',
    execute: medium.requestSense,
  }),
  command({
    name: 'INQUIRY',
    usage: '12 01 ff ff ff 00',
    transfer: toInitiator,
    access: Access.always,
    flags: ['whileReserved', 'attentionExempt', 'whileSanitizing', 'whileUnavailable'],
    source: 'SPC-4 6.6',
    start: startInquiry,
    execute: inquiry,
  }),
  command({
    name: 'REPORT LUNS',
    usage: 'a0 00 ff 00 00 00 ff ff ff ff 00 00',
    transfer: toInitiator,
    access: Access.always,
    flags: ['whileReserved', 'attentionExempt', 'whileSanitizing', 'whileUnavailable'],
    source: 'SPC-4 6.33',
    start: (unit, task) => parseReportLuns(task, unit.descriptorSense),
    execute: (unit, task) => {
      reportLuns(unit.target, task);
      task.finish();
    },
  }),
  command({
    name: 'MODE SENSE(6)',
    usage: '1a 08 ff ff ff 00',
    transfer: toInitiator,
    access: Access.read,
    flags: ['whileStandby'],
    source: 'SPC-4 6.13',
    start: mode.startModeSense,
    execute: mode.modeSense,
  }),
  command({
    name: 'MODE SENSE(10)',
    usage: '5a 18 ff ff 00 00 00 ff ff 00',
    transfer: toInitiator,
    access: Access.read,
    flags: ['whileStandby'],
    source: 'SPC-4 6.14',
    start: mode.startModeSense,
    execute: mode.modeSense,
  }),
  command({
    name: 'MODE SELECT(6)',
    usage: '15 11 00 00 ff 00',
    transfer: out,
    access: Access.write,
    flags: ['alters', 'whileStandby'],
    source: 'SPC-4 6.11',
    start: mode.startModeSelect,
    execute: mode.modeSelect,
  }),
  command({
    name: 'MODE SELECT(10)',
    usage: '55 11 00 00 00 00 00 ff ff 00',
    transfer: out,
    access: Access.write,
    flags: ['alters', 'whileStandby'],
    source: 'SPC-4 6.12',
    start: mode.startModeSelect,
    execute: mode.modeSelect,
  }),
  command({
    name: 'LOG SENSE',
    usage: '4d 00 ff ff 00 ff ff ff ff 00',
    transfer: toInitiator,
    access: Access.always,
    flags: ['whileReserved', 'whileStandby'],
    source: 'SPC-4 6.7',
    start: startLogSense,
    execute: logSense,
  }),
  command({
    name: 'REPORT TARGET PORT GROUPS',
    usage: 'a3 e0 00 00 00 00 ff ff ff ff 00 00',
    action: 0x0a,
    transfer: toInitiator,
    access: Access.always,
    flags: ['whileReserved', 'whileUnavailable'],
    source: 'SPC-4 6.37',
    start: alua.startPortGroups,
    execute: alua.portGroups,
  }),
  command({
    name: 'SET TARGET PORT GROUPS',
    usage: 'a4 00 00 00 00 00 ff ff ff ff 00 00',
    action: 0x0a,
    transfer: out,
    access: Access.write,
    flags: ['alters', 'whileUnavailable'],
    source: 'SPC-4 6.45',
    supported: (unit) => unit.target.alua.set !== undefined,
    start: alua.startSetPortGroups,
    execute: alua.setPortGroups,
  }),
  command({
    name: 'REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS',
    usage: 'a3 00 80 00 00 00 ff ff ff ff 00 00',
    action: 0x0d,
    transfer: toInitiator,
    access: Access.read,
    source: 'SPC-4 6.36',
    execute: report.taskManagement,
  }),
  reserveIn('READ KEYS', inAction.readKeys),
  reserveIn('READ RESERVATION', inAction.readReservation),
  reserveIn('REPORT CAPABILITIES', inAction.reportCapabilities),
  reserveIn('READ FULL STATUS', inAction.readFullStatus),
  reserveOut('REGISTER', outAction.register),
  reserveOut('RESERVE', outAction.reserve),
  reserveOut('RELEASE', outAction.release),
  reserveOut('CLEAR', outAction.clear),
  reserveOut('PREEMPT', outAction.preempt),
  reserveOut('PREEMPT AND ABORT', outAction.preemptAndAbort),
  reserveOut('REGISTER AND IGNORE EXISTING KEY', outAction.registerAndIgnore),
  reserveOut('REGISTER AND MOVE', outAction.registerAndMove),
  // Third party, extents and reservation identification are obsolete and refused as reserved bits.
  legacy('RESERVE(6)', '16 00 00 00 00 00', legacyReserve.reserve6or10, false),
  legacy('RESERVE(10)', '56 00 00 00 00 00 00 00 00 00', legacyReserve.reserve6or10, false),
  legacy('RELEASE(6)', '17 00 00 00 00 00', legacyReserve.release6or10, true),
  legacy('RELEASE(10)', '57 00 00 00 00 00 00 00 00 00', legacyReserve.release6or10, true),
];
