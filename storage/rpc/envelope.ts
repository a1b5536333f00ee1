/**
 * What stands around every message between servers. Little-endian; zero never parses.
 *
 *    0  2  magic "PR"
 *    2  1  type (below)
 *    3  1  0
 *    4  2  request, result: number of the kind (messages.ts); failure: number of the error; else 0
 *    6  2  0
 *    8  4  call: 1… one more for each request of a channel and direction, round at 2^32; hello, ping: 0
 *   12  4  request: milliseconds left until the caller gives up, at least 1; else 0
 *   16  4  length of the body, b
 *   20  4  length of the payload, p
 *   24  4  CRC-32C of bytes 0–23, body and payload
 *   28  b  body: fields as messages.ts has them
 *      p  payload: data as they are, to the end of the message
 *
 * TLS finds what is changed on the way; the checksum finds what is changed before and behind it.
 */
import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
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
  readonly body: Uint8Array;
  readonly payload: Uint8Array;
}

export const headBytes = 28;
const magic = 0x5250;
const crcAt = 24;

/** Fill the front of `head`, which has room for it before the body, and sum up. */
export function seal(
  head: Buffer,
  type: Type,
  number: number,
  call: number,
  leftMs: number,
  payload: Uint8Array,
): void {
  head.writeUInt16LE(magic, 0);
  head[2] = type;
  head[3] = 0;
  head.writeUInt16LE(number, 4);
  head.writeUInt16LE(0, 6);
  head.writeUInt32LE(call, 8);
  head.writeUInt32LE(leftMs, 12);
  head.writeUInt32LE(head.length - headBytes, 16);
  head.writeUInt32LE(payload.length, 20);
  let sum = crc32c(head.subarray(0, crcAt));
  if (head.length > headBytes) sum = crc32c(head.subarray(headBytes), sum);
  if (payload.length > 0) sum = crc32c(payload, sum);
  head.writeUInt32LE(sum, crcAt);
}

/** The views are of `message`. CORRUPT. */
export function unseal(message: Uint8Array): Envelope {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  if (bytes.length < headBytes) throw corrupt('is shorter than its head');
  if (bytes.readUInt16LE(0) !== magic) throw corrupt('has no magic');
  const type = bytes[2]!;
  if (type < Type.hello || type > Type.pong) throw corrupt(`is of no type (${type})`);
  const bodyBytes = bytes.readUInt32LE(16);
  const payloadBytes = bytes.readUInt32LE(20);
  if (bodyBytes > limits.rpcBodyBytes || headBytes + bodyBytes + payloadBytes !== bytes.length) {
    throw corrupt('has lengths that do not add up');
  }
  const sum = crc32c(bytes.subarray(headBytes), crc32c(bytes.subarray(0, crcAt)));
  if (sum !== bytes.readUInt32LE(crcAt)) throw corrupt('does not match its checksum');
  const leftMs = bytes.readUInt32LE(12);
  if (bytes[3] !== 0 || bytes.readUInt16LE(6) !== 0 || leftMs > 0 !== (type === Type.request)) {
    throw corrupt('has a field that must be zero, or not');
  }
  const call = bytes.readUInt32LE(8);
  const calls = type >= Type.request && type <= Type.cancel;
  if (calls !== call > 0) throw corrupt(`has the call number ${call}`);
  return {
    type: type as Type,
    number: bytes.readUInt16LE(4),
    call,
    leftMs,
    body: bytes.subarray(headBytes, headBytes + bodyBytes),
    payload: bytes.subarray(headBytes + bodyBytes),
  };
}

const corrupt = (what: string): StorageError =>
  new StorageError('CORRUPT', `a message that ${what}`);
