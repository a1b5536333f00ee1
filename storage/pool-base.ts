/** What a server stands on: the disks of its log and of its Directory, a pool of them or one that was handed over. */
import type { Random } from './base/random.ts';
import { formatEmbedded } from './cluster/embedded.ts';
import type { Disk } from './disk/disk.ts';
import { formatBlocks } from './map/open.ts';
import type { Pool } from './pool.ts';

export interface Base {
  readonly storeId: Uint8Array;
  readonly log: Disk;
  readonly directory: Disk;
  /** For people: paths. */
  readonly name: string;
  /** Of all disks together. */
  readonly bytes: number;
}

/** The pool as it is at any moment: disks come and go. */
export const baseOf = (pool: Pool): Base => ({
  storeId: pool.storeId,
  log: pool.log,
  directory: pool.directory,
  get name() {
    return pool.name;
  },
  get bytes() {
    return pool.bytes;
  },
});

/** Everything a new store holds but its labels: they come last and mean that all of it is there. */
export async function fill(
  { log, directory }: Pick<Base, 'log' | 'directory'>,
  storeId: Uint8Array,
  random: Random,
): Promise<void> {
  await formatEmbedded(directory, storeId);
  await formatBlocks(log, { storeId, random });
  await log.sync();
}
