/**
 * What a third-party copy may reach beyond the target that commands it (SPC-4 6.4; CVE-2020-28374,
 * CVE-2021-3139): the units of the other targets of this server that the same initiator could log in to
 * as it is. One that it could not is not there, and nothing tells it from one that does not exist.
 *
 * A target without CHAP is asked as at a login there, which proves no user. To one with CHAP the session has to
 * have proved, at its own, the same user with the very secret that is asked for there, and that secret
 * still has to be good at both: where the secrets differ, or one was changed, it has proved nothing there.
 */
import type { LogicalUnit } from './scsi/logical-unit.ts';
import type { CopyTarget } from './scsi/target-view.ts';
import type { ChapProof } from './session/chap-exchange.ts';
import type { Access, Peer, Target } from './target.ts';

/** Who commands the copy. */
export interface Commander extends Omit<Peer, 'user'> {
  /** What it proved at its own target; null: nothing. */
  readonly proof: ChapProof | null;
  /** As which it is at its own target. */
  readonly nexus: { readonly readOnly: boolean };
}

/**
 * `home`: the target that the session is at. Null: no such unit, or not for `who`. `known`: the answer of
 * before, to be judged again.
 */
export function reach(
  home: Target,
  targets: ReadonlyMap<string, Target>,
  who: Commander,
  naa: Uint8Array,
  known?: LogicalUnit,
): CopyTarget | null {
  // Own first: whoever else has the same designator, the host means what it sees here.
  const own = home.scsi.ownUnit(naa, known);
  if (own !== null) return { unit: own, readOnly: who.nexus.readOnly };
  if (known !== undefined) return judge(home, targets.get(known.target.name), who, known);
  let found: CopyTarget | null = null;
  for (const target of targets.values()) {
    const unit = target === home ? null : target.scsi.unitOf(naa);
    const here = unit === null ? null : judge(home, target, who, unit);
    if (here === null) continue;
    // Two media with one designator: nobody can say which is meant, and the wrong one would be overwritten.
    if (found !== null && found.unit.device !== here.unit.device) return null;
    // One device at two targets may be written where either lets this initiator write.
    if (found === null || found.readOnly) found = here;
  }
  return found;
}

function judge(
  home: Target,
  target: Target | undefined,
  who: Commander,
  unit: LogicalUnit,
): CopyTarget | null {
  if (!target?.scsi.offers(unit)) return null;
  const access = accessFrom(home, target, who);
  return access === 'none' ? null : { unit, readOnly: access === 'read-only' };
}

function accessFrom(
  home: Target,
  target: Target,
  { initiator, address, proof }: Commander,
): Access {
  const there = target.chap();
  if (there === null) return target.admits({ initiator, address, user: null });
  const here = home.chap();
  if (proof === null || here === null) return 'none';
  // Both are asked whatever the first says, so that the time does not tell which it was.
  const held = [proof.holds(here), proof.holds(there)];
  return held.includes(false) ? 'none' : target.admits({ initiator, address, user: proof.user });
}
