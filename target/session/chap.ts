/**
 * CHAP as iSCSI uses it (RFC 7143 section 12.1.3, RFC 1994): the arithmetic and the encodings.
 * Which key is sent when is the login's business (session/login.ts).
 *
 *   CHAP_A=<list>            initiator offers, target picks
 *   CHAP_A CHAP_I CHAP_C     target: algorithm, identifier 0…255, challenge
 *   CHAP_N CHAP_R            initiator: name, response = H(I ‖ secret ‖ C)
 *   [CHAP_I CHAP_C]          initiator, for mutual: challenges the target
 *   [CHAP_N CHAP_R]          target's answer
 *
 * Secrets are 12–16 characters (Windows takes no other; RFC 7143 9.2.1 asks for at least 96 bits).
 */
import { createHash, timingSafeEqual } from 'node:crypto';

/** IANA's PPP authentication algorithms that iSCSI may name: number → hash of node:crypto. */
export const ChapAlgorithm = {
  md5: 5,
  sha1: 6,
  sha256: 7,
  sha3: 8,
} as const;
export type ChapAlgorithm = (typeof ChapAlgorithm)[keyof typeof ChapAlgorithm];

const hashes: Readonly<Record<ChapAlgorithm, { name: string; bytes: number }>> = {
  5: { name: 'md5', bytes: 16 },
  6: { name: 'sha1', bytes: 20 },
  7: { name: 'sha256', bytes: 32 },
  8: { name: 'sha3-256', bytes: 32 },
};

/** Strongest first: what a target picks from an initiator's list. */
const preference: readonly ChapAlgorithm[] = [8, 7, 6, 5];

export const chapLimits = {
  secretCharactersMin: 12,
  secretCharactersMax: 16,
  /** RFC 7143 12.1.3: a challenge is at most 1024 bytes. */
  challengeBytesMax: 1024,
  /** As long as the longest hash: a longer one adds nothing, and old initiators keep 1024 text. */
  challengeBytes: 32,
  /** RFC 1994 knows no bound for names; a user name longer than this is nobody's. */
  nameBytesMax: 255,
} as const;

/** The strongest algorithm of a `CHAP_A` list that we have, or null. Unknown entries are passed over. */
export function chooseAlgorithm(list: string): ChapAlgorithm | null {
  const offered = new Set(list.split(',').map((entry) => entry.trim()));
  return preference.find((algorithm) => offered.has(String(algorithm))) ?? null;
}

/** Response to a challenge: H(identifier ‖ secret ‖ challenge). */
export function respond(
  algorithm: ChapAlgorithm,
  identifier: number,
  secret: string,
  challenge: Uint8Array,
): Buffer {
  return createHash(hashes[algorithm].name)
    .update(Uint8Array.of(identifier))
    .update(secret, 'utf8')
    .update(challenge)
    .digest();
}

/** Whether `response` is the right one; takes as long for every wrong answer of the right length. */
export function verify(
  algorithm: ChapAlgorithm,
  identifier: number,
  secret: string,
  challenge: Uint8Array,
  response: Uint8Array,
): boolean {
  const expected = respond(algorithm, identifier, secret, challenge);
  return response.length === expected.length && timingSafeEqual(expected, response);
}

/** Bytes of a large binary value (RFC 7143 6.1): `0x…` hex or `0b…` base64; null when malformed. */
export function decodeBinary(text: string, bytesMax: number): Buffer | null {
  const form = text.slice(0, 2).toLowerCase();
  const body = text.slice(2);
  if (form === '0x') return decodeHex(body, bytesMax);
  if (form === '0b') return decodeBase64(body, bytesMax);
  return null;
}

function decodeHex(body: string, bytesMax: number): Buffer | null {
  if (body.length === 0 || body.length > 2 * bytesMax || !/^[0-9a-fA-F]+$/.test(body)) return null;
  return Buffer.from(body.length % 2 === 0 ? body : `0${body}`, 'hex');
}

function decodeBase64(body: string, bytesMax: number): Buffer | null {
  const longest = 4 * Math.ceil(bytesMax / 3);
  const shape = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
  if (body.length === 0 || body.length > longest || !shape.test(body)) return null;
  const bytes = Buffer.from(body, 'base64');
  return bytes.length <= bytesMax ? bytes : null;
}

/** `0x…`, which every initiator reads. */
export const encodeBinary = (bytes: Uint8Array): string =>
  `0x${Buffer.from(bytes).toString('hex')}`;

/** An identifier from `CHAP_I`: decimal or hex, 0…255; null otherwise. */
export function decodeIdentifier(text: string): number | null {
  if (!/^(?:\d{1,3}|0[xX][0-9a-fA-F]{1,2})$/.test(text)) return null;
  const value = Number(text);
  return value <= 255 ? value : null;
}

/** Why a secret cannot be used, or null. */
export function refuseSecret(secret: string): string | null {
  const { secretCharactersMin: min, secretCharactersMax: max } = chapLimits;
  if (secret.length < min || secret.length > max)
    return `a CHAP secret has ${min} to ${max} characters`;
  if (!/^[\x21-\x7e]+$/.test(secret)) return 'a CHAP secret is printable ASCII without spaces';
  return null;
}
