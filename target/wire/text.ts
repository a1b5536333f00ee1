/**
 * Text Request (RFC 7143 11.10) and Text Response (11.11), and the text format that they share with
 * Login (6.1): key=value pairs, each ended by one NUL.
 *
 *   Request                                  Response
 *    0  |.|I| 04h |F|C| reserved       |      0  | 24h |F|C| reserved                     |
 *    4  |TotalAHSLength| DataSegmentLength|   4  |TotalAHSLength| DataSegmentLength       |
 *    8  | LUN or reserved              |      8  | LUN or reserved                        |
 *   16  | Initiator Task Tag           |     16  | Initiator Task Tag                     |
 *   20  | Target Transfer Tag          |     20  | Target Transfer Tag                    |
 *   24  | CmdSN                        |     24  | StatSN                                 |
 *   28  | ExpStatSN                    |     28  | ExpCmdSN                               |
 *   32  | reserved                     |     32  | MaxCmdSN                               |
 *   48  | key=value NUL …              |     48  | key=value NUL …                        |
 */
import { Rfc7143 } from '../limits.ts';
import { putU32, u32 } from './bytes.ts';
import { initiatorTaskTag, NO_TAG, Opcode, startHeader } from './header.ts';
import { TextFlag } from './login.ts';

export interface TextRequest {
  readonly final: boolean;
  readonly continues: boolean;
  readonly tag: number;
  readonly transferTag: number;
}

export function readTextRequest(b: Uint8Array, at: number): TextRequest {
  const byte1 = b[at + 1]!;
  return {
    final: (byte1 & TextFlag.final) !== 0,
    continues: (byte1 & TextFlag.continues) !== 0,
    tag: initiatorTaskTag(b, at),
    transferTag: u32(b, at + 20),
  };
}

/** `transferTag` NO_TAG: this is the end of the exchange. */
export function putTextResponse(
  b: Uint8Array,
  at: number,
  tag: number,
  transferTag: number,
  continues: boolean,
  dataLength: number,
): void {
  const byte1 =
    (transferTag === NO_TAG ? TextFlag.final : 0) | (continues ? TextFlag.continues : 0);
  startHeader(b, at, Opcode.textResponse, byte1, dataLength);
  putU32(b, at + 16, tag);
  putU32(b, at + 20, transferTag);
}

export type Pair = readonly [key: string, value: string];

export class TextError extends Error {
  readonly code: 'TEXT_MALFORMED' | 'TEXT_TOO_LONG';

  constructor(code: TextError['code'], message: string) {
    super(message);
    this.name = 'TextError';
    this.code = code;
  }
}

/** Keys: a letter, then letters, digits and . - + @ _ (6.1); X# keys as well (13.23). */
const KEY = /^[A-Za-z][A-Za-z0-9.\-+@_#/]*$/;
const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

export interface TextLimits {
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Keys whose values may be longer than the rest, and how long. */
  readonly longValues?: Readonly<Record<string, number>>;
}

/** Splits the whole text of an exchange into pairs. Throws TextError. */
export function readPairs(text: Uint8Array, limits: TextLimits): Pair[] {
  const pairs: Pair[] = [];
  let at = 0;
  while (at < text.length) {
    const end = text.indexOf(0, at);
    if (end < 0) throw new TextError('TEXT_MALFORMED', 'a key=value pair does not end with NUL');
    // Some initiators pad with more NULs than one; an empty pair says nothing.
    if (end > at) pairs.push(readPair(text.subarray(at, end), limits));
    at = end + 1;
  }
  return pairs;
}

function readPair(bytes: Uint8Array, limits: TextLimits): Pair {
  const equals = bytes.indexOf(0x3d);
  if (equals < 1) throw new TextError('TEXT_MALFORMED', 'a pair has no key or no "="');
  if (equals > limits.keyBytes) throw new TextError('TEXT_TOO_LONG', 'a key is too long');
  let key: string;
  let value: string;
  try {
    key = decoder.decode(bytes.subarray(0, equals));
    value = decoder.decode(bytes.subarray(equals + 1));
  } catch {
    throw new TextError('TEXT_MALFORMED', 'text is not UTF-8');
  }
  if (!KEY.test(key))
    throw new TextError('TEXT_MALFORMED', 'a key has a character it may not have');
  if (bytes.length - equals - 1 > valueBytes(key, limits)) {
    throw new TextError('TEXT_TOO_LONG', 'a value is too long');
  }
  return [key, value];
}

function valueBytes(key: string, limits: TextLimits): number {
  const { longValues, valueBytes: most } = limits;
  return longValues !== undefined && Object.hasOwn(longValues, key) ? longValues[key]! : most;
}

/**
 * Whether an owner's string may be sent as a value: not empty, short enough, and no control character.
 * A NUL would start another key; CR and LF would start another line in an initiator's list or log.
 */
export function isTextValue(value: string): boolean {
  const bytes = Buffer.byteLength(value);
  return bytes > 0 && bytes <= Rfc7143.valueBytes && !/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u.test(value);
}

export function writePairs(pairs: readonly Pair[]): Uint8Array {
  return encoder.encode(pairs.map(([key, value]) => `${key}=${value}\0`).join(''));
}
