/**
 * A backup of etcd that is older than what was seen is refused, by who has the Directory open and by
 * who opens it, until an operator raises the generation.
 */
import { join } from 'node:path';
import test from 'ava';
import type { StorageError } from '#storage/base/errors.ts';
import { openEtcd, raiseGeneration } from '#storage/cluster/etcd.ts';
import { refused, set } from '#test/kit/directory-subject.ts';
import { withCluster } from '#test/kit/etcd-load.ts';

test('a restored backup is noticed and refused until the generation is raised', async (t) => {
  await withCluster(t, 'bookworm', async (cluster) => {
    const options = await cluster.formatted('/restored/');
    const failures: string[] = [];
    const running = await openEtcd({
      ...options,
      failed: (error: StorageError) => failures.push(error.code),
    });
    await running.commit([], [set('a', 'old')]);
    const backup = join(cluster.directory, 'backup.db');
    await cluster.ctl(['snapshot', 'save', backup]);
    for (let i = 0; i < 20; i++) await running.commit([], [set('a', `${i}`)]);
    const seen = running.seen();
    await cluster.restore(backup);

    await refused(t, running.get('a'), 'TOO_OLD');
    await refused(t, running.commit([], [set('a', 'x')]), 'TOO_OLD');
    t.deepEqual(failures, ['TOO_OLD']);
    await refused(t, openEtcd({ ...options, atLeast: seen }), 'TOO_OLD');
    await refused(t, openEtcd({ ...options, prefix: '/empty/', atLeast: seen }), 'TOO_OLD');
    const other = { ...seen, clusterId: 'another' };
    await refused(t, openEtcd({ ...options, atLeast: other }), 'INVALID');
    await refused(t, raiseGeneration(options, other), 'INVALID');

    // Nobody who saw more opened it: it goes on without a word, until the generation rises.
    const unaware = await openEtcd({ ...options, client: 'two' });
    const raised = await raiseGeneration(options, seen);
    t.is(raised.generation, seen.generation + 1n);
    await refused(t, unaware.get('a'), 'TOO_OLD');
    const again = await openEtcd({ ...options, atLeast: seen });
    t.is(Buffer.from((await again.get('a'))!.value).toString(), 'old');
    t.is(again.seen().generation, raised.generation);
    const low = { ...seen, revision: again.seen().revision };
    await t.notThrowsAsync(openEtcd({ ...options, atLeast: low }).then((one) => one.close()));
    for (const directory of [running, unaware, again]) await directory.close();
  });
});
