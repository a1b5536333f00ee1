/** Commits that go on while something happens to the cluster, and what must hold afterwards. */
import type { ExecutionContext } from 'ava';
import { type Clock, realClock } from '#storage/base/clock.ts';
import { type EtcdDirectory, openEtcd } from '#storage/cluster/etcd.ts';
import { madeOnce, makeOnce } from './directory-contract-faults.ts';
import { inOrder, Mirror, until } from './directory-subject.ts';
import type { Release } from './etcd.ts';
import { EtcdCluster } from './etcd.ts';

/** Time that passes `factor` times as fast, for what waits for long silences. */
export const hurried = (factor: number): Clock => ({
  ...realClock,
  now: () => realClock.now() * factor,
  after: (delayMs, fire) => realClock.after(delayMs / factor, fire),
});

/** A cluster for one test. */
export async function withCluster(
  t: ExecutionContext,
  release: Release,
  body: (cluster: EtcdCluster) => Promise<void>,
): Promise<void> {
  const cluster = await EtcdCluster.start(release);
  t.teardown(() => cluster.stop());
  await body(cluster);
}

/**
 * Two clients commit, a third one watches, while `disaster` happens. Each commit that was told is
 * there, each whose outcome was unknown is settled, none is there twice, and all of them are heard.
 */
export async function underLoad(
  t: ExecutionContext,
  cluster: EtcdCluster,
  disaster: (directory: EtcdDirectory) => Promise<void>,
): Promise<void> {
  const one = await openEtcd(await cluster.formatted('/load/', 'one'));
  const two = await openEtcd(cluster.options('/load/', 'two'));
  const three = await openEtcd(cluster.options('/load/', 'three'));
  const mirror = await Mirror.of(three);
  const keys: string[] = [];
  let going = true;
  const work = async (directory: EtcdDirectory): Promise<void> => {
    while (going) {
      const key = `k/${keys.length}`;
      keys.push(key);
      await makeOnce(directory, key);
    }
  };
  const workers = [work(one), work(two)];
  try {
    await until(() => keys.length > 20);
    await disaster(three);
    const before = keys.length;
    await until(() => keys.length > before + 20);
  } finally {
    going = false;
    await Promise.all(workers);
  }
  t.log(`${keys.length} commits`);
  for (const directory of [one, two, three]) await madeOnce(t, directory, keys);
  const counts = (): number[] =>
    mirror.heard.flatMap(({ key, value }) =>
      key === 'count' && value !== null ? [Number(Buffer.from(value).toString())] : [],
    );
  await until(() => counts().length >= keys.length);
  t.deepEqual(
    counts(),
    keys.map((_, index) => index + 1),
  );
  t.true(inOrder(mirror.heard));
  for (const directory of [one, two, three]) await directory.close();
}

/** The leader is killed in the middle of commits and comes back later. */
export async function leaderKilled(t: ExecutionContext, release: Release): Promise<void> {
  await withCluster(t, release, async (cluster) => {
    await underLoad(t, cluster, async () => {
      const leader = await cluster.leader();
      await cluster.kill(leader);
      const others = cluster.members.filter((member) => member !== leader);
      t.not(await cluster.leader(others), leader);
      cluster.startMember(leader);
      await cluster.healthy();
    });
  });
}
