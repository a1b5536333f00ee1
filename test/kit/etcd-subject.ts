/** What the contract is tried on in etcd: a prefix of its own in one cluster for all promises. */
import { openEtcd } from '#storage/cluster/etcd.ts';
import type { Subject } from './directory-subject.ts';
import type { EtcdCluster } from './etcd.ts';
import { SeededRandom } from './random.ts';

let subjects = 0;

export async function etcdSubject(cluster: EtcdCluster): Promise<Subject> {
  subjects += 1;
  const prefix = `/subject-${subjects}/`;
  return {
    directory: await openEtcd(await cluster.formatted(prefix, 'one')),
    other: await openEtcd(cluster.options(prefix, 'two')),
    forget: () => cluster.compact(),
    disturb: () => disturb(cluster),
  };
}

/** Connections break all the time, in the middle of answers too; now and then one member is away. */
function disturb(cluster: EtcdCluster): () => void {
  const random = new SeededRandom();
  console.log(`# disturbed, seed ${random.seed}`);
  const timer = setInterval(() => {
    const { clients } = random.pick(cluster.members);
    clients.refuse(true);
    if (random.chance(0.7)) clients.refuse(false);
  }, 15);
  return () => {
    clearInterval(timer);
    for (const { clients } of cluster.members) clients.refuse(false);
  };
}
