/** Looks for a fault of replication: seeds of the simulated cluster, until one is wrong. */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ClusterSoftware } from '../sim/cluster/cluster.ts';
import { runSeed } from '../sim/cluster/run.ts';

/** A fault that so many seeds do not show is not caught. */
const seedsMost = 120;

/** Null: nothing was found. `storage` is the directory of the copy. */
export async function findInCluster(storage: string, most = seedsMost): Promise<string | null> {
  const load = async (file: string) => await import(pathToFileURL(join(storage, file)).href);
  const software: ClusterSoftware = {
    ...(await load('replica/replica.ts')),
    ...(await load('volume/client.ts')),
    ...(await load('base/errors.ts')),
  };
  for (let seed = 1; seed <= most; seed += 1) {
    let violations: readonly string[];
    try {
      ({ violations } = await runSeed(software, seed));
    } catch (error) {
      violations = [String(error)];
    }
    if (violations.length > 0) return `seed ${seed}: ${violations[0]!.slice(0, 300)}`;
  }
  return null;
}
