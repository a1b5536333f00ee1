/** Who opens the Directory under a server's name ends what was opened under it before, and leaves no keys behind. */
import test from 'ava';
import type { StorageError } from '#storage/base/errors.ts';
import { formatEtcd, openEtcd } from '#storage/cluster/etcd.ts';
import { limits } from '#storage/cluster/limits.ts';
import { refused, set } from '#test/kit/directory-subject.ts';
import { clusterId } from '#test/kit/etcd.ts';
import { withCluster } from '#test/kit/etcd-load.ts';

test('of two under one name the later one commits; keys do not pile up', async (t) => {
  await withCluster(t, 'trixie', async (cluster) => {
    const options = await cluster.formatted('/name/');
    await t.notThrowsAsync(formatEtcd(options, clusterId), 'formatted twice with one id');
    await refused(t, formatEtcd(options, 'another'), 'EXISTS');
    await refused(t, openEtcd({ ...options, prefix: '/none/' }), 'NOT_FOUND');
    const failures: string[] = [];
    const failed = (error: StorageError): void => {
      failures.push(error.code);
    };
    const first = await openEtcd({ ...options, failed });
    await first.commit([], [set('a', '1')]);
    const second = await openEtcd(options);
    await refused(t, first.commit([], [set('a', '2')]), 'IN_USE');
    await refused(t, first.get('a'), 'IN_USE');
    t.deepEqual(failures, ['IN_USE']);
    for (let i = 0; i < 50; i++) await second.commit([], [set('a', `${i}`)]);
    const keys = await cluster.ctl(['get', '/name/', '--prefix', '--keys-only']);
    // The slots, the record, and "a".
    t.is(keys.split('\n').filter(Boolean).length, limits.etcdSlots + 2);
    await Promise.all([first.close(), second.close()]);
  });
});
