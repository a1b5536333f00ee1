/**
 * Login Request (RFC 7143 11.12) and Login Response (11.13).
 *
 *   Request                                              Response
 *    0 |.|1| 03h |T|C|. .|CSG|NSG|VersionMax|VersionMin|   0 | 23h |T|C|. .|CSG|NSG|VersionMax|VersionActive|
 *    4 |TotalAHSLength| DataSegmentLength              |   4 |TotalAHSLength| DataSegmentLength           |
 *    8 | ISID (6) | TSIH (2)                           |   8 | ISID (6) | TSIH (2)                        |
 *   16 | Initiator Task Tag                            |  16 | Initiator Task Tag                         |
 *   20 | CID (2) | reserved (2)                        |  20 | reserved                                   |
 *   24 | CmdSN                                         |  24 | StatSN                                     |
 *   28 | ExpStatSN                                     |  28 | ExpCmdSN                                   |
 *   32 | reserved, 16 bytes                            |  32 | MaxCmdSN                                   |
 *   48 | text: key=value NUL …                         |  36 | Status-Class | Status-Detail | reserved    |
 */
import { putU16, putU32, u16, u32 } from './bytes.ts';
import { ahsBytes, cmdSn, initiatorTaskTag, Opcode, startHeader } from './header.ts';

/** Stages of a login (CSG, NSG: RFC 7143 11.12.3). 2 is reserved. */
export const Stage = { security: 0, operational: 1, fullFeature: 3 } as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

/** Status-Class in the high byte, Status-Detail in the low one (RFC 7143 11.13.5). */
export const LoginStatus = {
  success: 0x0000,
  movedTemporarily: 0x0101,
  movedPermanently: 0x0102,
  initiatorError: 0x0200,
  authenticationFailure: 0x0201,
  authorizationFailure: 0x0202,
  notFound: 0x0203,
  targetRemoved: 0x0204,
  unsupportedVersion: 0x0205,
  tooManyConnections: 0x0206,
  missingParameter: 0x0207,
  cannotIncludeInSession: 0x0208,
  sessionTypeNotSupported: 0x0209,
  sessionDoesNotExist: 0x020a,
  invalidDuringLogin: 0x020b,
  targetError: 0x0300,
  serviceUnavailable: 0x0301,
  outOfResources: 0x0302,
} as const;
export type LoginStatus = (typeof LoginStatus)[keyof typeof LoginStatus];

/** Bits of byte 1, in Login and Text PDUs. */
export const TextFlag = { transit: 0x80, final: 0x80, continues: 0x40 } as const;

/** The version of the protocol that RFC 7143 describes (11.12.4). */
export const PROTOCOL_VERSION = 0;

export interface LoginRequest {
  readonly transit: boolean;
  readonly continues: boolean;
  readonly currentStage: number;
  readonly nextStage: number;
  readonly versionMin: number;
  /** Six bytes as twelve hex digits. */
  readonly isid: string;
  readonly tsih: number;
  readonly tag: number;
  readonly cid: number;
  readonly cmdSn: number;
  readonly expStatSn: number;
  readonly hasAhs: boolean;
}

export function readLoginRequest(b: Uint8Array, at: number): LoginRequest {
  const byte1 = b[at + 1]!;
  return {
    transit: (byte1 & TextFlag.transit) !== 0,
    continues: (byte1 & TextFlag.continues) !== 0,
    currentStage: (byte1 >> 2) & 3,
    nextStage: byte1 & 3,
    versionMin: b[at + 3]!,
    isid: hex(b, at + 8, 6),
    tsih: u16(b, at + 14),
    tag: initiatorTaskTag(b, at),
    cid: u16(b, at + 20),
    cmdSn: cmdSn(b, at),
    expStatSn: u32(b, at + 28),
    hasAhs: ahsBytes(b, at) !== 0,
  };
}

export interface LoginResponse {
  readonly transit: boolean;
  readonly continues: boolean;
  readonly currentStage: number;
  readonly nextStage: number;
  readonly isid: string;
  readonly tsih: number;
  readonly tag: number;
  readonly status: LoginStatus;
  readonly dataLength: number;
}

/** StatSN, ExpCmdSN and MaxCmdSN are the connection's to fill in. */
export function putLoginResponse(b: Uint8Array, at: number, r: LoginResponse): void {
  const byte1 =
    (r.transit ? TextFlag.transit : 0) |
    (r.continues ? TextFlag.continues : 0) |
    (r.currentStage << 2) |
    (r.transit ? r.nextStage : 0);
  startHeader(b, at, Opcode.loginResponse, byte1, r.dataLength);
  b[at + 2] = PROTOCOL_VERSION;
  b[at + 3] = PROTOCOL_VERSION;
  for (let i = 0; i < 6; i++) b[at + 8 + i] = Number.parseInt(r.isid.slice(2 * i, 2 * i + 2), 16);
  putU16(b, at + 14, r.tsih);
  putU32(b, at + 16, r.tag);
  putU16(b, at + 36, r.status);
}

function hex(b: Uint8Array, at: number, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += b[at + i]!.toString(16).padStart(2, '0');
  return text;
}
