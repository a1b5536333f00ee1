/** A commit that is on its way for long, and was settled meanwhile, has no effect when it arrives. */
import test from 'ava';
import { openEtcd } from '#storage/cluster/etcd.ts';
import { Mirror, until } from '#test/kit/directory-subject.ts';
import { withCluster } from '#test/kit/etcd-load.ts';
import { sleep } from '#test/kit/process.ts';

const set = (key: string, text: string) => ({ key, value: Buffer.from(text) });

test('a commit that arrives late has no effect', async (t) => {
  await withCluster(t, 'bookworm', async (cluster) => {
    const directory = await openEtcd(await cluster.formatted('/late/'));
    const mirror = await Mirror.of(directory);
    // The connection to the first member stands. What is sent now gets as far as the network.
    await directory.commit([], [set('before', '')]);
    const { clients } = cluster.members[0]!;
    clients.cut(() => true);
    await directory.commit([], [set('late', '')]);
    await directory.commit([], [{ key: 'late', value: null }]);
    clients.cut(() => false);
    await sleep(500);
    t.is(await directory.get('late'), null);
    await directory.commit([], [set('after', '')]);
    await until(() => mirror.content.has('after'));
    t.deepEqual(
      mirror.heard.map(({ key, value }) => `${value === null ? '-' : '+'}${key}`),
      ['+before', '+late', '-late', '+after'],
    );
    await directory.close();
  });
});
