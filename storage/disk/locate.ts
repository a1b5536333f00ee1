/**
 * What a path given for a store means: a directory (then the store is `store.petal` in it), a file
 * that is there or is still to be made, or a block device.
 */
import { readFileSync, type Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { StorageError } from '../base/errors.ts';

export const storeFileName = 'store.petal';

export interface Place {
  /** `absent`: a file to be made; its directory is there. An empty file counts as absent. */
  readonly kind: 'file' | 'device' | 'absent';
  /** Links resolved, so that one store has one name. */
  readonly path: string;
  /** Of the file or device; 0 when absent. */
  readonly bytes: number;
  /** Which file or device has the path now; empty when none. */
  readonly identity: string;
}

/** INVALID, NOT_FOUND (the directory of a file to be made). */
export async function locate(path: string): Promise<Place> {
  const absolute = resolve(path);
  let found = await statOf(absolute);
  let real = found === null ? await absentPath(absolute) : await realpath(absolute);
  if (found?.isDirectory()) {
    real = join(real, storeFileName);
    found = await statOf(real);
    if (found !== null) real = await realpath(real);
  }
  if (found === null) return { kind: 'absent', path: real, bytes: 0, identity: '' };
  const identity = `${found.dev}:${found.ino}`;
  if (found.isBlockDevice()) {
    return { kind: 'device', path: real, bytes: deviceBytes(found.rdev), identity };
  }
  if (!found.isFile()) {
    throw new StorageError('INVALID', `${real} is neither a file nor a block device`);
  }
  return { kind: found.size === 0 ? 'absent' : 'file', path: real, bytes: found.size, identity };
}

async function statOf(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return null;
    throw fsError(cause, `${path} cannot be looked at`);
  }
}

async function absentPath(path: string): Promise<string> {
  try {
    return join(await realpath(dirname(path)), basename(path));
  } catch (cause) {
    throw new StorageError('NOT_FOUND', `${dirname(path)} does not exist`, { cause });
  }
}

/** From sysfs, in sectors of 512 bytes; the device number is split as in Linux's huge encoding. */
function deviceBytes(rdev: number): number {
  const number = BigInt(rdev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
  const minor = (number & 0xffn) | ((number >> 12n) & ~0xffn & 0xffffffffn);
  return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512;
}

export const codeOf = (error: unknown): string | undefined =>
  (error as NodeJS.ErrnoException | null)?.code;

/** An error of node:fs in one line for people. */
export function fsError(cause: unknown, what: string): StorageError {
  const code = codeOf(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StorageError('NO_SPACE', `${what}: the file system is full`, { cause });
  }
  const why = code === 'EACCES' || code === 'EPERM' ? 'no permission' : String(cause);
  return new StorageError('INVALID', `${what}: ${why}`, { cause });
}
