/**
 * RESERVE and RELEASE of SPC-2 (7.16–7.22) beside persistent reservations, with compatible handling
 * (SPC-3 5.6.3, CRH=1). A RESERVE answers when what the others wrote before has left the device.
 */
import { Access } from './command.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { settle } from './settle.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';

export function reserve6or10(unit: LogicalUnit, task: Task): void {
  if (unit.reservations.state.registrations.length === 0) {
    const before = unit.writers();
    unit.legacyHolder = task.nexus;
    settle(unit, before, () => task.finish());
    return;
  }
  if (!compatible(unit, task)) task.status = ScsiStatus.reservationConflict;
  task.finish();
}

export function release6or10(unit: LogicalUnit, task: Task): void {
  if (unit.reservations.state.registrations.length === 0) {
    // A RELEASE by a nexus that does not hold it is GOOD and does nothing (SPC-2 7.16).
    if (unit.legacyHolder === task.nexus) unit.legacyHolder = null;
  } else if (!compatible(unit, task)) task.status = ScsiStatus.reservationConflict;
  task.finish();
}

/** With registrations present both commands are GOOD without effect for who has access anyway. */
function compatible(unit: LogicalUnit, task: Task): boolean {
  if (unit.reservations.registration(task.nexus) === null) return false;
  return unit.reservations.held && !unit.reservations.conflicts(Access.write, task.nexus);
}
