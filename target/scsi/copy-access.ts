/**
 * What keeps a copy from one of its units: asked when its list is checked, and again before every call into a
 * device, because each of these may change in between.
 *
 * A copy is commanded through one unit and acts for its nexus on others, of which some may belong to other
 * targets of the server. There the nexus has no port; what depends on one (access states, SPC-4 5.15.2) is
 * judged by the port that the command came through, whose number is the same at every target of a server.
 */
import { aluaRefusal } from './alua.ts';
import { Access } from './command.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { Nexus } from './nexus.ts';
import { SanitizeState } from './sanitize.ts';
import { Sense, type SenseCode } from './sense.ts';
import type { CopyTarget } from './target-view.ts';

/** RESERVATION CONFLICT, which is a status and no sense. */
export const conflict = 'conflict';

/** A command that no port runs but in an active state. */
const ordinary = { whileUnavailable: false, whileStandby: false };

/**
 * Why a copy of `nexus`, commanded through `home`, may not use `unit` for `need` now, or null. Whether the
 * initiator may use the unit at all comes first: of one that it may not use nothing else is told.
 */
export function copyRefusal(
  home: LogicalUnit,
  nexus: Nexus,
  unit: LogicalUnit,
  need: Access,
): SenseCode | typeof conflict | null {
  const found = unit === home ? ownOf(home, nexus) : otherOf(home, nexus, unit);
  if (found?.unit !== unit || unit.ejected) return Sense.cscdNotReachable;
  if (unit.bars(need, nexus)) return conflict;
  if (unit.sanitize.state !== SanitizeState.none) return Sense.cscdNotReachable;
  const { alua, aluaFixed } = unit.target;
  if (!aluaFixed && aluaRefusal(alua, nexus, ordinary) !== null) return Sense.cscdNotReachable;
  return need === Access.write ? unit.protection(found) : null;
}

/** The unit that has the command: the initiator may use it, or it could not have sent it. */
function ownOf(home: LogicalUnit, nexus: Nexus): CopyTarget | null {
  return home.background.closed ? null : { unit: home, readOnly: nexus.readOnly };
}

function otherOf(home: LogicalUnit, nexus: Nexus, unit: LogicalUnit): CopyTarget | null {
  return home.target.copyTarget(nexus, unit.device.identity.naa, unit);
}
