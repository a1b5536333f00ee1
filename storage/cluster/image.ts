/**
 * The embedded Directory as it stands in one slot on disk, little-endian, one checksum over all:
 *
 *      0  8  magic "PETALDIR"
 *      8  4  version, 1
 *     12  4  length of everything, header included; the rest up to a multiple of 4096 is zeros
 *     16  4  CRC-32C of bytes 20…length-1
 *     20  4  number of entries
 *     24 16  store id: an image of another store is no image
 *     40  8  revision
 *     48 16  zeros
 *     64  …  entries, in key order:
 *              0 2  key length k         4 4  value length v
 *              2 2  zeros                8 8  revision that wrote it
 *             16 k  key, printable ASCII, then v bytes of value
 *
 * Magic, version, length and checksum keep their places in every later version.
 */
import assert from 'node:assert/strict';
import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
import type { DirectoryEntry, Revision } from './directory.ts';
import { limits } from './limits.ts';
import { keyFault } from './transaction.ts';

const magic = 0x5249444c41544550n; // "PETALDIR", little-endian
const version = 1;
export const headerBytes = 64;
const entryHeaderBytes = 16;
const storeIdBytes = 16;

const at = {
  magic: 0,
  version: 8,
  length: 12,
  crc: 16,
  count: 20,
  storeId: 24,
  revision: 40,
} as const;
const inEntry = { keyLength: 0, valueLength: 4, modified: 8 } as const;

export interface Image {
  readonly revision: Revision;
  readonly entries: readonly DirectoryEntry[];
}

const padded = (length: number): number =>
  Math.ceil(length / limits.imageUnitBytes) * limits.imageUnitBytes;

/** Bytes on disk of an image with these entries. */
export function imageBytes(entries: Iterable<DirectoryEntry>): number {
  let length = headerBytes;
  for (const { key, value } of entries) length += entryHeaderBytes + key.length + value.length;
  return padded(length);
}

export function encodeImage(storeId: Uint8Array, image: Image): Uint8Array {
  assert.equal(storeId.length, storeIdBytes);
  const bytes = new Uint8Array(imageBytes(image.entries));
  const view = new DataView(bytes.buffer);
  let end: number = headerBytes;
  for (const { key, value, modified } of image.entries) {
    view.setUint16(end + inEntry.keyLength, key.length, true);
    view.setUint32(end + inEntry.valueLength, value.length, true);
    view.setBigUint64(end + inEntry.modified, modified, true);
    const text = end + entryHeaderBytes;
    for (let index = 0; index < key.length; index++) bytes[text + index] = key.charCodeAt(index);
    bytes.set(value, text + key.length);
    end = text + key.length + value.length;
  }
  view.setBigUint64(at.magic, magic, true);
  view.setUint32(at.version, version, true);
  view.setUint32(at.length, end, true);
  view.setUint32(at.count, image.entries.length, true);
  bytes.set(storeId, at.storeId);
  view.setBigUint64(at.revision, image.revision, true);
  view.setUint32(at.crc, crc32c(bytes.subarray(at.count, end)), true);
  return bytes;
}

/**
 * How many bytes of a slot the image that begins with `head` takes, padding included; null when
 * there is no image. A length that is a lie is found by the checksum.
 */
export function claimedBytes(head: Uint8Array, slotBytes: number): number | null {
  const view = viewOf(head);
  if (view.getBigUint64(at.magic, true) !== magic) return null;
  const length = view.getUint32(at.length, true);
  if (length < headerBytes || padded(length) > slotBytes) return null;
  return padded(length);
}

/** Null: no whole image of this store (torn, damaged, another's). TOO_NEW: whole, but not for us. */
export function decodeImage(storeId: Uint8Array, bytes: Uint8Array): Image | null {
  if (bytes.length < headerBytes || claimedBytes(bytes, bytes.length) === null) return null;
  const view = viewOf(bytes);
  const end = view.getUint32(at.length, true);
  if (crc32c(bytes.subarray(at.count, end)) !== view.getUint32(at.crc, true)) return null;
  const written = view.getUint32(at.version, true);
  if (written > version) {
    throw new StorageError(
      'TOO_NEW',
      `the Directory was written by a newer version of Petal (format ${written}, this one knows ${version})`,
    );
  }
  if (written !== version) return null;
  if (Buffer.compare(bytes.subarray(at.storeId, at.storeId + storeIdBytes), storeId) !== 0) {
    return null;
  }
  const entries = decodeEntries(bytes, end, view.getUint32(at.count, true));
  return entries === null ? null : { revision: view.getBigUint64(at.revision, true), entries };
}

/** Null: the entries do not fill the image exactly, in key order. */
function decodeEntries(bytes: Uint8Array, end: number, count: number): DirectoryEntry[] | null {
  const view = viewOf(bytes);
  const entries: DirectoryEntry[] = [];
  let from: number = headerBytes;
  let earlier = '';
  while (entries.length < count) {
    if (from + entryHeaderBytes > end) return null;
    const text = from + entryHeaderBytes;
    const content = text + view.getUint16(from + inEntry.keyLength, true);
    const next = content + view.getUint32(from + inEntry.valueLength, true);
    if (next > end) return null;
    const key = String.fromCharCode(...bytes.subarray(text, content));
    if (keyFault(key) !== null || key <= earlier) return null;
    const modified = view.getBigUint64(from + inEntry.modified, true);
    entries.push({ key, value: bytes.slice(content, next), modified });
    earlier = key;
    from = next;
  }
  return from === end ? entries : null;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
