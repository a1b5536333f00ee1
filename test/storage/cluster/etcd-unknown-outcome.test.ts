/**
 * A commit of which nobody can tell while etcd is away; when it is back, what its client reads is final,
 * although the commit is still on its way.
 */
import test from 'ava';
import { openEtcd } from '#storage/cluster/etcd.ts';
import { refused, set } from '#test/kit/directory-subject.ts';
import { hurried, withCluster } from '#test/kit/etcd-load.ts';
import { sleep } from '#test/kit/process.ts';

test('what is read back after an unknown outcome is final', async (t) => {
  await withCluster(t, 'bookworm', async (cluster) => {
    const options = await cluster.formatted('/unknown/');
    const directory = await openEtcd({ ...options, clock: hurried(4) });
    // When what opening asks for has been answered, one connection to the first member is in use: it
    // will carry the commit, and nothing that comes after it.
    await sleep(500);
    await directory.commit([], [set('before', '')]);
    for (const { clients } of cluster.members) clients.cut(() => true);
    await refused(t, directory.commit([], [set('late', '')]), 'UNKNOWN_OUTCOME');
    await refused(t, directory.get('late'), 'BUSY');
    // The first member's network still holds what was sent.
    for (const { clients } of cluster.members.slice(1)) clients.cut(() => false);
    t.is(await directory.get('late'), null);
    cluster.members[0]!.clients.cut(() => false);
    await sleep(500);
    t.is(await directory.get('late'), null);
    await directory.commit([], [set('late', '')]);
    await directory.close();
  });
});
