/**
 * DiskRecords as they stand in the Directory: JSON with a `version`, checked field by field when
 * read, because what is on disk may be of another version or damaged. The rules for names and sizes
 * are here too, so that nothing is written which would be refused when read.
 */
import { StorageError } from '../base/errors.ts';
import { blockBytes } from '../map/blocks.ts';
import { limits } from './limits.ts';
import { cipherKeyBytes } from './sealed-blocks.ts';
import type { DiskRecord } from './volume.ts';

/** Version 2 adds `cipherKey`; a record without one is still written as version 1. */
const recordVersion = 2;
const cipherKeyPattern = new RegExp(`^[0-9a-f]{${2 * cipherKeyBytes}}$`);
const namePattern = /^[a-z0-9][a-z0-9.-]*$/;

export const encodeJson = (value: object): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(value));

/** Version-checked JSON; CORRUPT, or TOO_NEW when `version` is above `known`. */
export function decodeJson(bytes: Uint8Array, known: number, what: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new StorageError('CORRUPT', `${what}: not JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StorageError('CORRUPT', `${what}: not an object`);
  }
  const fields = value as Fields;
  const version = fields.version;
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw new StorageError('CORRUPT', `${what}: no version`);
  }
  if (version > known) {
    throw new StorageError(
      'TOO_NEW',
      `${what}: written by a newer version of Petal (format ${version}, this one knows ${known})`,
    );
  }
  return fields;
}

export type Fields = Readonly<Record<string, unknown>>;

export function encodeRecord(record: DiskRecord): Uint8Array {
  return encodeJson({ version: record.cipherKey === undefined ? 1 : recordVersion, ...record });
}

export function decodeRecord(bytes: Uint8Array, what: string): DiskRecord {
  return recordOf(decodeJson(bytes, recordVersion, what), what);
}

/** A record out of parsed JSON; CORRUPT names the first field that is wrong. */
export function recordOf(fields: Fields, what: string): DiskRecord {
  const bad = (field: string): never => {
    throw new StorageError('CORRUPT', `${what}: bad ${field}`);
  };
  const { id, ref, name, size, sectorBytes, physicalSectorBytes, reserved, created, removed } =
    fields;
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) return bad('id');
  if (!isWhole(ref) || ref < 1 || ref > limits.refMax) return bad('ref');
  if (typeof name !== 'string' || nameFault(name) !== null) return bad('name');
  if (!isWhole(size) || sizeFault(size) !== null) return bad('size');
  if (sectorBytes !== 512 && sectorBytes !== 4096) return bad('sectorBytes');
  if (physicalSectorBytes !== 4096) return bad('physicalSectorBytes');
  if (typeof reserved !== 'boolean') return bad('reserved');
  if (!isTime(created)) return bad('created');
  if (removed !== null && !isTime(removed)) return bad('removed');
  const attributes = fields.attributes;
  if (!isAttributes(attributes)) return bad('attributes');
  const { version, cipherKey } = fields;
  if (version === 2 ? !isCipherKey(cipherKey) : cipherKey !== undefined) return bad('cipherKey');
  return {
    id,
    ref,
    name,
    size,
    sectorBytes,
    physicalSectorBytes,
    reserved,
    created,
    removed,
    ...(isCipherKey(cipherKey) ? { cipherKey } : {}),
    attributes: Object.freeze({ ...attributes }),
  };
}

const isCipherKey = (value: unknown): value is string =>
  typeof value === 'string' && cipherKeyPattern.test(value);
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);
const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

function isAttributes(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((item) => typeof item === 'string');
}

/** What is wrong with a name, or null. */
export function nameFault(name: string): string | null {
  if (name.length === 0) return 'a name has at least one character';
  if (name.length > limits.nameLength) {
    return `a name has at most ${limits.nameLength} characters`;
  }
  if (!namePattern.test(name)) {
    return 'a name is made of a-z, 0-9, "." and "-", and starts with a letter or a digit';
  }
  return null;
}

/** What is wrong with a size in bytes, or null. */
export function sizeFault(size: number): string | null {
  if (!Number.isSafeInteger(size)) return 'a size is a whole number of bytes';
  if (size % blockBytes !== 0) return `a size is a multiple of ${blockBytes} bytes`;
  if (size < limits.diskBytesMin) return `a disk has at least ${limits.diskBytesMin} bytes`;
  if (size > limits.diskBytesMax) return 'a disk has at most 1 PiB';
  return null;
}

/** What is wrong with attributes, or null. */
export function attributesFault(attributes: Readonly<Record<string, string>>): string | null {
  if (!isAttributes(attributes)) return 'attributes are strings';
  let length = 0;
  for (const [key, value] of Object.entries(attributes)) length += key.length + value.length;
  if (length > limits.attributeLength) {
    return `the attributes of a disk have at most ${limits.attributeLength} characters`;
  }
  return null;
}

/** INVALID when `fault` is not null. */
export function refuse(subject: string, fault: string | null): void {
  if (fault !== null) throw new StorageError('INVALID', `${subject}: ${fault}`);
}
