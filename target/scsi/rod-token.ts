/**
 * A ROD token: what stands for data in POPULATE TOKEN and WRITE USING TOKEN (SPC-4 5.17.6.5, SBC-3 4.21).
 *
 *    0  ROD TYPE, 4                        48  NUMBER OF BYTES REPRESENTED, 16
 *    6  ROD TOKEN LENGTH, 2 = 01F8h        96  device type specific data, 32: LOGICAL BLOCK LENGTH (4),
 *    8  COPY MANAGER ROD TOKEN                 P_TYPE, LBPPBE, LBPME (7) LBPRZ (6), r
 *       IDENTIFIER, 8                     128  TARGET DEVICE DESCRIPTOR, 128
 *   16  CREATOR LOGICAL UNIT              256  EXTENDED ROD TOKEN DATA, 256: from the source of chance
 *       DESCRIPTOR, 32 (CSCD E4h)
 *
 * The block device zero token has type and length only; all else of it is reserved. Of ours no byte means
 * anything to the holder: a token is found by its identifier and must be the same in all 512 bytes.
 */
import { nullPadded, putU16, putU24, putU32, putU64 } from './bytes.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { SenseCode } from './sense.ts';

export const rodTokenLength = 512;
/** ROD TOKEN LENGTH: what follows the field. */
export const rodTokenRest = rodTokenLength - 8;
const targetDescriptorLength = 128;
export const rodRandomLength = 256;

/** ROD types that are known here (SPC-4 table 110). */
export const RodType = { changeVulnerable: 0x0080_0001, zero: 0xffff_0001 } as const;

/** A piece of a medium, in bytes. */
export interface Extent {
  readonly from: number;
  readonly bytes: number;
}

export class RodToken {
  readonly bytes: Uint8Array;
  readonly initiator: string;
  /** NAA designator of the unit whose data it stands for. */
  readonly naa: Uint8Array;
  /** The data, in the order of the token. */
  readonly extents: readonly Extent[];
  /** How much data that is. */
  readonly size: number;
  /** Where the last extent on the medium ends. */
  readonly end: number;
  readonly timeoutMs: number;
  /** Null while it lives. */
  ended: SenseCode | null = null;
  /** Commands that are at work with it; its time does not run meanwhile. */
  uses = 0;
  /** By the clock of its store. */
  expiresMs = 0;
  /** Where the extents begin and end, ascending: numbers, because every write looks through them. */
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;

  constructor(
    bytes: Uint8Array,
    initiator: string,
    naa: Uint8Array,
    extents: readonly Extent[],
    timeoutMs: number,
  ) {
    this.bytes = bytes;
    this.initiator = initiator;
    this.naa = naa;
    this.extents = extents.filter((each) => each.bytes > 0);
    this.size = extents.reduce((sum, each) => sum + each.bytes, 0);
    this.timeoutMs = timeoutMs;
    const sorted = this.extents.toSorted((a, b) => a.from - b.from);
    this.#starts = Float64Array.from(sorted, (each) => each.from);
    this.#ends = Float64Array.from(sorted, (each) => each.from + each.bytes);
    this.end = this.#ends.at(-1) ?? 0;
  }

  /** Whether a byte of [offset, offset + length) is one that it stands for. */
  covers(offset: number, length: number): boolean {
    const starts = this.#starts;
    const ends = this.#ends;
    const after = offset + length;
    if (offset >= this.end || starts.length === 0 || after <= (starts[0] ?? 0)) return false;
    let low = 0;
    let high = starts.length;
    // The first extent that ends after `offset`; extents do not overlap.
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return length > 0 && low < starts.length && (starts[low] ?? 0) < after;
  }
}

/** The bytes of a token for `size` bytes of `unit`; `chance` are 8 + `rodRandomLength` random ones. */
export function encodeRodToken(unit: LogicalUnit, size: number, chance: Uint8Array): Uint8Array {
  const { device } = unit;
  const out = new Uint8Array(rodTokenLength);
  putU32(out, 0, RodType.changeVulnerable);
  putU16(out, 6, rodTokenRest);
  out.set(chance.subarray(0, 8), 8);
  out.set([0xe4, 0, 0, 0, 0x01, 0x03, 0, 16], 16);
  out.set(device.identity.naa, 24);
  putU24(out, 45, device.sectorBytes);
  putU64(out, 56, size);
  putU32(out, 96, device.sectorBytes);
  out[101] = Math.log2(device.physicalSectorBytes / device.sectorBytes);
  if (device.capabilities.thin) out[102] = 0xc0;
  // A SCSI name string of the target device (SPC-4 7.8.6.11), where it has room.
  const name = nullPadded(unit.target.name);
  if (name.length <= targetDescriptorLength - 4) {
    out.set([0x53, 0xa8, 0, name.length], 128);
    out.set(name, 132);
  }
  out.set(chance.subarray(8, 8 + rodRandomLength), 256);
  return out;
}
