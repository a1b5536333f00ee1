/**
 * NOP-Out and NOP-In (RFC 7143 11.18, 11.19), Logout (11.14, 11.15), Async Message (11.9) and
 * Reject (11.17). SNACK (11.16) is never accepted at ErrorRecoveryLevel 0, so only its opcode is known.
 *
 *   NOP-Out / NOP-In                 Logout Request                   Logout Response
 *    0 |.|I|00h|1|…  / 20h|1|… |      0 |.|I|06h|1|Reason| …   |       0 |26h|1| .. | Response | ..  |
 *    8 | LUN                   |      8 | reserved             |       8 | reserved                  |
 *   16 | Initiator Task Tag    |     16 | Initiator Task Tag   |      16 | Initiator Task Tag        |
 *   20 | Target Transfer Tag   |     20 | CID (2) | reserved   |      24 | StatSN, ExpCmdSN, MaxCmdSN|
 *   24 | CmdSN / StatSN        |     24 | CmdSN, ExpStatSN     |      40 | Time2Wait | Time2Retain   |
 *   48 | ping data             |
 *
 *   Async Message                             Reject
 *    0 |32h|1| reserved                |       0 |3Fh|1| reserved | Reason | reserved    |
 *    8 | LUN                           |       8 | reserved                              |
 *   16 | FFFFFFFFh                     |      16 | FFFFFFFFh                             |
 *   24 | StatSN, ExpCmdSN, MaxCmdSN    |      24 | StatSN, ExpCmdSN, MaxCmdSN            |
 *   36 | AsyncEvent | VCode | Parameter1 (2) | 36 | DataSN/R2TSN or reserved             |
 *   40 | Parameter2 (2) | Parameter3 (2)|     48 | complete header of the bad PDU        |
 */
import { putU16, putU24, putU32, u16 } from './bytes.ts';
import { putSense } from './command.ts';
import { BHS_BYTES, FINAL, NO_TAG, Opcode, startHeader } from './header.ts';

/** Reasons of a Reject (RFC 7143 11.17.1). */
export const RejectReason = {
  dataDigestError: 0x02,
  snackReject: 0x03,
  protocolError: 0x04,
  commandNotSupported: 0x05,
  immediateCommandReject: 0x06,
  taskInProgress: 0x07,
  invalidDataAck: 0x08,
  invalidPduField: 0x09,
  outOfResources: 0x0a,
  waitingForLogout: 0x0c,
} as const;
export type RejectReason = (typeof RejectReason)[keyof typeof RejectReason];

/** Events of an Async Message (RFC 7143 11.9.1). */
export const AsyncEvent = {
  scsi: 0,
  logoutRequest: 1,
  connectionDrop: 2,
  sessionDrop: 3,
  negotiationRequest: 4,
  taskTermination: 5,
} as const;
export type AsyncEvent = (typeof AsyncEvent)[keyof typeof AsyncEvent];

/** Reasons of a Logout Request (RFC 7143 11.14.1). */
export const LogoutReason = { closeSession: 0, closeConnection: 1, recovery: 2 } as const;

/** Responses of a Logout Response (RFC 7143 11.15.1). */
export const LogoutResponse = {
  closed: 0,
  cidNotFound: 1,
  recoveryNotSupported: 2,
  cleanupFailed: 3,
} as const;
export type LogoutResponse = (typeof LogoutResponse)[keyof typeof LogoutResponse];

export function logoutReason(b: Uint8Array, at: number): number {
  return b[at + 1]! & 0x7f;
}

export function logoutCid(b: Uint8Array, at: number): number {
  return u16(b, at + 20);
}

export function putNopIn(
  b: Uint8Array,
  at: number,
  tag: number,
  transferTag: number,
  dataLength: number,
): void {
  startHeader(b, at, Opcode.nopIn, FINAL, dataLength);
  putU32(b, at + 16, tag);
  putU32(b, at + 20, transferTag);
}

export function putLogoutResponse(
  b: Uint8Array,
  at: number,
  tag: number,
  response: LogoutResponse,
): void {
  startHeader(b, at, Opcode.logoutResponse, FINAL, 0);
  b[at + 2] = response;
  putU32(b, at + 16, tag);
}

/** `parameter3`: seconds within which the initiator is to log out (events 1, 2, 3 and 4). */
export function putAsyncMessage(
  b: Uint8Array,
  at: number,
  event: AsyncEvent,
  parameter1: number,
  parameter2: number,
  parameter3: number,
): void {
  startHeader(b, at, Opcode.asyncMessage, FINAL, 0);
  putU32(b, at + 16, NO_TAG);
  b[at + 36] = event;
  putU16(b, at + 38, parameter1);
  putU16(b, at + 40, parameter2);
  putU16(b, at + 42, parameter3);
}

/** SCSI asynchronous event (event 0) of LUN 0: `sense` follows its length, `dataAt` behind `at`. */
export function putScsiEvent(b: Uint8Array, at: number, sense: Uint8Array, dataAt: number): void {
  putAsyncMessage(b, at, AsyncEvent.scsi, 0, 0, 0);
  putU24(b, at + 5, sense.length + 2);
  putSense(b, at + dataAt, sense);
}

/** Reject with the 48 bytes of the refused header as its data segment, `dataAt` behind `at`. */
export function putReject(
  b: Uint8Array,
  at: number,
  reason: RejectReason,
  bad: Uint8Array,
  badAt: number,
  dataAt: number,
): void {
  startHeader(b, at, Opcode.reject, FINAL, BHS_BYTES);
  b[at + 2] = reason;
  putU32(b, at + 16, NO_TAG);
  b.set(bad.subarray(badAt, badAt + BHS_BYTES), at + dataAt);
}
