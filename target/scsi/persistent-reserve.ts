/**
 * PERSISTENT RESERVE IN and OUT (SPC-4 6.15, 6.16) (RESERVE/RELEASE of SPC-2: legacy-reserve.ts).
 *
 *   IN   5Eh, SERVICE ACTION (4:0), r…, ALLOCATION LENGTH (2) at 7, CONTROL
 *   OUT  5Fh, SERVICE ACTION (4:0), SCOPE (7:4) | TYPE (3:0), r…, PARAMETER LIST LENGTH (4) at 5, CONTROL
 *
 *   parameter list, 24 bytes                     REGISTER AND MOVE
 *    0  RESERVATION KEY, 8                         0  RESERVATION KEY, 8
 *    8  SERVICE ACTION RESERVATION KEY, 8          8  SERVICE ACTION RESERVATION KEY, 8
 *   20  SPEC_I_PT (3) ALL_TG_PT (2) APTPL (0)     17  UNREG (1) APTPL (0)
 *                                                 18  RELATIVE TARGET PORT IDENTIFIER, 2
 *   24  TRANSPORTIDS LENGTH, 4; 28  TransportIDs    20  TRANSPORTID LENGTH, 4;  24  TransportID
 *       (both only with SPEC_I_PT)
 */
import { nullPadded, putU16, putU32, putU64Big, u8, u16, u32, u64Big } from './bytes.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { Nexus } from './nexus.ts';
import { answer } from './outcome.ts';
import type { Registration } from './reservation-store.ts';
import {
  type Change,
  holds,
  identify,
  isAllRegistrants,
  isReservationType,
} from './reservations.ts';
import * as actions from './reserve-out.ts';
import { Sense } from './sense.ts';
import { settle } from './settle.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';
import { parseTransportId } from './transport-id.ts';

export const ReserveInAction = {
  readKeys: 0,
  readReservation: 1,
  reportCapabilities: 2,
  readFullStatus: 3,
} as const;

export const ReserveOutAction = {
  register: 0,
  reserve: 1,
  release: 2,
  clear: 3,
  preempt: 4,
  preemptAndAbort: 5,
  registerAndIgnore: 6,
  registerAndMove: 7,
} as const;

/** SPC-2 5.5.1: while a RESERVE is held every persistent reservation command conflicts, its own too. */
function legacyConflict(unit: LogicalUnit, task: Task): boolean {
  if (unit.legacyHolder === null) return false;
  task.status = ScsiStatus.reservationConflict;
  return true;
}

export function startReserveIn(unit: LogicalUnit, task: Task): boolean {
  return !legacyConflict(unit, task);
}

export function reserveIn(unit: LogicalUnit, task: Task): void {
  const action = u8(task.cdb, 1) & 0x1f;
  const { state } = unit.reservations;
  let out: Uint8Array;
  if (action === ReserveInAction.readKeys) {
    out = new Uint8Array(8 + state.registrations.length * 8);
    state.registrations.forEach((each, i) => {
      putU64Big(out, 8 + i * 8, each.key);
    });
  } else if (action === ReserveInAction.readReservation) out = reservationData(unit);
  else if (action === ReserveInAction.reportCapabilities) out = capabilities(unit);
  else out = fullStatus(state.registrations, unit);
  if (action !== ReserveInAction.reportCapabilities) {
    putU32(out, 0, state.generation);
    putU32(out, 4, out.length - 8);
  }
  answer(task, out, u16(task.cdb, 7));
  task.finish();
}

/** READ RESERVATION: 8 key, 16 …, 21 SCOPE | TYPE. The key is zero with all registrants types. */
function reservationData(unit: LogicalUnit): Uint8Array {
  const { holder, registrations } = unit.reservations.state;
  if (holder === null) return new Uint8Array(8);
  const out = new Uint8Array(24);
  const mine = registrations.find((each) => holds(unit.reservations.state, each));
  if (mine && !isAllRegistrants(holder.type)) putU64Big(out, 8, mine.key);
  out[21] = holder.type;
  return out;
}

/** REPORT CAPABILITIES: CRH, SIP_C, ATP_C, PTPL_C; TMV, PTPL_A; the mask of the six types. */
function capabilities(unit: LogicalUnit): Uint8Array {
  const out = new Uint8Array(8);
  putU16(out, 0, 8);
  out[2] = 0x1c | (unit.reservations.durable ? 0x01 : 0);
  out[3] = 0x80 | (unit.reservations.durable && unit.reservations.state.persist ? 0x01 : 0);
  out[4] = 0xea;
  out[5] = 0x01;
  return out;
}

/** READ FULL STATUS, a descriptor each: 0 key, 12 R_HOLDER, 13 SCOPE | TYPE, 18 port, 20 length, 24 TransportID. */
function fullStatus(registrations: readonly Registration[], unit: LogicalUnit): Uint8Array {
  const { state } = unit.reservations;
  const ids = registrations.map((each) => transportId(each.initiatorPort));
  const out = new Uint8Array(8 + ids.reduce((sum, id) => sum + 24 + id.length, 0));
  let at = 8;
  registrations.forEach((each, i) => {
    const id = ids[i] ?? new Uint8Array(0);
    putU64Big(out, at, each.key);
    if (state.holder !== null && holds(state, each)) {
      out[at + 12] = 0x01;
      out[at + 13] = state.holder.type;
    }
    putU16(out, at + 18, each.relativePort);
    putU32(out, at + 20, id.length);
    out.set(id, at + 24);
    at += 24 + id.length;
  });
  return out;
}

/** iSCSI initiator port TransportID (SPC-4 7.6.4.6): format 01b, protocol 5; at least 24 bytes. */
function transportId(port: string): Uint8Array {
  const name = nullPadded(port);
  const out = new Uint8Array(4 + Math.max(20, name.length));
  out[0] = 0x45;
  putU16(out, 2, out.length - 4);
  out.set(name, 4);
  return out;
}

export function startReserveOut(unit: LogicalUnit, task: Task): boolean {
  if (legacyConflict(unit, task)) return false;
  const action = u8(task.cdb, 1) & 0x1f;
  const usesType =
    action === ReserveOutAction.reserve ||
    action === ReserveOutAction.release ||
    action === ReserveOutAction.preempt ||
    action === ReserveOutAction.preemptAndAbort;
  if (usesType) {
    // Only the LU scope exists (SPC-4 table 66).
    if (u8(task.cdb, 2) >> 4 !== 0) return unit.badField(task, 2, 7);
    if (!isReservationType(u8(task.cdb, 2) & 0x0f)) return unit.badField(task, 2, 3);
  }
  task.length = u32(task.cdb, 5);
  // With SPEC_I_PT, which stands in the list, more than 24 bytes follow.
  const longer =
    action === ReserveOutAction.registerAndMove || action === ReserveOutAction.register;
  const fits = longer
    ? task.length >= 24 && task.length <= scsiLimits.reserveOutBytes
    : task.length === 24;
  if (!fits || task.expectedLength < task.length) {
    unit.check(task, Sense.parameterListLength);
    return false;
  }
  return true;
}

export function reserveOut(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  const list = dataOut ?? new Uint8Array(0);
  const action = u8(task.cdb, 1) & 0x1f;
  const move = action === ReserveOutAction.registerAndMove;
  const specified = action === ReserveOutAction.register && (u8(list, 20) & specifyPorts) !== 0;
  if (list.length < task.length || (!move && !specified && task.length !== 24)) {
    unit.check(task, Sense.parameterListLength);
    task.finish();
    return;
  }
  const wrong = checkList(unit, action, list, move);
  const ports = specified ? portsOf(list) : [];
  const target = move ? moveOf(list) : null;
  if (wrong !== null || ports === null || (move && target === null)) {
    const parameter = wrong ?? 24;
    refuse(unit, task, { refused: 'sense', code: Sense.invalidFieldInParameters, parameter });
    task.finish();
    return;
  }
  const who = identify(task.nexus);
  const out: actions.ReserveOut = {
    who,
    key: u64Big(list, 0),
    serviceKey: u64Big(list, 8),
    type: u8(task.cdb, 2) & 0x0f,
    persist: (u8(list, move ? 17 : 20) & 1) !== 0,
    also: registers(action) ? further(unit, who, ports, u8(list, 20)) : [],
    specified,
  };
  perform(unit, task, action, out, target);
}

const specifyPorts = 0x08;
const allTargetPorts = 0x04;

function registers(action: number): boolean {
  return action === ReserveOutAction.register || action === ReserveOutAction.registerAndIgnore;
}

/** The nexuses besides `who`: its own port and those named, through this target port or through all. */
function further(
  unit: LogicalUnit,
  who: actions.ReserveOut['who'],
  ports: readonly string[],
  flags: number,
): actions.ReserveOut['who'][] {
  const all = (flags & allTargetPorts) !== 0;
  const through = all ? unit.target.ports() : [who.relativePort];
  const found: actions.ReserveOut['who'][] = [];
  for (const initiatorPort of [who.initiatorPort, ...ports]) {
    for (const relativePort of through) {
      if (initiatorPort !== who.initiatorPort || relativePort !== who.relativePort) {
        found.push({ initiatorPort, relativePort });
      }
    }
  }
  return found;
}

/** The initiator ports that SPEC_I_PT names, or null when the list of TransportIDs is not sound. */
function portsOf(list: Uint8Array): string[] | null {
  if (list.length < 28 || u32(list, 24) !== list.length - 28) return null;
  const ports: string[] = [];
  for (let at = 28; at < list.length; ) {
    const end = at + 4 + u16(list, at + 2);
    const port = end <= list.length ? parseTransportId(list.subarray(at, end)) : null;
    if (port === null || ports.includes(port)) return null;
    ports.push(port);
    at = end;
  }
  return ports;
}

/** The byte of the list that asks for what is not offered, or null. */
function checkList(
  unit: LogicalUnit,
  action: number,
  list: Uint8Array,
  move: boolean,
): number | null {
  if (!registers(action) && !move) return null;
  const flags = u8(list, move ? 17 : 20);
  // SPEC_I_PT is of REGISTER alone (SPC-4 6.16.3).
  const ignore = action === ReserveOutAction.registerAndIgnore;
  if (ignore && (flags & specifyPorts) !== 0) return 20;
  // APTPL is a promise: taken only when the store keeps it.
  if ((flags & 0x01) !== 0 && !unit.reservations.durable) return move ? 17 : 20;
  if (!move) return null;
  // SPC-4 5.13.8 refuses a port that does not exist.
  if (!unit.target.ports().includes(u16(list, 18))) return 18;
  return u32(list, 20) === list.length - 24 ? null : 20;
}

function moveOf(list: Uint8Array): actions.Move | null {
  const port = parseTransportId(list.subarray(24));
  if (port === null) return null;
  return {
    to: { initiatorPort: port, relativePort: u16(list, 18) },
    unregister: (u8(list, 17) & 0x02) !== 0,
  };
}

function perform(
  unit: LogicalUnit,
  task: Task,
  action: number,
  out: actions.ReserveOut,
  move: actions.Move | null,
): void {
  let refusal: actions.Refusal | null = null;
  let before: readonly Nexus[] = [];
  unit.reservations.change(
    (state) => {
      before = unit.writers();
      const outcome = decide(state, action, out, move);
      if (outcome === actions.unchanged) return null;
      if ('refused' in outcome) {
        refusal = outcome;
        return null;
      }
      return outcome;
    },
    (error, change) => {
      if (error !== null) unit.check(task, Sense.internalTargetFailure);
      else if (refusal !== null) refuse(unit, task, refusal);
      else if (change !== null) {
        abortAll(unit, task, change, () => settle(unit, before, () => task.finish()));
        return;
      }
      task.finish();
    },
  );
}

function decide(
  state: Change['state'],
  action: number,
  out: actions.ReserveOut,
  move: actions.Move | null,
): actions.Outcome {
  switch (action) {
    case ReserveOutAction.register:
      return actions.register(state, out, false);
    case ReserveOutAction.registerAndIgnore:
      return actions.register(state, out, true);
    case ReserveOutAction.reserve:
      return actions.reserve(state, out);
    case ReserveOutAction.release:
      return actions.release(state, out);
    case ReserveOutAction.clear:
      return actions.clear(state, out);
    case ReserveOutAction.preempt:
      return actions.preempt(state, out, false);
    case ReserveOutAction.preemptAndAbort:
      return actions.preempt(state, out, true);
    default:
      return move === null ? actions.unchanged : actions.registerAndMove(state, out, move);
  }
}

/** `done` when nothing of the preempted tasks can reach the medium any more. */
function abortAll(unit: LogicalUnit, task: Task, change: Change, done: () => void): void {
  const nexuses = change.abort
    .flatMap((each) => unit.nexusesOf(each.initiatorPort, each.relativePort))
    .filter((nexus) => nexus !== task.nexus);
  let left = nexuses.length;
  if (left === 0) {
    done();
    return;
  }
  for (const nexus of nexuses) {
    unit.target.abortTasks(nexus, unit.lun, () => {
      left--;
      if (left === 0) done();
    });
  }
}

function refuse(unit: LogicalUnit, task: Task, refusal: actions.Refusal): void {
  if (refusal.refused === 'conflict') {
    task.status = ScsiStatus.reservationConflict;
    return;
  }
  const { parameter } = refusal;
  const detail = parameter === null ? {} : { field: { inCdb: false, byte: parameter } };
  unit.check(task, refusal.code, detail);
}
