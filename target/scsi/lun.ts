/**
 * The 8-byte logical unit number (SAM-5 4.7), handled as two 32-bit halves.
 *
 *   peripheral device  00b | bus identifier (6) = 0 | LUN (8)    | 6 zero bytes      LUN 0…255
 *   flat space         01b | LUN (14)                            | 6 zero bytes      LUN 0…16383
 *   extended           11b | length 00b | method 0001b | 01h     | 6 zero bytes      REPORT LUNS
 *
 * Every LUN is accepted in either of the first two forms; REPORT LUNS names those below 256 in the
 * first and the others in the second, as initiators expect.
 */
import { putU16 } from './bytes.ts';

/** What is no logical unit's number; the values lie outside of 0…16383. */
export const LunKind = { none: -1, reportLuns: -2 } as const;

/** 0…16383, or a LunKind. */
export function decodeLun(high: number, low: number): number {
  if (low !== 0 || (high & 0xffff) !== 0) return LunKind.none;
  const first = high >>> 16;
  if (first === 0xc101) return LunKind.reportLuns;
  const method = first >>> 14;
  if (method === 1) return first & 0x3fff;
  if (method === 0 && first <= 0xff) return first;
  return LunKind.none;
}

/** Writes the 8-byte form of `lun` at `at`; the bytes there are zero. */
export function putLun(out: Uint8Array, at: number, lun: number): void {
  putU16(out, at, lun <= 0xff ? lun : 0x4000 | lun);
}
