/**
 * Makes a store file: under a temporary name, all of its space allocated, and put in place only when
 * what is in it is complete. A crash leaves at most the temporary file, which the next attempt takes
 * over; a file under the store's own name is always a whole store.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StorageError } from '../base/errors.ts';
import { run } from './helper.ts';
import { limits } from './limits.ts';
import { codeOf, fsError } from './locate.ts';

/** Name under which the file is made. */
export const temporaryName = (path: string): string => `${path}.new`;

/** An empty file under the temporary name, or the one that an earlier attempt left. */
export function openTemporary(path: string): number {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  try {
    return openSync(temporaryName(path), flags, 0o600);
  } catch (cause) {
    throw fsError(cause, `${temporaryName(path)} cannot be made`);
  }
}

export function openExisting(path: string): number {
  return openSync(path, constants.O_RDWR);
}

/** A block device, exclusively: EBUSY when it is still mounted or in use after a moment. */
export async function openExclusive(path: string): Promise<number> {
  for (let waitedMs = 0; ; waitedMs += limits.patienceStepMs) {
    try {
      return openSync(path, constants.O_RDWR | constants.O_EXCL);
    } catch (error) {
      if (codeOf(error) !== 'EBUSY' || waitedMs >= limits.patienceMs) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, limits.patienceStepMs));
  }
}

/** Whether `path` still names what `fd` is open on: someone may have put another file there. */
export function isSameFile(fd: number, path: string): boolean {
  const ours = fstatSync(fd, { bigint: true });
  const named = statSync(path, { bigint: true, throwIfNoEntry: false });
  return named !== undefined && named.ino === ours.ino && named.dev === ours.dev;
}

/** The size of a new store in bytes: what was asked for, or a share of what is free. */
export async function chooseSize(
  path: string,
  wanted: number | undefined,
  sharers = 1,
): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(path));
  const free = bavail * bsize;
  const size = wanted ?? Math.min(limits.storeBytesDefault, free / 2 / sharers);
  const rounded = checkSize(path, size);
  if (rounded <= free) return rounded;
  throw new StorageError(
    'NO_SPACE',
    `${dirname(path)} has ${mebibytes(free)} free, the store is to have ${mebibytes(rounded)}`,
  );
}

/** Rounded down to whole MiB, within bounds. INVALID. */
export function checkSize(path: string, size: number): number {
  const rounded = Math.floor(size / limits.areaUnitBytes) * limits.areaUnitBytes;
  if (!Number.isSafeInteger(rounded) || rounded < limits.storeBytesMin) {
    throw new StorageError(
      'INVALID',
      `${path}: a store has at least ${mebibytes(limits.storeBytesMin)}, not ${mebibytes(size)}`,
    );
  }
  if (rounded > limits.storeBytesMax) {
    throw new StorageError(
      'INVALID',
      `${path}: a store has at most ${mebibytes(limits.storeBytesMax)}, not ${mebibytes(size)}`,
    );
  }
  return rounded;
}

const mebibytes = (bytes: number): string => `${Math.floor(bytes / limits.areaUnitBytes)} MiB`;

/** Give the temporary file its size, every block of it allocated, so that it cannot run out later. */
export async function allocate(path: string, fd: number, size: number): Promise<void> {
  const name = temporaryName(path);
  try {
    ftruncateSync(fd, 0);
    const { status, output } = await run('fallocate', ['-l', `${size}`, name]);
    if (status !== 0) {
      if (!/not supported/i.test(output)) throw refusedSpace(name, output);
      await writeZeros(name, size);
    }
    fsyncSync(fd);
  } catch (cause) {
    throw cause instanceof StorageError ? cause : fsError(cause, `${name} cannot be allocated`);
  }
}

function refusedSpace(name: string, output: string): StorageError {
  const code = /no space|quota/i.test(output) ? 'NO_SPACE' : 'INVALID';
  return new StorageError(code, `${name} cannot be allocated: ${output}`);
}

/** For file systems without fallocate(2). */
async function writeZeros(name: string, size: number): Promise<void> {
  const zeros = new Uint8Array(limits.zeroBytes);
  const file = await open(name, 'r+');
  try {
    for (let at = 0; at < size; ) {
      const { bytesWritten } = await file.write(zeros, 0, Math.min(zeros.length, size - at), at);
      at += bytesWritten;
    }
  } finally {
    await file.close();
  }
}

/** Put the finished file in its place, durably. */
export function publish(path: string, fd: number): void {
  fsyncSync(fd);
  renameSync(temporaryName(path), path);
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

export function discardTemporary(path: string): void {
  rmSync(temporaryName(path), { force: true });
}

export function closeFile(fd: number): void {
  closeSync(fd);
}
