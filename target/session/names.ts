/**
 * iSCSI names (RFC 7143 4.2.7): `iqn.yyyy-mm.reversed.domain[:anything]`, `eui.` + 16 hex digits,
 * `naa.` + 16 or 32 hex digits. Names are compared after normalising (RFC 3722: lower case, here
 * for the ASCII that the format allows), and nothing that could break a line or a path passes.
 */
import { Rfc7143 } from '../limits.ts';

const IQN = /^iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9.-]+(:[a-z0-9.:_-]*)?$/;
const EUI = /^eui\.[0-9a-f]{16}$/;
const NAA = /^naa\.([0-9a-f]{16}|[0-9a-f]{32})$/;

/** The normal form of `name`, or null when it is no iSCSI name. */
export function normalName(name: string): string | null {
  if (name.length > Rfc7143.nameBytes) return null;
  const lower = name.toLowerCase();
  if (IQN.test(lower) || EUI.test(lower) || NAA.test(lower)) return lower;
  return null;
}

/**
 * The normal form of an initiator's name: as above, but more is let in, since hosts choose theirs
 * freely: any visible ASCII. Null when it is empty, too long or has other characters.
 */
export function initiatorName(name: string): string | null {
  if (name.length === 0 || name.length > Rfc7143.nameBytes) return null;
  return /^[\x21-\x7e]+$/.test(name) ? name.toLowerCase() : null;
}
