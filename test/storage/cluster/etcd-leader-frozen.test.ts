/** The leader stops in the middle of commits without dying, and goes on when another one leads. */
import test from 'ava';
import { underLoad, withCluster } from '#test/kit/etcd-load.ts';

test('the leader is frozen during commits', async (t) => {
  await withCluster(t, 'bookworm', async (cluster) => {
    await underLoad(t, cluster, async (directory) => {
      const leader = await cluster.leader();
      cluster.freeze(leader);
      await cluster.leader(cluster.members.filter((member) => member !== leader));
      await directory.commit([], [{ key: 'meanwhile', value: Buffer.from('1') }]);
      cluster.thaw(leader);
      await cluster.healthy();
    });
  });
});
