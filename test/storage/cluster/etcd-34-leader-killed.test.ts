/** The leader is killed in the middle of commits and comes back later: none is lost or doubled. etcd 3.4. */
import test from 'ava';
import { underLoad, withCluster } from '#test/kit/etcd-load.ts';

test('etcd 3.4: the leader is killed during commits', async (t) => {
  await withCluster(t, 'bookworm', async (cluster) => {
    await underLoad(t, cluster, async () => {
      const leader = await cluster.leader();
      await cluster.kill(leader);
      const others = cluster.members.filter((member) => member !== leader);
      t.not(await cluster.leader(others), leader);
      cluster.startMember(leader);
      await cluster.healthy();
    });
  });
});
