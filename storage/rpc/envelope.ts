/**
 * What stands around every message between servers. Little-endian; zero never parses.
 *
 *    0  4  CRC-32C of all that follows
 *    4  2  magic "PR"
 *    6  1  type (below)
 *    7  1  0
 *    8  2  request, result: number of the kind (messages.ts); failure: number of the error; else 0
 *   10  2  0
 *   12  4  call: 1… one more for each request of a channel and direction, round at 2^32; hello, ping: 0
 *   16  4  request: milliseconds left until the caller gives up, at least 1; else 0
 *   20  4  length of the body, b
 *   24  4  length of the payload, p
 *   28  b  body: fields as messages.ts has them
 *      p  payload: data as they are, to the end of the message
 *
 * TLS finds what is changed on the way; the checksum finds what is changed before and behind it.
 */
import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
import { get16, get32, put16, put32, Reader } from './bytes.ts';
import { limits } from './limits.ts';

export const Type = {
  /** Which versions this side speaks: the first message of each side. */
  hello: 1,
  request: 2,
  result: 3,
  failure: 4,
  /** The caller does not need it any more; the call is answered nevertheless. */
  cancel: 5,
  /** Asks for a sign of life. */
  ping: 6,
  pong: 7,
} as const;
export type Type = (typeof Type)[keyof typeof Type];

export interface Envelope {
  readonly type: Type;
  readonly number: number;
  readonly call: number;
  readonly leftMs: number;
  /** Has the body, which begins behind the head and ends before `payload`. */
  readonly message: Uint8Array;
  readonly bodyBytes: number;
  readonly payload: Uint8Array;
}

export const headBytes = 28;
const magic = 0x5250;
const crcBytes = 4;
const none: Uint8Array = new Uint8Array(0);

/** Fill the front of `head`, which has room for it before the body, and sum up. */
export function seal(
  head: Uint8Array,
  type: Type,
  number: number,
  call: number,
  leftMs: number,
  payload: Uint8Array,
): void {
  put16(head, 4, magic);
  put16(head, 6, type);
  put16(head, 8, number);
  put16(head, 10, 0);
  put32(head, 12, call);
  put32(head, 16, leftMs);
  put32(head, 20, head.length - headBytes);
  put32(head, 24, payload.length);
  const sum = crc32c(head.subarray(crcBytes));
  put32(head, 0, payload.length > 0 ? crc32c(payload, sum) : sum);
}

/** The views are of `message`. CORRUPT. */
export function unseal(message: Uint8Array): Envelope {
  if (message.length < headBytes) throw corrupt('is shorter than its head');
  if (get16(message, 4) !== magic) throw corrupt('has no magic');
  const type = message[6]!;
  if (type < Type.hello || type > Type.pong) throw corrupt(`is of no type (${type})`);
  const bodyBytes = get32(message, 20);
  const payloadBytes = get32(message, 24);
  if (bodyBytes > limits.rpcBodyBytes || headBytes + bodyBytes + payloadBytes !== message.length) {
    throw corrupt('has lengths that do not add up');
  }
  if (crc32c(message.subarray(crcBytes)) !== get32(message, 0)) {
    throw corrupt('does not match its checksum');
  }
  const leftMs = get32(message, 16);
  if (message[7] !== 0 || get16(message, 10) !== 0 || leftMs > 0 !== (type === Type.request)) {
    throw corrupt('has a field that must be zero, or not');
  }
  const call = get32(message, 12);
  const calls = type >= Type.request && type <= Type.cancel;
  if (calls !== call > 0) throw corrupt(`has the call number ${call}`);
  return {
    type: type as Type,
    number: get16(message, 8),
    call,
    leftMs,
    message,
    bodyBytes,
    payload: payloadBytes === 0 ? none : message.subarray(headBytes + bodyBytes),
  };
}

/** The body of a message, to be read. */
export const bodyOf = ({ message, bodyBytes }: Envelope, version: number): Reader =>
  new Reader(message, version, headBytes, headBytes + bodyBytes);

const corrupt = (what: string): StorageError =>
  new StorageError('CORRUPT', `a message that ${what}`);
