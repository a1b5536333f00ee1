/**
 * The Basic Header Segment that every PDU starts with, and its Additional Header Segments
 * (RFC 7143 11.2).
 *
 *    byte   0             1               2-3
 *    0     |.|I| opcode  |F| opcode-specific fields            |
 *    4     |TotalAHSLength (words)| DataSegmentLength (bytes)  |
 *    8     | LUN, or opcode-specific, 8 bytes                  |
 *   16     | Initiator Task Tag                                |
 *   20     | opcode-specific, 28 bytes                         |
 *   48     | AHS: AHSLength (2) | AHSType (1) | specific (1) … |  each padded to four bytes
 *          | header digest, 4 bytes, when negotiated           |
 *          | data segment, padded to four bytes                |
 *          | data digest, 4 bytes, when negotiated and data    |
 */
import { digest, padding, putU24, u16, u24, u32 } from './bytes.ts';

export { digest, padding };

export const BHS_BYTES = 48;

/** The tag that names nothing (RFC 7143 11.2.1.8, 11.7.4, 11.18.4). */
export const NO_TAG = 0xffff_ffff;

/** Opcodes (RFC 7143 11.2.1.2). 00-1Fh come from the initiator, 20-3Fh from the target. */
export const Opcode = {
  nopOut: 0x00,
  scsiCommand: 0x01,
  taskManagementRequest: 0x02,
  loginRequest: 0x03,
  textRequest: 0x04,
  dataOut: 0x05,
  logoutRequest: 0x06,
  snackRequest: 0x10,
  nopIn: 0x20,
  scsiResponse: 0x21,
  taskManagementResponse: 0x22,
  loginResponse: 0x23,
  textResponse: 0x24,
  dataIn: 0x25,
  logoutResponse: 0x26,
  readyToTransfer: 0x31,
  asyncMessage: 0x32,
  reject: 0x3f,
} as const;
export type Opcode = (typeof Opcode)[keyof typeof Opcode];

/** Bit in byte 0: the command is not ordered by CmdSN and does not advance it. */
export const IMMEDIATE = 0x40;
/** Bit in byte 1: the last PDU of a sequence. */
export const FINAL = 0x80;

/** AHS types (RFC 7143 11.2.2.1). */
export const AhsType = { extendedCdb: 1, bidirectionalReadLength: 2 } as const;

export function opcode(b: Uint8Array, at: number): number {
  return b[at]! & 0x3f;
}

export function isImmediate(b: Uint8Array, at: number): boolean {
  return (b[at]! & IMMEDIATE) !== 0;
}

export function isFinal(b: Uint8Array, at: number): boolean {
  return (b[at + 1]! & FINAL) !== 0;
}

/** Bytes of all AHS together. */
export function ahsBytes(b: Uint8Array, at: number): number {
  return b[at + 4]! * 4;
}

export function dataSegmentLength(b: Uint8Array, at: number): number {
  return u24(b, at + 5);
}

export function lunHigh(b: Uint8Array, at: number): number {
  return u32(b, at + 8);
}

export function lunLow(b: Uint8Array, at: number): number {
  return u32(b, at + 12);
}

export function initiatorTaskTag(b: Uint8Array, at: number): number {
  return u32(b, at + 16);
}

export function cmdSn(b: Uint8Array, at: number): number {
  return u32(b, at + 24);
}

/** Zeroes a BHS and sets what every PDU from the target has. Byte 1 is `FINAL` or specific bits. */
export function startHeader(
  b: Uint8Array,
  at: number,
  op: Opcode,
  byte1: number,
  dataLength: number,
): void {
  b.fill(0, at, at + BHS_BYTES);
  b[at] = op;
  b[at + 1] = byte1;
  putU24(b, at + 5, dataLength);
}

export interface Ahs {
  readonly type: number;
  /** Where its AHS-specific bytes start (after AHSType), and how many they are (AHSLength). */
  readonly at: number;
  readonly length: number;
}

/**
 * The AHS between `at` and `end`, or null when they do not add up: a length of zero, one that
 * leaves the segment, or padding that is not there.
 */
export function readAhs(b: Uint8Array, at: number, end: number): Ahs[] | null {
  const all: Ahs[] = [];
  while (at < end) {
    if (end - at < 4) return null;
    const length = u16(b, at);
    const next = at + 3 + length + padding(3 + length);
    if (length === 0 || next > end) return null;
    all.push({ type: b[at + 2]! & 0x3f, at: at + 3, length });
    at = next;
  }
  return all;
}
