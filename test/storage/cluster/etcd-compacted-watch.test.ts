/**
 * A watch whose connection has gone silent is noticed, and what etcd has compacted meanwhile is told by
 * what differs: keys that changed, keys that came, keys that went.
 */
import test from 'ava';
import { openEtcd } from '#storage/cluster/etcd.ts';
import { contents, inOrder, Mirror, set, unset, until } from '#test/kit/directory-subject.ts';
import { hurried, withCluster } from '#test/kit/etcd-load.ts';

test('a watch that was half open while history was compacted ends with the right state', async (t) => {
  await withCluster(t, 'bookworm', async (cluster) => {
    const options = await cluster.formatted('/compacted/');
    const watcher = await openEtcd({ ...options, clock: hurried(4) });
    // By another way, which stays whole.
    const writer = await openEtcd({
      ...cluster.options('/compacted/', 'two'),
      endpoints: cluster.members.map(({ clientPort }) => `https://127.0.0.1:${clientPort}`),
    });
    await writer.commit(
      [],
      ['changed', 'gone', 'kept', 'other/gone'].map((key) => set(key, '1')),
    );
    const mirror = await Mirror.of(watcher);
    const { revision } = await watcher.list('other/');
    const others: string[] = [];
    watcher.watch('other/', revision, ({ key, value }) => others.push(`${key} ${value?.length}`));
    await writer.commit([], [set('heard', '')]);
    await until(() => mirror.content.has('heard'));

    for (const { clients } of cluster.members) {
      clients.silence();
      // However long what follows takes, it is over before the watcher comes back.
      clients.cut(() => true);
    }
    await writer.commit([], [set('changed', '2'), unset('gone'), unset('other/gone')]);
    await writer.commit([], [set('changed', '3'), set('came', '1'), set('came-and-went', '')]);
    await writer.commit([], [unset('came-and-went'), unset('heard')]);
    await cluster.compact();
    await writer.commit([], [set('last', '')]);
    for (const { clients } of cluster.members) clients.cut(() => false);

    const wanted = await contents(writer);
    await until(() => mirror.equals(wanted));
    await until(() => others.length > 0);
    t.deepEqual(others, ['other/gone undefined']);
    t.true(inOrder(mirror.heard));
    const changed = mirror.heard.filter(({ key }) => key === 'changed');
    t.is(changed.length, 1, 'the value in between is forgotten');
    t.is(changed[0]!.revision, (await writer.get('changed'))!.modified);
    await watcher.close();
    await writer.close();
  });
});
