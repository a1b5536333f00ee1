/**
 * What is kept of a snapshot in the Directory: JSON with a `version`, checked field by field when read, as the
 * records of disks are (record.ts).
 */
import { StorageError } from '../base/errors.ts';
import { limits } from './limits.ts';
import {
  attributesFault,
  decodeJson,
  encodeJson,
  isAttributes,
  isCipherKey,
  isId,
  isTime,
  isWhole,
  nameFault,
  sizeFault,
} from './record.ts';
import type { DiskRecord } from './volume.ts';

/** The content of one virtual disk at one point; it never changes. */
export interface SnapshotRecord {
  /** 128 random bits, 32 hex digits; never reused. */
  readonly id: string;
  /** The frozen address space. Never reused. */
  readonly ref: number;
  /** Unique among the snapshots of its disk; made like the name of a disk. */
  readonly name: string;
  /** Id of the disk whose content it is, which lives as long as its snapshots. */
  readonly disk: string;
  /** See DiskRecord. */
  readonly family: string;
  readonly created: number;
  /** Of the disk at that point. */
  readonly size: number;
  readonly sectorBytes: number;
  /** Whether the disk was thick. */
  readonly reserved: boolean;
  /** Under which its blocks are sealed. */
  readonly cipherKey?: string;
  /** Marked to be cloned from, and protected from deletion until unmarked. */
  readonly template: boolean;
  /** The same for all snapshots made at one point, or null. */
  readonly group: string | null;
  /** Names the content, here and in streams: its own id, or that of the snapshot it was imported from. */
  readonly content: string;
  /** The content's digest (content-sum.ts) once somebody has read all of it, or null. */
  readonly digest: string | null;
  /** Opaque to storage/. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A snapshot as the volume layer reads a disk. */
export function snapshotAsDisk(snapshot: SnapshotRecord): DiskRecord {
  const { id, ref, name, size, sectorBytes, created, cipherKey, attributes } = snapshot;
  return {
    ...{ id, ref, name, size, sectorBytes, created, attributes },
    ...{ physicalSectorBytes: 4096, reserved: false, removed: null },
    ...(cipherKey === undefined ? {} : { cipherKey }),
  };
}

const snapshotVersion = 1;

/** The disk whose spaces a disk may share blocks with. */
export const familyOf = ({ family, id }: DiskRecord): string => family ?? id;

export function encodeSnapshot(record: SnapshotRecord): Uint8Array {
  return encodeJson({ version: snapshotVersion, ...record });
}

/** CORRUPT names the first field that is wrong; TOO_NEW. */
export function decodeSnapshot(bytes: Uint8Array, what: string): SnapshotRecord {
  const fields = decodeJson(bytes, snapshotVersion, what);
  const bad = (field: string): never => {
    throw new StorageError('CORRUPT', `${what}: bad ${field}`);
  };
  const { id, ref, name, disk, family, created, size, sectorBytes, reserved } = fields;
  if (!isId(id)) return bad('id');
  if (!isWhole(ref) || ref < 1 || ref > limits.refMax) return bad('ref');
  if (typeof name !== 'string' || nameFault(name) !== null) return bad('name');
  if (!isId(disk)) return bad('disk');
  if (!isId(family)) return bad('family');
  if (!isTime(created)) return bad('created');
  if (!isWhole(size) || sizeFault(size) !== null) return bad('size');
  if (sectorBytes !== 512 && sectorBytes !== 4096) return bad('sectorBytes');
  if (typeof reserved !== 'boolean') return bad('reserved');
  const { cipherKey, template, group, content, digest, attributes } = fields;
  if (cipherKey !== undefined && !isCipherKey(cipherKey)) return bad('cipherKey');
  if (typeof template !== 'boolean') return bad('template');
  if (group !== null && !isId(group)) return bad('group');
  if (!isId(content)) return bad('content');
  if (digest !== null && !isDigest(digest)) return bad('digest');
  if (!isAttributes(attributes) || attributesFault(attributes) !== null) return bad('attributes');
  return {
    ...{ id, ref, name, disk, family, created, size, sectorBytes, reserved },
    ...(isCipherKey(cipherKey) ? { cipherKey } : {}),
    ...{ template, group, content, digest },
    attributes: Object.freeze({ ...attributes }),
  };
}

const isDigest = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
