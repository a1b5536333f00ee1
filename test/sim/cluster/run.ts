/** One seed: a cluster under load and faults, healed and checked. */

import { StorageError } from '#storage/base/errors.ts';
import { Replica } from '#storage/replica/replica.ts';
import { Client } from '#storage/volume/client.ts';
import { Cluster, type ClusterSoftware } from './cluster.ts';
import { Nemesis } from './nemesis.ts';

export const software: ClusterSoftware = { Replica, Client, StorageError };

export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly operations: number;
  /** Whether enough happened. */
  readonly counts: boolean;
  readonly faults: ReadonlyMap<string, number>;
  readonly removals: number;
  readonly admissions: number;
  /** Of the simulated world. */
  readonly seconds: number;
}

/** Operations and faults go on until the seed counts: enough of each, and a removal and a return. */
const operationsLeast = 1000;
const faultsLeast = 5;

const roundsMost = 30;

export async function runSeed(software: ClusterSoftware, seed: number): Promise<SeedResult> {
  const cluster = new Cluster(software, seed);
  const nemesis = new Nemesis(cluster);
  cluster.start();
  const operations = () => cluster.hosts.reduce((sum, host) => sum + host.done, 0);
  const enough = () =>
    operations() >= operationsLeast &&
    nemesis.faults >= faultsLeast &&
    cluster.removals > 0 &&
    cluster.admissions > 0;
  for (let rounds = 0; !enough() && rounds < roundsMost; rounds += 1) {
    await nemesis.rage(6000);
    cluster.heal();
    if (rounds > 1 && cluster.removals === 0) await nemesis.outage();
    // Where everything is always broken nothing is done: work goes on a little after each healing.
    await cluster.pass(cluster.random.below(4000) + (operations() < operationsLeast ? 6000 : 0));
  }
  cluster.stop();
  cluster.heal();
  await cluster.check();
  const { violations, removals, admissions, world } = cluster;
  return {
    ...{ seed, violations, removals, admissions, operations: operations(), counts: enough() },
    faults: nemesis.counts,
    seconds: world.now() / 1000,
  };
}
