/**
 * What a third-party copy may reach beyond the target that commands it (SPC-4 6.4; CVE-2020-28374,
 * CVE-2021-3139): the units of the other targets of this server that the same initiator could log in to
 * as it is. One that it could not is not there, and nothing tells it from one that does not exist.
 *
 * A target without CHAP is asked as at a login. To one with CHAP the session has to have proved the same
 * user with the same secret: where the secrets of the two targets differ, it has proved nothing there.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { CopyTarget } from './scsi/target-view.ts';
import type { Access, Peer, Target } from './target.ts';

/** `home`: the target that the session is at. Null: no such unit, or not for this peer. */
export function reach(
  home: Target,
  targets: Iterable<Target>,
  peer: Peer,
  readOnly: boolean,
  naa: Uint8Array,
): CopyTarget | null {
  const own = home.scsi.unitOf(naa);
  if (own !== null) return { unit: own, readOnly };
  for (const target of targets) {
    const unit = target.scsi.unitOf(naa);
    if (unit === null) continue;
    const access = accessFrom(home, target, peer);
    if (access !== 'none') return { unit, readOnly: access === 'read-only' };
  }
  return null;
}

function accessFrom(home: Target, target: Target, peer: Peer): Access {
  const access = target.admits(peer);
  const policy = access === 'none' ? null : target.chap();
  if (policy === null) return access;
  const proved = peer.user === null ? null : (home.chap()?.user(peer.user) ?? null);
  const wanted = peer.user === null ? null : policy.user(peer.user);
  if (proved === null || wanted === null) return 'none';
  return same(proved.secret, wanted.secret) ? access : 'none';
}

/** Digests have one length, so that the comparison tells nothing of where two secrets differ. */
function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
