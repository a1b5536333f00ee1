/**
 * The table of a store on several disks: which disks it has, and which extents each zone lies on.
 * Every disk keeps two copies, written in turn (version % 2), so that one is whole at any moment;
 * the highest version among all disks is the one in force. Little-endian:
 *
 *      0  8  magic "PETALZON"
 *      8  4  format, 1
 *     12  4  length
 *     16  4  CRC-32C of bytes 20…length-1
 *     20  4  layout: 1 single, 2 striped, 3 mirrored, 4 parity
 *     24 16  store id
 *     40  8  version of the table, from 1
 *     48  4  data columns
 *     52  4  segments of a zone
 *     56  4  disks in the list
 *     60  4  zones in the list
 *     64     disks, 240 bytes each, by number from 0:
 *              0 16  id
 *             16  4  state: 0 nothing, 1 in, 2 draining, 3 out, 4 empty
 *             20  4  extents
 *             24  8  size in bytes
 *             32  4  1: leaves the list when it is empty
 *             36  4  zeros
 *             40  8  when it came to this state, milliseconds since 1970 UTC
 *             48  4  length of the path
 *             52     path (UTF-8, for people), zeros
 *            220 20  zeros
 *            zones, 4 bytes for each of their places: 0 unformed, else disk + 1 in the high 8 bits
 *              and the number of the extent in the low 24
 *
 * A disk that is *out* was lost: what is on it is stale, is never read, and it never comes back
 * under this id.
 */

import assert from 'node:assert/strict';
import { crc32c } from '../../base/crc32c.ts';
import { StorageError } from '../../base/errors.ts';
import type { Disk } from '../disk.ts';
import { limits } from '../limits.ts';
import { readable } from '../read.ts';
import { type Layout, layouts, shapeOf } from './geometry.ts';

const magic = 0x4e4f5a4c41544550n; // "PETALZON", little-endian
const format = 1;
const frontBytes = 64;
const diskBytes = 240;
const coveredFrom = 20;

export const DiskState = { in: 1, draining: 2, out: 3, empty: 4 } as const;
export type DiskState = (typeof DiskState)[keyof typeof DiskState];

export interface DiskEntry {
  /** 32 hex digits. */
  readonly id: string;
  readonly state: DiskState;
  readonly extents: number;
  readonly size: number;
  /** Leaves the list as soon as nothing is on it. */
  readonly leaves: boolean;
  /** Since when it is in this state, milliseconds since 1970 UTC. */
  readonly since: number;
  readonly path: string;
}

export interface Table {
  readonly version: number;
  readonly layout: Layout;
  readonly columns: number;
  readonly zoneSegments: number;
  readonly disks: readonly (DiskEntry | null)[];
  /** `width` places for each zone. */
  readonly zones: Uint32Array;
}

export const placeOf = (disk: number, extent: number): number => ((disk + 1) << 24) | extent;
export const diskOf = (place: number): number => (place >>> 24) - 1;
export const extentOf = (place: number): number => place & 0xffffff;

/** Zones that the table has room for. */
export const zonesMax = (width: number): number =>
  Math.floor((limits.tableCopyBytes - frontBytes - limits.disksMax * diskBytes) / (4 * width));

export function encodeTable(storeId: Uint8Array, table: Table): Uint8Array {
  const { disks, zones } = table;
  const length = frontBytes + disks.length * diskBytes + zones.length * 4;
  assert(length <= limits.tableCopyBytes && disks.length <= limits.disksMax);
  const bytes = new Uint8Array(Math.ceil(length / limits.unitBytes) * limits.unitBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, magic, true);
  view.setUint32(8, format, true);
  view.setUint32(12, length, true);
  view.setUint32(20, layouts.indexOf(table.layout) + 1, true);
  bytes.set(storeId, 24);
  view.setBigUint64(40, BigInt(table.version), true);
  view.setUint32(48, table.columns, true);
  view.setUint32(52, table.zoneSegments, true);
  view.setUint32(56, disks.length, true);
  const { width } = shapeOf(table.layout, table.columns);
  view.setUint32(60, zones.length / width, true);
  disks.forEach((disk, index) => {
    if (disk !== null) encodeDisk(bytes, view, frontBytes + index * diskBytes, disk);
  });
  const from = frontBytes + disks.length * diskBytes;
  zones.forEach((place, index) => {
    view.setUint32(from + index * 4, place, true);
  });
  view.setUint32(16, crc32c(bytes.subarray(coveredFrom, length)), true);
  return bytes;
}

function encodeDisk(bytes: Uint8Array, view: DataView, at: number, disk: DiskEntry): void {
  bytes.set(Buffer.from(disk.id, 'hex'), at);
  view.setUint32(at + 16, disk.state, true);
  view.setUint32(at + 20, disk.extents, true);
  view.setBigUint64(at + 24, BigInt(disk.size), true);
  view.setUint32(at + 32, disk.leaves ? 1 : 0, true);
  view.setBigUint64(at + 40, BigInt(Math.floor(disk.since)), true);
  const path = Buffer.from(disk.path, 'utf8').subarray(0, limits.pathBytes);
  view.setUint32(at + 48, path.length, true);
  bytes.set(path, at + 52);
}

/** Null: no table of this store. TOO_NEW. */
export function decodeTable(storeId: Uint8Array, bytes: Uint8Array): Table | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getBigUint64(0, true) !== magic) return null;
  const length = view.getUint32(12, true);
  if (length < frontBytes || length > bytes.length) return null;
  if (crc32c(bytes.subarray(coveredFrom, length)) !== view.getUint32(16, true)) return null;
  if (view.getUint32(8, true) > format) {
    throw new StorageError('TOO_NEW', 'the table of disks was written by a newer version of Petal');
  }
  if (view.getUint32(8, true) !== format) return null;
  if (Buffer.compare(bytes.subarray(24, 40), storeId) !== 0) return null;
  const layout = layouts[view.getUint32(20, true) - 1];
  const columns = view.getUint32(48, true);
  const zoneSegments = view.getUint32(52, true);
  const count = view.getUint32(56, true);
  const zoneCount = view.getUint32(60, true);
  if (layout === undefined || !plausible(layout, columns, zoneSegments, count)) return null;
  const { width } = shapeOf(layout, columns);
  if (length !== frontBytes + count * diskBytes + zoneCount * width * 4) return null;
  const disks = Array.from({ length: count }, (_, index) =>
    decodeDisk(bytes, view, frontBytes + index * diskBytes),
  );
  const from = frontBytes + count * diskBytes;
  const zones = Uint32Array.from({ length: zoneCount * width }, (_, index) =>
    view.getUint32(from + index * 4, true),
  );
  const version = Number(view.getBigUint64(40, true));
  const table = { version, layout, columns, zoneSegments, disks, zones };
  return isConsistent(table) ? table : null;
}

function plausible(layout: Layout, columns: number, segments: number, disks: number): boolean {
  const spread = layout === 'striped' || layout === 'parity';
  const fit = spread ? columns >= limits.columnsMin && columns <= limits.columnsMax : columns === 1;
  return fit && segments >= 1 && segments <= 2 ** 24 && disks >= 1 && disks <= limits.disksMax;
}

function decodeDisk(bytes: Uint8Array, view: DataView, at: number): DiskEntry | null {
  const state = view.getUint32(at + 16, true) as DiskState;
  if (!Object.values(DiskState).includes(state)) return null;
  const pathBytes = Math.min(view.getUint32(at + 48, true), limits.pathBytes);
  return {
    id: Buffer.from(bytes.subarray(at, at + 16)).toString('hex'),
    state,
    extents: view.getUint32(at + 20, true),
    size: Number(view.getBigUint64(at + 24, true)),
    leaves: view.getUint32(at + 32, true) === 1,
    since: Number(view.getBigUint64(at + 40, true)),
    path: Buffer.from(bytes.subarray(at + 52, at + 52 + pathBytes)).toString('utf8'),
  };
}

/** Each zone on as many disks, no extent used twice: a table that lies would mix up data. */
export function isConsistent({ disks, zones, layout, columns }: Table): boolean {
  const { width } = shapeOf(layout, columns);
  const taken = new Set<number>();
  for (let from = 0; from < zones.length; from += width) {
    const places = [...zones.subarray(from, from + width)];
    if (places.every((place) => place === 0)) continue;
    const on = new Set(places.map(diskOf));
    if (places.includes(0) || on.size !== width) return false;
    for (const place of places) {
      const disk = disks[diskOf(place)];
      if (disk === null || disk === undefined || extentOf(place) >= disk.extents) return false;
      if (taken.has(place)) return false;
      taken.add(place);
    }
  }
  return true;
}

/** Durable when it resolves, in the copy whose turn it is. */
export async function writeTable(disk: Disk, storeId: Uint8Array, table: Table): Promise<void> {
  const offset = limits.tableOffset + (table.version % 2) * limits.tableCopyBytes;
  await disk.write(offset, [encodeTable(storeId, table)], true);
}

/** The newest table of this store on a disk; null: none can be read. */
export async function readTable(disk: Disk, storeId: Uint8Array): Promise<Table | null> {
  let newest: Table | null = null;
  for (const copy of [0, 1]) {
    const offset = limits.tableOffset + copy * limits.tableCopyBytes;
    const table = await readCopy(disk, offset, storeId);
    if (table !== null && (newest === null || table.version > newest.version)) newest = table;
  }
  return newest;
}

async function readCopy(disk: Disk, offset: number, storeId: Uint8Array): Promise<Table | null> {
  const front = new Uint8Array(limits.unitBytes);
  if (!(await readable(disk, offset, front))) return null;
  const claimed = new DataView(front.buffer).getUint32(12, true);
  const length = Math.min(Math.max(claimed, 1), limits.tableCopyBytes);
  const bytes = new Uint8Array(Math.ceil(length / limits.unitBytes) * limits.unitBytes);
  if (bytes.length === front.length) return decodeTable(storeId, front);
  return (await readable(disk, offset, bytes)) ? decodeTable(storeId, bytes) : null;
}
