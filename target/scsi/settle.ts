/**
 * What a reservation excludes must not land after the reservation was acknowledged. From the moment
 * the state changes later commands are refused; those that are with the device already are waited for
 * here, before the one who reserved is answered.
 */
import { Access } from './command.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { Nexus } from './nexus.ts';

/** Calls `done` once, when nothing of those of `before` who may not write any more is under way. */
export function settle(unit: LogicalUnit, before: readonly Nexus[], done: () => void): void {
  const excluded = before.filter((nexus) => unit.bars(Access.write, nexus));
  // Asked even when nobody here is excluded: a session that has gone may have left a write behind.
  unit.visits.idle(() => unit.target.settle(unit.lun, excluded, done));
}
