/**
 * Names that hosts know things by: target names (RFC 7143 4.2.7) and the NAA designator of a virtual
 * disk (SPC-4 7.8.6.6.5).
 *
 * A target's name is made once, at creation, and stored; a rename of the disk never changes it.
 */
import { normalName } from 'node-iscsi-target';
import { limits } from './limits.ts';

/** Whether target names may start with it: an IQN, short enough, ready for `:` to follow. */
export function isIqnBase(text: string): boolean {
  const form = /^iqn\.\d{4}-\d{2}\.[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[a-z0-9.:-]*[a-z0-9])?$/;
  return text.length <= limits.iqnBaseLength && form.test(text) && normalName(text) === text;
}

/** A name that no disk, living or removed, has been given: with a number added when needed. */
export function targetName(
  base: string,
  installation: string,
  disk: string,
  taken: ReadonlySet<string>,
): string {
  const plain = `${base}:${installation}:${disk}`;
  let name = plain;
  for (let n = 2; taken.has(name); n++) name = `${plain}-${n}`;
  return name;
}

/** Type 6h and the last 124 of the identity's 128 random bits, as 32 hex digits. */
export function naaHex(id: string): string {
  return `6${id.slice(1)}`;
}
