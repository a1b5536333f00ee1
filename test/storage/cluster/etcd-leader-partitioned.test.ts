/**
 * The leader is cut off from the other members, but not from clients: it answers nobody with what is
 * old, takes no commit that is lost later, and a watch through it is noticed to be silent.
 */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { openEtcd } from '#storage/cluster/etcd.ts';
import { limits } from '#storage/cluster/limits.ts';
import { answered } from '#test/kit/directory-contract-faults.ts';
import { hurried, underLoad, withCluster } from '#test/kit/etcd-load.ts';

test('the leader is partitioned during commits', async (t) => {
  await withCluster(t, 'bookworm', async (cluster) => {
    await underLoad(t, cluster, async (directory) => {
      const leader = await cluster.leader();
      const options = cluster.options('/load/', 'behind');
      const behind = await openEtcd({
        ...options,
        endpoints: [`https://127.0.0.1:${leader.clientPort}`],
        clock: hurried(8),
      });
      await directory.commit([], [{ key: 'value', value: Buffer.from('old') }]);
      cluster.isolate(leader);
      await cluster.leader(cluster.members.filter((member) => member !== leader));
      await directory.commit([], [{ key: 'value', value: Buffer.from('new') }]);
      const read = await t.throwsAsync(behind.get('value'), { instanceOf: StorageError });
      t.is(read?.code, 'BUSY');
      const lost = behind.commit([], [{ key: 'lost', value: Buffer.from('1') }]);
      const error = await t.throwsAsync(lost, { instanceOf: StorageError });
      t.is(error?.code, 'UNKNOWN_OUTCOME');
      cluster.heal();
      await cluster.healthy();
      // What is read back now is final.
      const found = await answered(() => behind.get('lost'));
      t.is(Buffer.from((await answered(() => behind.get('value')))!.value).toString(), 'new');
      await new Promise((resolve) => setTimeout(resolve, limits.etcdAttemptMs));
      t.deepEqual(await directory.get('lost'), found);
      await behind.close();
    });
  });
});
