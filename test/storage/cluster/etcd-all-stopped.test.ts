/** All members are killed and started again: calls say so meanwhile, then all goes on, watches without a gap. */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { openEtcd } from '#storage/cluster/etcd.ts';
import { hurried, underLoad, withCluster } from '#test/kit/etcd-load.ts';

test('all members are killed and started again', async (t) => {
  await withCluster(t, 'bookworm', async (cluster) => {
    await underLoad(t, cluster, async () => {
      const options = cluster.options('/load/', 'impatient');
      const impatient = await openEtcd({ ...options, clock: hurried(20) });
      await Promise.all(cluster.members.map((member) => cluster.kill(member)));
      const value = Buffer.from('1');
      for (const call of [
        impatient.get('k/0'),
        impatient.list(''),
        impatient.commit([], [{ key: 'never', value }]),
      ]) {
        const error = await t.throwsAsync(call, { instanceOf: StorageError });
        t.is(error?.code, 'BUSY', 'nobody was there to take it');
      }
      for (const member of cluster.members) cluster.startMember(member);
      await cluster.healthy();
      t.not(await impatient.get('k/0'), null);
      t.is(await impatient.get('never'), null);
      await impatient.close();
    });
  });
});
