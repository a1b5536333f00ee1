/**
 * Opens the disk of a store for its one owner: finds what the path means, locks it, refuses what is
 * not ours, and makes what is not there. What a new store holds is put on it by the caller, who then
 * says `ready`; until then nothing under the store's name has changed.
 */
import { basename } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import {
  allocate,
  checkSize,
  chooseSize,
  closeFile,
  discardTemporary,
  isSameFile,
  openExclusive,
  openExisting,
  openTemporary,
  publish,
  temporaryName,
} from './create.ts';
import type { Disk } from './disk.ts';
import { FileDisk } from './file.ts';
import { type Label, readLabel } from './label.ts';
import { limits } from './limits.ts';
import { codeOf, fsError, locate, type Place } from './locate.ts';
import { inUse, lockStore } from './lock.ts';
import { contentOf, mountOf, wipe } from './signature.ts';

export interface OpenOptions {
  /** A directory, a file, or a block device. */
  readonly path: string;
  /** Bytes, for a new store. Default: the device, or the lesser of 20 GiB and half of what is free. */
  readonly size?: number | undefined;
  /** Take a file or device although something else is on it. Never touches a store of ours. */
  readonly wipe?: boolean | undefined;
  /** How many new stores or disks share what is free; default 1. */
  readonly sharers?: number | undefined;
  /** Where the note of a device's holder lies. */
  readonly stateDirectory?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export interface StoreDisk {
  readonly disk: Disk;
  /** Null: a new store, blank, to be filled by the caller. */
  readonly label: Label | null;
  /** Bytes that a new store is to have. */
  readonly size: number;
  /** The new store is complete: it gets its name. */
  ready(): void;
  /** Close the disk and let the store go; a new one that was not ready is taken away. */
  close(): Promise<void>;
}

/** The port to disks by their paths. Simulated: disks in memory. */
export interface Disks {
  open(options: OpenOptions): Promise<StoreDisk>;
  existing(options: OpenOptions): Promise<StoreDisk | null>;
}

/** IN_USE, INVALID, NOT_FOUND, NO_SPACE, CORRUPT, TOO_NEW. */
export async function openStoreDisk(options: OpenOptions): Promise<StoreDisk> {
  const place = await locate(options.path);
  if (place.kind === 'device') return await openDevice(place, options);
  if (place.kind === 'absent') return await makeFile(place, options);
  const opened = await openFile(place, options);
  if (opened.label !== null) return opened;
  await opened.close();
  if (options.wipe === true) return await makeFile(place, options);
  throw new StorageError(
    'INVALID',
    `${place.path} exists and is no Petal store; it is taken only with --wipe`,
  );
}

/** As `openStoreDisk`, but nothing is made: null when there is no such file, or an empty one. */
export async function openExistingDisk(options: OpenOptions): Promise<StoreDisk | null> {
  const place = await locate(options.path);
  if (place.kind === 'absent') return null;
  return await openStoreDisk({ ...options, wipe: false });
}

export const realDisks: Disks = { open: openStoreDisk, existing: openExistingDisk };

async function openFile(place: Place, options: OpenOptions): Promise<StoreDisk> {
  const { path, bytes } = place;
  const size = Math.floor(bytes / limits.areaUnitBytes) * limits.areaUnitBytes;
  if (size === 0) {
    if (options.wipe === true) return await makeFile(place, options);
    throw new StorageError('INVALID', `${path} exists and is no Petal store (${bytes} bytes)`);
  }
  const fd = await open(path, () => openExisting(path));
  return await claim({ fd, size, place, options }, async (disk, unlock) => {
    if (!isSameFile(fd, path)) throw inUse(path, noteOf(place, options));
    const label = await readLabel(disk, (message) => options.log.warn({ store: path }, message));
    return storeDisk(disk, label, size, unlock);
  });
}

async function makeFile(place: Place, options: OpenOptions): Promise<StoreDisk> {
  const { path } = place;
  const size = await chooseSize(path, options.size, options.sharers);
  const fd = openTemporary(path);
  return await claim({ fd, size, place, options }, async (disk, unlock) => {
    // Locked, but is it still the temporary file? Its maker may have finished and renamed it.
    if (!isSameFile(fd, temporaryName(path))) throw inUse(path, noteOf(place, options));
    try {
      // And what is to be replaced must be what was looked at, not a store made meanwhile.
      const { identity } = await locate(path);
      if (identity !== place.identity) throw inUse(path, noteOf(place, options));
      await allocate(path, fd, size);
    } catch (error) {
      discardTemporary(path);
      throw error;
    }
    const store = storeDisk(disk, null, size, unlock);
    let done = false;
    const ready = (): void => {
      publish(path, fd);
      done = true;
    };
    const close = async (): Promise<void> => {
      if (!done) discardTemporary(path);
      await store.close();
    };
    return { ...store, ready, close };
  });
}

async function openDevice(place: Place, options: OpenOptions): Promise<StoreDisk> {
  const { path } = place;
  const size = checkSize(path, Math.min(place.bytes, limits.storeBytesMax));
  const mount = mountOf(path);
  if (mount !== null) throw new StorageError('IN_USE', `${path} is mounted on ${mount}`);
  const fd = await open(path, async () => {
    try {
      return await openExclusive(path);
    } catch (cause) {
      if (codeOf(cause) === 'EBUSY') throw inUse(path, noteOf(place, options), cause);
      throw cause;
    }
  });
  return await claim({ fd, size, place, options }, async (disk, unlock) => {
    const label = await readLabel(disk, (message) => options.log.warn({ store: path }, message));
    const wanted = options.size === undefined ? size : checkSize(path, options.size);
    if (label === null) {
      if (wanted > size) throw new StorageError('NO_SPACE', `${path} has only ${size} bytes`);
      await makeBlank(path, disk, options);
    }
    return storeDisk(disk, label, wanted, unlock);
  });
}

async function makeBlank(path: string, disk: FileDisk, options: OpenOptions): Promise<void> {
  const content = await contentOf(path, disk);
  if (content === null) return;
  if (options.wipe !== true) {
    throw new StorageError('INVALID', `${path} bears ${content}; it is taken only with --wipe`);
  }
  options.log.warn({ device: path, content }, 'wiping the device');
  await wipe(path, disk);
}

async function open(path: string, how: () => number | Promise<number>): Promise<number> {
  try {
    return await how();
  } catch (cause) {
    throw cause instanceof StorageError ? cause : fsError(cause, `${path} cannot be opened`);
  }
}

interface Claim {
  readonly fd: number;
  readonly size: number;
  readonly place: Place;
  readonly options: OpenOptions;
}

/** Lock the descriptor, then `use` it as a disk; whatever fails, all is closed and given back. */
async function claim(
  { fd, size, place, options }: Claim,
  use: (disk: FileDisk, unlock: () => void) => Promise<StoreDisk>,
): Promise<StoreDisk> {
  const { clock, log } = options;
  const { path: name } = place;
  let unlock = (): void => {};
  let disk: FileDisk | null = null;
  try {
    unlock = await lockStore(fd, { name, note: noteOf(place, options), clock, log });
    disk = new FileDisk(name, fd, size);
    return await use(disk, unlock);
  } catch (error) {
    unlock();
    if (disk === null) closeFile(fd);
    else await disk.close();
    throw error;
  }
}

/** Beside a file; a device's directory is not ours to write to. */
function noteOf({ kind, path }: Place, options: OpenOptions): string {
  if (kind !== 'device') return `${path}.lock`;
  return `${options.stateDirectory ?? '/run/petal'}/${basename(path)}.lock`;
}

function storeDisk(
  disk: FileDisk,
  label: Label | null,
  size: number,
  unlock: () => void,
): StoreDisk {
  return {
    disk,
    label,
    size,
    ready: () => {},
    close: async () => {
      unlock();
      await disk.close();
    },
  };
}
