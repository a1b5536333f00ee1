/** A commit that was on its way for long, and was settled meanwhile, has no effect when it arrives. */
import test from 'ava';
import { openEtcd } from '#storage/cluster/etcd.ts';
import { withCluster } from '#test/kit/etcd-load.ts';
import { sleep } from '#test/kit/process.ts';

const set = (key: string, text: string) => ({ key, value: Buffer.from(text) });

test('a commit that arrives late has no effect', async (t) => {
  await withCluster(t, 'bookworm', async (cluster) => {
    const directory = await openEtcd(await cluster.formatted('/late/'));
    const heard: string[] = [];
    const { revision } = await directory.list('');
    directory.watch('', revision, ({ key, value }) => heard.push(`${key} ${value?.length}`));
    for (let round = 0; round < 3; round++) {
      // Connections stand; what is sent now stays on its way.
      await directory.commit([], [set('warm', '')]);
      for (const { clients } of cluster.members) clients.cut(() => true);
      const call = directory.commit([], [set('key', 'value')]);
      await sleep(500);
      // All but the one that has it.
      for (const { clients } of cluster.members) clients.refuse(true);
      for (const { clients } of cluster.members) clients.refuse(false);
      await call;
      await directory.commit([], [{ key: 'key', value: null }]);
      for (const { clients } of cluster.members) clients.cut(() => false);
    }
    await directory.close();
  });
});
