/**
 * SCSI Command (RFC 7143 11.3) and SCSI Response (11.4).
 *
 *   SCSI Command                                    SCSI Response
 *    0  |.|I| 01h |F|R|W|. .|ATTR| reserved |        0  | 21h |1|. .|o|u|O|U|.| Response | Status |
 *    4  |TotalAHSLength| DataSegmentLength  |        4  |TotalAHSLength| DataSegmentLength        |
 *    8  | LUN                               |        8  | reserved                                |
 *   16  | Initiator Task Tag                |       16  | Initiator Task Tag                      |
 *   20  | Expected Data Transfer Length     |       20  | SNACK Tag or reserved                   |
 *   24  | CmdSN                             |       24  | StatSN                                  |
 *   28  | ExpStatSN                         |       28  | ExpCmdSN                                |
 *   32  | CDB, 16 bytes                     |       32  | MaxCmdSN                                |
 *   48  | AHS: extended CDB, bidi length    |       36  | ExpDataSN                               |
 *       | immediate data                    |       40  | Bidirectional Read Residual Count       |
 *                                                   44  | Residual Count                          |
 *                                                   48  | SenseLength (2), Sense Data             |
 *
 * The hot path reads fields in place and writes with numbers: no object per PDU.
 */
import { putU16, putU32, u32 } from './bytes.ts';
import { AhsType, BHS_BYTES, FINAL, Opcode, readAhs, startHeader } from './header.ts';

/** Bits of byte 1 of a SCSI Command. */
export const CommandFlag = { final: 0x80, read: 0x40, write: 0x20, attributes: 0x07 } as const;

/** Task attributes (RFC 7143 11.3.1). */
export const TaskAttribute = {
  untagged: 0,
  simple: 1,
  ordered: 2,
  headOfQueue: 3,
  aca: 4,
} as const;

/** Bits of byte 1 of a SCSI Response and of a Data-In with status (11.4.1, 11.7.3). */
export const ResidualFlag = { none: 0, overflow: 0x04, underflow: 0x02 } as const;
export type ResidualFlag = (typeof ResidualFlag)[keyof typeof ResidualFlag];

/** Response codes (RFC 7143 11.4.3). */
export const ServiceResponse = { completed: 0x00, targetFailure: 0x01 } as const;

export const CDB_BYTES = 16;
export const CDB_AT = 32;
/** The longest CDB there is: 260 bytes (SPC-4 4.2.3, variable length). */
export const CDB_BYTES_MAX = 260;

export function expectedLength(b: Uint8Array, at: number): number {
  return u32(b, at + 20);
}

/**
 * The CDB of a command whose AHS span `ahs` bytes: the 16 bytes of the header, followed by those of
 * an extended-CDB AHS (AHSLength counts one reserved byte before them, 11.2.2.3). Null: the AHS are
 * malformed, of an unknown type, or ask for a bidirectional transfer, which is not offered.
 */
export function readLongCdb(b: Uint8Array, at: number, ahs: number): Uint8Array | null {
  const all = readAhs(b, at + BHS_BYTES, at + BHS_BYTES + ahs);
  if (all === null || all.length !== 1) return null;
  const only = all[0]!;
  if (only.type !== AhsType.extendedCdb) return null;
  const extra = only.length - 1;
  if (extra < 1 || CDB_BYTES + extra > CDB_BYTES_MAX) return null;
  const cdb = new Uint8Array(CDB_BYTES + extra);
  cdb.set(b.subarray(at + CDB_AT, at + CDB_AT + CDB_BYTES));
  cdb.set(b.subarray(only.at + 1, only.at + 1 + extra), CDB_BYTES);
  return cdb;
}

/** The header of a SCSI Response; `dataLength` is that of SenseLength and sense, 0 without sense. */
export function putScsiResponse(
  b: Uint8Array,
  at: number,
  response: number,
  status: number,
  dataLength: number,
  tag: number,
  residualFlag: number,
  residual: number,
  expDataSn: number,
): void {
  startHeader(b, at, Opcode.scsiResponse, FINAL | residualFlag, dataLength);
  b[at + 2] = response;
  b[at + 3] = status;
  putU32(b, at + 16, tag);
  putU32(b, at + 36, expDataSn);
  putU32(b, at + 44, residual);
}

/** Data segment of a SCSI Response with sense: a two-byte length, then the sense (11.4.7). */
export function putSense(b: Uint8Array, at: number, sense: Uint8Array): void {
  putU16(b, at, sense.length);
  b.set(sense, at + 2);
}
