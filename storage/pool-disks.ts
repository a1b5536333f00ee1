/** Finds the disks that a store is given by path, and makes those of a new one. */

import type { Clock } from './base/clock.ts';
import { StorageError } from './base/errors.ts';
import type { Log } from './base/log.ts';
import type { Random } from './base/random.ts';
import type { Layout } from './disk/array/geometry.ts';
import { formatArray, layOutArray } from './disk/array/open.ts';
import { layOut } from './disk/label.ts';
import { type Disks, realDisks, type StoreDisk } from './disk/open.ts';

export interface LayoutChoice {
  readonly layout: Layout;
  /** Data disks of a zone; null: as many as there are. */
  readonly columns: number | null;
}

export interface PoolOptions {
  /** Directories, files, block devices; at least one. */
  readonly paths: readonly string[];
  /** Where disks of the store were before. Nothing is made there; what is not of the store is let be. */
  readonly remembered?: readonly string[] | undefined;
  /** Of a new store; null: the simple one, of one disk. */
  readonly layout: LayoutChoice | null;
  /** Bytes of each new file. */
  readonly size?: number | undefined;
  readonly wipe?: boolean | undefined;
  readonly stateDirectory?: string | undefined;
  /** Default: files and devices of this machine. */
  readonly disks?: Disks | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface FoundDisks {
  /** With labels; those of a new store are not written yet. */
  readonly stores: StoreDisk[];
  readonly created: boolean;
  readonly simple: boolean;
}

/** IN_USE, INVALID, NOT_FOUND, NO_SPACE, CORRUPT, TOO_NEW. */
export async function findDisks(options: PoolOptions): Promise<FoundDisks> {
  const { paths, layout, disks = realDisks } = options;
  const [only] = paths;
  const remembered = (options.remembered ?? []).filter((path) => !paths.includes(path));
  // Nothing is to be known beforehand: a file that is there is the store, one that is not becomes it.
  if (paths.length === 1 && layout === null && remembered.length === 0) {
    const store = await disks.open({ ...options, path: only! });
    if (store.label !== null) return sorted([store], [], options);
    return { stores: [labelled(store, options)], created: true, simple: true };
  }
  const stores: StoreDisk[] = [];
  const failures: Error[] = [];
  try {
    for (const path of paths) {
      const store = await tryOpen(path, options, failures);
      if (store?.label === null) await store.close();
      else if (store !== null) stores.push(store);
    }
    for (const path of remembered) {
      const store = await tryOpen(path, options, failures);
      if (store === null) continue;
      if (isFellow(store, stores[0] ?? store)) stores.push(store);
      else await store.close();
    }
    if (stores.length > 0) return sorted(stores, failures, options);
    if (layout === null && paths.length === 1) {
      const store = await disks.open({ ...options, path: only! });
      return { stores: [labelled(store, options)], created: true, simple: true };
    }
    if (layout === null) {
      const text = `${paths.length} disks and no store on them: --layout says how to use them`;
      throw new StorageError('INVALID', text);
    }
    await makeAll(stores, options);
    return { stores, created: true, simple: false };
  } catch (error) {
    for (const store of stores) await store.close();
    throw error;
  }
}

/** Whether a disk is one of the array that another one belongs to. */
function isFellow({ label }: StoreDisk, other: StoreDisk): boolean {
  if (label === null || label.member === null || other.label === null) return false;
  return Buffer.compare(label.storeId, other.label.storeId) === 0;
}

/** Null: there is none, or none of ours; a store can do without. What others use is refused. */
async function tryOpen(
  path: string,
  options: PoolOptions,
  failures: Error[],
): Promise<StoreDisk | null> {
  try {
    return await (options.disks ?? realDisks).existing({ ...options, path });
  } catch (error) {
    if (!(error instanceof StorageError) || error.code === 'IN_USE') throw error;
    failures.push(error);
    return null;
  }
}

function sorted(
  stores: StoreDisk[],
  failures: readonly Error[],
  { layout, log }: PoolOptions,
): FoundDisks {
  for (const error of failures) log.warn({ err: error }, 'a disk that was given cannot be used');
  const alone = stores.find(({ label }) => label?.member === null);
  if (alone === undefined) return { stores, created: false, simple: false };
  if (stores.length === 1 && failures.length === 0 && layout === null) {
    return { stores, created: false, simple: true };
  }
  const text = `${alone.disk.name} is a store of its own: give it alone, without --layout`;
  throw new StorageError('INVALID', text);
}

const labelled = (store: StoreDisk, { random, clock }: PoolOptions): StoreDisk => ({
  ...store,
  label: layOut(random.bytes(16), clock.wall(), store.size),
});

/** New ones, those that others fail to follow taken away again. */
async function makeAll(stores: StoreDisk[], options: PoolOptions): Promise<void> {
  const { disks = realDisks } = options;
  const sharers = options.paths.length;
  for (const path of options.paths) {
    const size = options.size ?? stores[0]?.size;
    stores.push(await disks.open({ ...options, path, sharers, size }));
  }
}

/** Table of a new array; its labels come last. */
export async function makeArray(found: FoundDisks, options: PoolOptions): Promise<void> {
  const { layout, columns } = options.layout!;
  const { stores } = found;
  const labels = layOutArray(
    stores.map((store) => store.size),
    layout,
    options,
  );
  const disks = stores.map(({ disk }, index) => ({ disk, label: labels[index]! }));
  await formatArray(disks, layout, columns, options);
  stores.forEach((store, index) => {
    stores[index] = { ...store, label: labels[index]! };
  });
}
