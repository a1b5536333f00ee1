/** What the contract is tried on in etcd: a prefix of its own in one cluster for all promises. */
import { openEtcd } from '#storage/cluster/etcd.ts';
import { limits } from '#storage/cluster/limits.ts';
import { type Declare, Mirror, promising, type Subject, until } from './directory-subject.ts';
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

/** What etcd's own bounds make hard: lists and watches of far more than one answer may hold. */
export function etcdBoundsContract(test: Declare, make: () => Promise<Subject>): void {
  promising(test, make)('a list larger than any answer is whole', async (t, subject) => {
    const { directory, other } = subject;
    const mirror = await Mirror.of(other!);
    const count = Math.ceil(limits.etcdAnswerBytes / limits.valueBytes) + 1;
    for (let i = 0; i < count; i++) {
      const value = new Uint8Array(limits.valueBytes).fill(i);
      await directory.commit([], [{ key: `k${i}`, value }]);
    }
    const { entries } = await directory.list('');
    t.is(entries.length, count);
    for (const { key, value } of entries) {
      t.is(value.length, limits.valueBytes);
      t.is(value.at(-1), Number(key.slice(1)));
    }
    await until(() => mirror.heard.length === count);
  });
}
