/**
 * The label of a store: what it is, whose, and where its areas lie. Written last when a store is
 * made, so a label means that all behind it is there. Two copies, at 0 and at 512 KiB, each one
 * 4 KiB block, little-endian:
 *
 *      0  8  magic "PETALSTO"
 *      8  4  version: 1, or 2 for a disk among several
 *     12  4  length, 104; 136 in version 2
 *     16  4  CRC-32C of bytes 20…length-1
 *     20  4  zeros
 *     24 16  store id
 *     40  8  created, milliseconds since 1970 UTC
 *     48  8  size of the store in bytes
 *     56  8  Directory: offset      64  8  length
 *     72  8  log: offset            80  8  length
 *     88 16  zeros; in version 2 the disk's own id
 *    104  8  journal: offset       112  8  length (0: none)
 *    120  8  extents: offset       128  8  length
 *
 * In version 2 the size is that of the disk, and the log's area holds its superblocks only: the
 * table behind it (array/table.ts) says where the rest is.
 *
 * Magic, version, length and checksum keep their places in every later version.
 */

import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
import type { Disk } from './disk.ts';
import { limits } from './limits.ts';
import { readable } from './read.ts';

const magic = 0x4f54534c41544550n; // "PETALSTO", little-endian
const lengths: Readonly<Record<number, number>> = { 1: 104, 2: 136 };
const version = 2;
const at = {
  magic: 0,
  version: 8,
  length: 12,
  crc: 16,
  covered: 20,
  storeId: 24,
  created: 40,
  size: 48,
  directory: 56,
  log: 72,
  diskId: 88,
  journal: 104,
  extents: 120,
} as const;
const copies = [0, limits.labelCopyOffset] as const;

export interface Area {
  readonly offset: number;
  readonly length: number;
}

export interface Label {
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  /** Milliseconds since 1970 UTC. */
  readonly created: number;
  /** Bytes; the disk may be larger, never smaller. */
  readonly size: number;
  readonly directory: Area;
  readonly log: Area;
  /** Null: the store lies on this disk alone. */
  readonly member: MemberAreas | null;
}

/** What a disk among several has besides. */
export interface MemberAreas {
  /** 16 bytes, of this disk in this store. */
  readonly diskId: Uint8Array;
  /** Length 0: none. */
  readonly journal: Area;
  readonly extents: Area;
}

/** The areas of a new store of `size` bytes. */
export function layOut(storeId: Uint8Array, created: number, size: number): Label {
  return {
    storeId,
    created,
    size,
    directory: { offset: limits.directoryOffset, length: limits.directoryBytes },
    log: { offset: limits.logOffset, length: size - limits.logOffset },
    member: null,
  };
}

/** The areas of a disk of `size` bytes among several. */
export function layOutMember(
  storeId: Uint8Array,
  diskId: Uint8Array,
  created: number,
  size: number,
  withJournal: boolean,
): Label {
  const share = Math.floor(size / limits.journalShare / limits.areaUnitBytes);
  const wanted = Math.max(share * limits.areaUnitBytes, limits.journalBytesMin);
  const journal = withJournal ? Math.min(wanted, limits.journalBytesMax) : 0;
  const extents = limits.memberFixedBytes + journal;
  return {
    ...layOut(storeId, created, size),
    log: { offset: limits.logOffset, length: limits.areaUnitBytes },
    member: {
      diskId,
      journal: { offset: limits.memberFixedBytes, length: journal },
      extents: { offset: extents, length: size - extents },
    },
  };
}

export function encodeLabel(label: Label): Uint8Array {
  const bytes = new Uint8Array(limits.unitBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(at.magic, magic, true);
  const written = label.member === null ? 1 : 2;
  view.setUint32(at.version, written, true);
  view.setUint32(at.length, lengths[written]!, true);
  bytes.set(label.storeId, at.storeId);
  view.setBigUint64(at.created, BigInt(Math.floor(label.created)), true);
  view.setBigUint64(at.size, BigInt(label.size), true);
  const put = (offset: number, area: Area): void => {
    view.setBigUint64(offset, BigInt(area.offset), true);
    view.setBigUint64(offset + 8, BigInt(area.length), true);
  };
  put(at.directory, label.directory);
  put(at.log, label.log);
  if (label.member !== null) {
    bytes.set(label.member.diskId, at.diskId);
    put(at.journal, label.member.journal);
    put(at.extents, label.member.extents);
  }
  view.setUint32(at.crc, crc32c(bytes.subarray(at.covered, lengths[written]!)), true);
  return bytes;
}

/** `none`: no label of ours is or was here. `damaged`: there was one. TOO_NEW is thrown. */
export function decodeLabel(bytes: Uint8Array): Label | 'none' | 'damaged' {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getBigUint64(at.magic, true) !== magic) return 'none';
  const length = view.getUint32(at.length, true);
  if (length < at.storeId || length > bytes.length) return 'damaged';
  const sum = crc32c(bytes.subarray(at.covered, length));
  if (sum !== view.getUint32(at.crc, true)) return 'damaged';
  const written = view.getUint32(at.version, true);
  if (written > version) {
    throw new StorageError(
      'TOO_NEW',
      `the store was written by a newer version of Petal (format ${written}, this one knows ${version})`,
    );
  }
  if (length !== lengths[written]) return 'damaged';
  const whole = (offset: number): number => Number(view.getBigUint64(offset, true));
  const area = (offset: number): Area => ({ offset: whole(offset), length: whole(offset + 8) });
  const label: Label = {
    storeId: bytes.slice(at.storeId, at.storeId + 16),
    created: whole(at.created),
    size: whole(at.size),
    directory: area(at.directory),
    log: area(at.log),
    member:
      written === 1
        ? null
        : {
            diskId: bytes.slice(at.diskId, at.diskId + 16),
            journal: area(at.journal),
            extents: area(at.extents),
          },
  };
  return isSound(label) ? label : 'damaged';
}

function isSound({ size, directory, log, member }: Label): boolean {
  const unit = limits.areaUnitBytes;
  const within = ({ offset, length }: Area): boolean =>
    offset % unit === 0 && length % unit === 0 && length > 0 && offset + length <= size;
  return (
    Number.isSafeInteger(size) &&
    size >= limits.storeBytesMin &&
    directory.offset >= limits.labelAreaBytes &&
    within(directory) &&
    log.offset >= directory.offset + directory.length &&
    within(log) &&
    (member === null || (log.length === unit && soundMember(member, size)))
  );
}

function soundMember({ journal, extents }: MemberAreas, size: number): boolean {
  const unit = limits.areaUnitBytes;
  return (
    journal.offset === limits.memberFixedBytes &&
    journal.length % unit === 0 &&
    extents.offset === journal.offset + journal.length &&
    extents.length > 0 &&
    extents.offset + extents.length <= size
  );
}

/** Both copies, each durable before the next: one is whole at any moment after the first. */
export async function writeLabel(disk: Disk, label: Label): Promise<void> {
  for (const offset of copies) await disk.write(offset, [encodeLabel(label)], true);
}

/**
 * The label of a disk; null when there is none and never was. A bad copy is written anew from the
 * good one. CORRUPT, TOO_NEW.
 */
export async function readLabel(
  disk: Disk,
  heard: (message: string) => void,
): Promise<Label | null> {
  const found: (Label | 'none' | 'damaged')[] = [];
  for (const offset of copies) found.push(await readCopy(disk, offset));
  const labels = found.filter((copy): copy is Label => typeof copy === 'object');
  const [first, second] = labels;
  if (first === undefined) {
    if (found.every((copy) => copy === 'none')) return null;
    throw new StorageError('CORRUPT', `${disk.name}: both copies of the label are damaged`);
  }
  if (second !== undefined && Buffer.compare(encodeLabel(first), encodeLabel(second)) !== 0) {
    throw new StorageError('CORRUPT', `${disk.name}: the two copies of the label differ`);
  }
  if (first.size > disk.size) {
    throw new StorageError(
      'CORRUPT',
      `${disk.name} has ${disk.size} bytes, but the store on it has ${first.size}: it was cut off`,
    );
  }
  if (second === undefined) {
    heard('one copy of the label is damaged; written anew');
    await writeLabel(disk, first);
  }
  return first;
}

async function readCopy(disk: Disk, offset: number): Promise<Label | 'none' | 'damaged'> {
  const bytes = new Uint8Array(limits.unitBytes);
  return (await readable(disk, offset, bytes)) ? decodeLabel(bytes) : 'damaged';
}

/** Whether the label's area is untouched: zeros throughout, as a store that was begun leaves it. */
export async function isBlank(disk: Disk): Promise<boolean> {
  const bytes = new Uint8Array(limits.labelAreaBytes);
  await disk.read(0, bytes);
  return bytes.every((byte) => byte === 0);
}
