/**
 * Asymmetric logical unit access (SPC-4 5.15): the target port groups and their states, which come from a
 * port that the owner of the target provides, REPORT TARGET PORT GROUPS (6.37) and SET TARGET PORT
 * GROUPS (6.45). The answer is the same through every port.
 *
 *   group descriptor   0 PREF (7) STATE (3:0)   1 supported states   2 TARGET PORT GROUP, 2
 *                      5 STATUS CODE   7 PORT COUNT   8 … 4 bytes a port: r, r, RELATIVE IDENTIFIER, 2
 *   SET list           0 r, 4;  then 4 bytes a group: 0 STATE (3:0)   2 TARGET PORT GROUP, 2
 */
import { strict as assert } from 'node:assert';
import { putU16, putU32, u8, u16, u32 } from './bytes.ts';
import type { Command } from './command.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { Nexus } from './nexus.ts';
import { answer } from './outcome.ts';
import { Sense, type SenseCode } from './sense.ts';
import { type Task, Transfer } from './task.ts';

/** ASYMMETRIC ACCESS STATE (SPC-4 table 289). */
export const AluaState = {
  optimized: 0x0,
  nonOptimized: 0x1,
  standby: 0x2,
  unavailable: 0x3,
  offline: 0xe,
  transitioning: 0xf,
} as const;
export type AluaState = (typeof AluaState)[keyof typeof AluaState];

export interface PortGroup {
  /** Target port group, 0…65535; the one of a portal is its portal group tag. */
  readonly id: number;
  readonly state: AluaState;
  readonly preferred: boolean;
  /** Relative target port identifiers, 1…65535; a port is in one group. */
  readonly ports: readonly number[];
}

export interface AluaChange {
  readonly group: number;
  readonly state: AluaState;
}

/** Where the states come from. */
export interface Alua {
  /** As they are now; ascending by id, at least one. Asked for every command, so it must be cheap. */
  groups(): readonly PortGroup[];
  /** SET TARGET PORT GROUPS: resolves when the states are so. Absent: hosts cannot change them. */
  readonly set?: (changes: readonly AluaChange[]) => Promise<void>;
}

function optimized(id: number, port: number): PortGroup {
  return { id, state: AluaState.optimized, preferred: false, ports: [port] };
}

/** A group for each port, always active/optimized; without `ports` there is `port` alone. */
export function fixedAlua(group: number, port: number, ports?: () => readonly number[]): Alua {
  if (ports !== undefined) return { groups: () => ports().map((each) => optimized(each, each)) };
  const groups: readonly PortGroup[] = [optimized(group, port)];
  return { groups: () => groups };
}

/** TPGS of standard INQUIRY data: 01b implicit, 11b explicit as well. */
export function tpgs(alua: Alua): number {
  return alua.set === undefined ? 0x10 : 0x30;
}

/** The group that the port of `nexus` is in, or null when it is in none. */
export function groupOf(alua: Alua, nexus: Nexus): PortGroup | null {
  const groups = alua.groups();
  return groups.find((each) => each.ports.includes(nexus.relativePort)) ?? null;
}

/** Why `command` is refused through the port of `nexus` (SPC-4 5.15.2), or null. */
export function aluaRefusal(
  alua: Alua,
  nexus: Nexus,
  command: Pick<Command, 'whileStandby' | 'whileUnavailable'>,
): SenseCode | null {
  const state = groupOf(alua, nexus)?.state ?? AluaState.optimized;
  if (state === AluaState.optimized || state === AluaState.nonOptimized) return null;
  if (command.whileUnavailable) return null;
  switch (state) {
    case AluaState.standby:
      return command.whileStandby ? null : Sense.portStandby;
    case AluaState.unavailable:
      return Sense.portUnavailable;
    case AluaState.transitioning:
      return Sense.portTransitioning;
    case AluaState.offline:
      return Sense.portOffline;
  }
}

/** AO_SUP alone where nothing ever changes, else T, O, U, S, AN and AO. */
function supportedStates(unit: LogicalUnit): number {
  return unit.target.aluaFixed ? 0x01 : 0xcf;
}

/** PARAMETER DATA FORMAT: 0 length only header, 1 extended header. */
export function startPortGroups(unit: LogicalUnit, task: Task): boolean {
  return u8(task.cdb, 1) >> 5 <= 1 || unit.badField(task, 1, 7);
}

export function portGroups(unit: LogicalUnit, task: Task): void {
  const extended = u8(task.cdb, 1) >> 5 === 1;
  const groups = unit.target.alua.groups();
  const head = extended ? 8 : 4;
  const size = groups.reduce((sum, each) => sum + 8 + each.ports.length * 4, head);
  const out = new Uint8Array(size);
  putU32(out, 0, size - 4);
  if (extended) out[4] = 0x10;
  let at = head;
  for (const each of groups) {
    assert(each.ports.length <= 0xff, 'PORT COUNT is one byte');
    out[at] = (each.preferred ? 0x80 : 0) | each.state;
    out[at + 1] = supportedStates(unit);
    putU16(out, at + 2, each.id);
    out[at + 7] = each.ports.length;
    at += 8;
    for (const port of each.ports) {
      putU16(out, at + 2, port);
      at += 4;
    }
  }
  answer(task, out, u32(task.cdb, 6));
  task.finish();
}

export function startSetPortGroups(unit: LogicalUnit, task: Task): boolean {
  task.length = u32(task.cdb, 6);
  if (task.length === 0) {
    // No list is no error and changes nothing (SPC-4 6.45).
    task.transfer = Transfer.none;
    return true;
  }
  const fits =
    task.length >= 4 && task.length % 4 === 0 && task.length <= 4 + 4 * scsiLimits.setPortGroups;
  if (fits && task.expectedLength >= task.length) return true;
  unit.check(task, Sense.parameterListLength);
  return false;
}

export function setPortGroups(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  const list = dataOut?.subarray(0, task.length) ?? new Uint8Array(0);
  if (list.length < task.length) {
    unit.check(task, Sense.parameterListLength);
    task.finish();
    return;
  }
  const changes: AluaChange[] = [];
  const known = unit.target.alua.groups().map((each) => each.id);
  for (let at = 4; at < list.length; at += 4) {
    const state = u8(list, at) & 0x0f;
    const group = u16(list, at + 2);
    // Offline and transitioning are not to be asked for (SPC-4 table 310).
    let wrong = state > AluaState.unavailable ? at : null;
    if (!known.includes(group) || changes.some((each) => each.group === group)) wrong ??= at + 2;
    if (wrong !== null) {
      unit.check(task, Sense.invalidFieldInParameters, { field: { inCdb: false, byte: wrong } });
      task.finish();
      return;
    }
    changes.push({ group, state: state as AluaState });
  }
  apply(unit, task, changes);
}

function apply(unit: LogicalUnit, task: Task, changes: readonly AluaChange[]): void {
  const set = unit.target.alua.set;
  if (changes.length === 0 || set === undefined) {
    task.finish();
    return;
  }
  set(changes).then(
    () => {
      unit.target.accessChanged(task.nexus);
      task.finish();
    },
    () => {
      // The cause stays with whoever provides `set`; the host is told that it did not happen.
      unit.check(task, Sense.setPortGroupsFailed);
      task.finish();
    },
  );
}
