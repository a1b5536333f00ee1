/**
 * A record of the journal: a copy of a group that went to the data disks of a segment, kept on the
 * disk that holds the segment's parity until that is written. One block of 4 KiB, then the data.
 * Little-endian:
 *
 *      0  8  magic "PETALJNL"
 *      8  4  format, 1
 *     12  4  length, 96
 *     16  4  CRC-32C of bytes 20…95
 *     20  4  CRC-32C of the data
 *     24 16  store id
 *     40 16  id of the disk that it stands on
 *     56  8  sequence, from 1, without gaps
 *     64  8  oldest: records before this sequence are not needed any more
 *     72  8  block of the store that the data belongs to
 *     80  4  blocks of data; 0: the record only says what is not needed
 *     84  4  block of the journal that this record stands in
 *     88  8  zeros
 */
import { crc32c } from '../../base/crc32c.ts';
import { StorageError } from '../../base/errors.ts';
import { blockBytes, segmentBlocks } from './geometry.ts';

const magic = 0x4c4e4a4c41544550n; // "PETALJNL", little-endian
const format = 1;
const length = 96;
const coveredFrom = 20;

export interface JournalRecord {
  readonly sequence: number;
  readonly oldest: number;
  /** Of the store: segment * 256 + block in it. */
  readonly block: number;
  readonly blocks: number;
  /** Where it stands, in blocks of the journal. */
  readonly at: number;
}

export interface JournalOwner {
  /** 16 bytes each. */
  readonly storeId: Uint8Array;
  readonly diskId: Uint8Array;
}

/** The block in front of `data`. */
export function encodeRecord(
  owner: JournalOwner,
  record: JournalRecord,
  data: readonly Uint8Array[],
): Uint8Array {
  const bytes = new Uint8Array(blockBytes);
  const view = new DataView(bytes.buffer);
  let sum = 0;
  for (const part of data) sum = crc32c(part, sum);
  view.setBigUint64(0, magic, true);
  view.setUint32(8, format, true);
  view.setUint32(12, length, true);
  view.setUint32(20, sum, true);
  bytes.set(owner.storeId, 24);
  bytes.set(owner.diskId, 40);
  view.setBigUint64(56, BigInt(record.sequence), true);
  view.setBigUint64(64, BigInt(record.oldest), true);
  view.setBigUint64(72, BigInt(record.block), true);
  view.setUint32(80, record.blocks, true);
  view.setUint32(84, record.at, true);
  view.setUint32(16, crc32c(bytes.subarray(coveredFrom, length)), true);
  return bytes;
}

/** The whole record that stands in block `at` of `journal`; null: none, or a torn one. */
export function decodeRecord(
  owner: JournalOwner,
  journal: Uint8Array,
  at: number,
): JournalRecord | null {
  const base = at * blockBytes;
  const bytes = journal.subarray(base, base + length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getBigUint64(0, true) !== magic || view.getUint32(12, true) !== length) return null;
  if (crc32c(bytes.subarray(coveredFrom)) !== view.getUint32(16, true)) return null;
  if (Buffer.compare(bytes.subarray(24, 40), owner.storeId) !== 0) return null;
  if (Buffer.compare(bytes.subarray(40, 56), owner.diskId) !== 0) return null;
  if (view.getUint32(8, true) > format) {
    throw new StorageError('TOO_NEW', 'the journal was written by a newer version of Petal');
  }
  if (view.getUint32(8, true) !== format) return null;
  const record: JournalRecord = {
    sequence: Number(view.getBigUint64(56, true)),
    oldest: Number(view.getBigUint64(64, true)),
    block: Number(view.getBigUint64(72, true)),
    blocks: view.getUint32(80, true),
    at: view.getUint32(84, true),
  };
  const end = base + (1 + record.blocks) * blockBytes;
  if (record.at !== at || end > journal.length) return null;
  if ((record.block % segmentBlocks) + record.blocks > segmentBlocks) return null;
  const data = journal.subarray(base + blockBytes, end);
  return crc32c(data) === view.getUint32(20, true) ? record : null;
}
