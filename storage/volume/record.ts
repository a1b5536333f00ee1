/**
 * DiskRecords as they stand in the Directory: JSON with a `version`, checked field by field when
 * read, because what is on disk may be of another version or damaged. The rules for names and sizes
 * are here too, so that nothing is written which would be refused when read.
 */
import { StorageError } from '../base/errors.ts';
import { blockBytes } from '../map/blocks.ts';
import { limits } from './limits.ts';
import { cipherKeyBytes } from './sealed-blocks.ts';
import type { DiskRecord, Flattening, Origin } from './volume.ts';

/** Version 2 adds `cipherKey`, version 3 what a clone has; a record is written as the oldest that will do. */
const recordVersion = 3;
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
  const { cipherKey, origin, family, flatten } = record;
  const cloned = origin !== undefined || family !== undefined || flatten !== undefined;
  const version = cloned ? recordVersion : cipherKey === undefined ? 1 : 2;
  return encodeJson({ version, ...record });
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
  if (!isId(id)) return bad('id');
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
  const { version, cipherKey, origin, family, flatten } = fields;
  if (version === 2 ? !isCipherKey(cipherKey) : version === 1 && cipherKey !== undefined) {
    return bad('cipherKey');
  }
  if (cipherKey !== undefined && !isCipherKey(cipherKey)) return bad('cipherKey');
  if (version !== 3 && (origin ?? family ?? flatten) !== undefined) return bad('version');
  if (origin !== undefined && !isOrigin(origin)) return bad('origin');
  if (family !== undefined && !isId(family)) return bad('family');
  if (flatten !== undefined && !isFlattening(flatten)) return bad('flatten');
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
    ...(isOrigin(origin) ? { origin: { snapshot: origin.snapshot, name: origin.name } } : {}),
    ...(isId(family) ? { family } : {}),
    ...(isFlattening(flatten) ? { flatten: { ...flatten } } : {}),
    attributes: Object.freeze({ ...attributes }),
  };
}

export const isId = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);

function isOrigin(value: unknown): value is Origin {
  const { snapshot, name } = Object(value) as Fields;
  return isId(snapshot) && typeof name === 'string' && name.length <= 2 * limits.nameLength + 1;
}

function isFlattening(value: unknown): value is Flattening {
  const { next, bytesPerSecond } = Object(value) as Fields;
  return isWhole(next) && next >= 0 && isWhole(bytesPerSecond) && bytesPerSecond > 0;
}

export const isCipherKey = (value: unknown): value is string =>
  typeof value === 'string' && cipherKeyPattern.test(value);
export const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);
export const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

export function isAttributes(value: unknown): value is Record<string, string> {
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
