/**
 * What a verified write puts into each sector, so that any sector found later tells which write it
 * came from and whether it is whole:
 *
 *   byte 0    magic "PSTM"
 *        4    disk, 32 bits
 *        8    LBA, 64 bits
 *       16    sequence number of the write, 64 bits; from 1, never used twice
 *       24    round, 32 bits
 *       28    CRC-32C of the sector with this field zero
 *       32    body: bytes that follow from sequence and LBA
 *
 * All big-endian. A sector of zeros was never written: sequence 0.
 */
import { crc32c } from '@node-rs/crc32';

export const SECTOR_BYTES = 512;
const MAGIC = 0x5053544d;
const BODY_AT = 32;
const CRC_AT = 28;

export interface Stamp {
  readonly disk: number;
  readonly lba: number;
  readonly sequence: number;
  readonly round: number;
}

export function writeStamp(into: Buffer, at: number, stamp: Stamp): void {
  const sector = into.subarray(at, at + SECTOR_BYTES);
  sector.writeUInt32BE(MAGIC, 0);
  sector.writeUInt32BE(stamp.disk, 4);
  sector.writeBigUInt64BE(BigInt(stamp.lba), 8);
  sector.writeBigUInt64BE(BigInt(stamp.sequence), 16);
  sector.writeUInt32BE(stamp.round, 24);
  sector.writeUInt32BE(0, CRC_AT);
  const body = Buffer.alloc(8);
  body.writeUInt32BE(Math.imul(stamp.sequence, 0x9e3779b1) >>> 0, 0);
  body.writeUInt32BE(Math.imul(stamp.lba, 0x85ebca77) >>> 0, 4);
  sector.fill(body, BODY_AT);
  sector.writeUInt32BE(crc32c(sector), CRC_AT);
}

/** The stamp; 'unwritten' for zeros; 'torn' when it is neither. */
export function readStamp(from: Buffer, at: number): Stamp | 'unwritten' | 'torn' {
  const sector = from.subarray(at, at + SECTOR_BYTES);
  if (sector.readUInt32BE(0) !== MAGIC) return isZero(sector) ? 'unwritten' : 'torn';
  const expected = sector.readUInt32BE(CRC_AT);
  const copy = Buffer.from(sector);
  copy.writeUInt32BE(0, CRC_AT);
  if (crc32c(copy) !== expected) return 'torn';
  return {
    disk: sector.readUInt32BE(4),
    lba: Number(sector.readBigUInt64BE(8)),
    sequence: Number(sector.readBigUInt64BE(16)),
    round: sector.readUInt32BE(24),
  };
}

const ZEROS = Buffer.alloc(SECTOR_BYTES);

function isZero(sector: Buffer): boolean {
  return sector.equals(ZEROS);
}
