/**
 * SCSI Data-Out and Data-In (RFC 7143 11.7) and Ready To Transfer (11.8).
 *
 *   Data-Out                          Data-In                           R2T
 *    0 |05h|F| reserved     |          0 |25h|F|A|.|.|.|O|U|S|.|Status|   0 |31h|1| reserved       |
 *    4 |AHS| DataSegmentLength |       4 |AHS| DataSegmentLength      |   4 | 0 | 0                |
 *    8 | LUN or reserved      |        8 | LUN or reserved            |   8 | LUN                  |
 *   16 | Initiator Task Tag   |       16 | Initiator Task Tag         |  16 | Initiator Task Tag   |
 *   20 | Target Transfer Tag  |       20 | Target Transfer Tag = -1   |  20 | Target Transfer Tag  |
 *   24 | reserved             |       24 | StatSN, with S             |  24 | StatSN (next)        |
 *   28 | ExpStatSN            |       28 | ExpCmdSN                   |  28 | ExpCmdSN             |
 *   32 | reserved             |       32 | MaxCmdSN                   |  32 | MaxCmdSN             |
 *   36 | DataSN               |       36 | DataSN                     |  36 | R2TSN                |
 *   40 | Buffer Offset        |       40 | Buffer Offset              |  40 | Buffer Offset        |
 *   44 | reserved             |       44 | Residual Count, with S     |  44 | Desired Data Length  |
 */
import { putU32, u32 } from './bytes.ts';
import { FINAL, NO_TAG, Opcode, startHeader } from './header.ts';

/** Bits of byte 1 of a Data-In PDU. */
export const DataInFlag = { final: 0x80, acknowledge: 0x40, status: 0x01 } as const;

/** Target Transfer Tag, at the same place in Data-Out, Text and NOP-Out. */
export function targetTransferTag(b: Uint8Array, at: number): number {
  return u32(b, at + 20);
}

export function dataSn(b: Uint8Array, at: number): number {
  return u32(b, at + 36);
}

export function bufferOffset(b: Uint8Array, at: number): number {
  return u32(b, at + 40);
}

/** `flags`: DataInFlag and, with status, ResidualFlag. */
export function putDataIn(
  b: Uint8Array,
  at: number,
  flags: number,
  status: number,
  dataLength: number,
  tag: number,
  sn: number,
  offset: number,
  residual: number,
): void {
  startHeader(b, at, Opcode.dataIn, flags, dataLength);
  b[at + 3] = status;
  putU32(b, at + 16, tag);
  putU32(b, at + 20, NO_TAG);
  putU32(b, at + 36, sn);
  putU32(b, at + 40, offset);
  putU32(b, at + 44, residual);
}

export function putReadyToTransfer(
  b: Uint8Array,
  at: number,
  lunHigh: number,
  lunLow: number,
  tag: number,
  transferTag: number,
  r2tSn: number,
  offset: number,
  length: number,
): void {
  startHeader(b, at, Opcode.readyToTransfer, FINAL, 0);
  putU32(b, at + 8, lunHigh);
  putU32(b, at + 12, lunLow);
  putU32(b, at + 16, tag);
  putU32(b, at + 20, transferTag);
  putU32(b, at + 36, r2tSn);
  putU32(b, at + 40, offset);
  putU32(b, at + 44, length);
}
