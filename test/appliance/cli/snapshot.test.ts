/** Snapshots, clones and templates through the command line and over iSCSI. */
import test from 'ava';
import type { DiskView } from '#appliance/disk-view.ts';
import type { SnapshotView } from '#appliance/snapshot-view.ts';
import { type Initiator, senseText } from '#test/kit/initiator.ts';
import { MemoryDaemon } from '../memory-daemon.ts';

const block = (fill: number): Buffer => Buffer.alloc(4096, fill);

/** The byte that a whole block is made of. */
async function first(host: Initiator, lba: number): Promise<number> {
  const data = await host.read(lba, 8);
  return data.equals(block(data[0]!)) ? data[0]! : Number.NaN;
}

/** A disk "a" of 8 MiB with three blocks written over iSCSI. */
async function furnished(t: Parameters<typeof MemoryDaemon.forTest>[0]) {
  const daemon = await MemoryDaemon.forTest(t);
  const disk = await daemon.verbs.disks.create({ name: 'a', size: 8 * 2 ** 20 });
  const host = await daemon.login(disk);
  await host.settle();
  for (const at of [0, 1, 2]) await host.write(at * 8, block(at + 1));
  return { daemon, disk, host };
}

test('a snapshot is made, listed, shown, renamed and deleted', async (t) => {
  const { daemon } = await furnished(t);
  const made = await daemon.say('snapshot', 'create', 'a', '--name', 'monday');
  t.is(made.stdout, 'created a@monday\n', made.output);
  const listed = await daemon.say('snapshot', 'ls', 'a');
  t.regex(
    listed.stdout,
    /^NAME +CREATED +SIZE +USED +CLONES +NOTES\na@monday +20.* +8 MiB +12 KiB/,
  );
  const shown = (await daemon.petal('snapshot', 'show', 'a@monday', '--space')) as SnapshotView;
  t.like(shown, { name: 'a@monday', used: 12_288, exposed: null, group: null, template: false });
  t.deepEqual(shown.space, {
    ...{ logical: 8 * 2 ** 20, used: 12_288, exclusive: 0, shared: 12_288, freed: 0 },
  });
  const twice = await daemon.say('snapshot', 'create', 'a', '--name', 'monday');
  t.is(twice.status, 1);
  t.regex(twice.stderr, /has a snapshot named "monday" already/);
  const renamed = await daemon.say('snapshot', 'rename', 'a@monday', 'tuesday');
  t.is(renamed.stdout, 'a@monday is a@tuesday now\n');
  const unknown = await daemon.say('snapshot', 'show', 'a@tuesda');
  t.regex(unknown.stderr, /'a' has no snapshot 'tuesda'; did you mean 'tuesday'\?/);
  t.is((await daemon.say('snapshot', 'rm', 'a@tuesday')).stdout, 'deleted a@tuesday\n');
  t.deepEqual(await daemon.petal('snapshot', 'ls'), []);
});

test('of several disks at one point, with one group, or of none', async (t) => {
  const daemon = await MemoryDaemon.forTest(t);
  for (const name of ['a', 'b', 'c']) await daemon.verbs.disks.create({ name, size: 8 * 2 ** 20 });
  const made = (await daemon.petal(
    'snapshot',
    'create',
    'a',
    'b',
    '--name',
    'n',
  )) as SnapshotView[];
  t.deepEqual(
    made.map(({ name }) => name),
    ['a@n', 'b@n'],
  );
  t.truthy(made[0]?.group);
  t.is(made[0]?.group, made[1]?.group);
  t.is((await daemon.say('snapshot', 'create', 'c', 'b', '--name', 'n')).status, 1);
  t.deepEqual(await daemon.petal('snapshot', 'ls', 'c'), []);
});

test('an exposed snapshot is a target of its own that nobody writes to, and stays one', async (t) => {
  const { daemon, disk, host } = await furnished(t);
  await daemon.verbs.snapshots.create(['a'], 's');
  await host.write(0, block(9));
  const shown = (await daemon.petal('snapshot', 'expose', 'a@s')) as SnapshotView;
  const { exposed } = shown;
  t.not(exposed?.naa, disk.naa);
  t.not(exposed?.iqn, disk.iqn);
  const reader = await daemon.login(exposed!);
  await reader.settle();
  t.is(await first(reader, 0), 1);
  await t.throwsAsync(reader.write(0, block(7)), { message: /07\/27\/00/ });
  t.is(await first(reader, 0), 1);
  const busy = await daemon.say('snapshot', 'rm', 'a@s');
  t.regex(busy.stderr, /snapshot 's' is used by .*; it can be deleted when they have logged out/);
  t.is((await daemon.say('snapshot', 'unexpose', 'a@s')).status, 1);
  const gone = await daemon.say('snapshot', 'unexpose', 'a@s', '--force');
  t.is(gone.stdout, 'a@s is not exposed any more\n');
  await t.throwsAsync(daemon.login(exposed!));
  const again = (await daemon.petal('snapshot', 'expose', 'a@s')) as SnapshotView;
  t.is(again.exposed?.iqn, exposed?.iqn, 'hosts find it under the name that they know');
  await daemon.stop();
  await daemon.start();
  const later = await daemon.login(exposed!);
  await later.settle();
  t.is(await first(later, 0), 1);
});

test('a rollback keeps what was there, wants no host logged in, and tells hosts when forced', async (t) => {
  const { daemon, host } = await furnished(t);
  await daemon.verbs.snapshots.create(['a'], 's');
  await host.write(0, block(9));
  await daemon.verbs.disks.resize('a', 16 * 2 ** 20, false);
  await host.settle();
  const refused = await daemon.say('snapshot', 'rollback', 'a@s');
  t.is(refused.status, 1);
  t.regex(refused.stderr, /disk 'a' is used by .*log out there first, or force it/);
  const done = (await daemon.petal('snapshot', 'rollback', 'a@s', '--force')) as {
    disk: DiskView;
    kept: SnapshotView;
  };
  t.is(done.disk.size, 8 * 2 ** 20, 'also the size');
  t.regex(done.kept.name, /^a@pre-rollback-\d{4}-\d{2}-\d{2}-\d{6}$/);
  const testUnitReady = Buffer.alloc(16);
  const told = [await host.command(testUnitReady), await host.command(testUnitReady)];
  t.deepEqual(told.map(senseText), ['06/2a/09', '06/3f/03']);
  t.is(await first(host, 0), 1);
  t.is(
    (await daemon.say('snapshot', 'diff', done.kept.name, 'a')).stdout.split('\n')[1],
    '     0    4096',
  );
  await host.logout();
  const back = await daemon.say('snapshot', 'rollback', done.kept.name);
  t.regex(back.stdout, /^a is as a@pre-rollback-.* now; as it was before: a@pre-rollback-/);
  t.like(daemon.verbs.disks.show('a'), { size: 16 * 2 ** 20, snapshots: 3 });
});

test('a clone begins as the snapshot, holds nothing alone, and outlives its origin', async (t) => {
  const { daemon, host } = await furnished(t);
  await daemon.verbs.snapshots.create(['a'], 'base');
  const said = await daemon.say('clone', 'a@base', 'b');
  t.regex(said.stdout, /^created b from a@base: iqn\..*:b LUN 0\n$/);
  const b = await daemon.verbs.disks.showSpace('b');
  t.like(b, { origin: { snapshot: 'a@base', deleted: false }, used: 12_288 });
  t.like(b.space, { exclusive: 0, shared: 12_288, freed: 0 });
  await host.logout();
  const kept = await daemon.say('disk', 'rm', 'a');
  t.is(kept.status, 1);
  t.regex(kept.stderr, /disk 'a' has snapshots: a@base; delete them, or all of them with it/);
  t.is((await daemon.say('disk', 'rm', 'a', '--with-snapshots')).status, 0);
  t.like(daemon.verbs.disks.show('b'), {
    origin: { snapshot: 'a@base', deleted: true },
  });
  const reader = await daemon.login(b);
  await reader.settle();
  t.is(await first(reader, 8), 2);
  await reader.write(8, block(20));
  const direct = await daemon.say('clone', 'b', 'c', '--reserved');
  t.regex(direct.stdout, /^created c from b@clone-\d{4}-.*: iqn/);
  t.like(daemon.verbs.disks.show('c'), { reserved: true });
});

test('a template is protected until it is unset', async (t) => {
  const { daemon } = await furnished(t);
  await daemon.verbs.snapshots.create(['a'], 'gold');
  t.is((await daemon.say('template', 'set', 'a@gold')).stdout, 'a@gold is a template now\n');
  const listed = (await daemon.petal('template', 'ls')) as SnapshotView[];
  t.deepEqual(
    listed.map(({ name }) => name),
    ['a@gold'],
  );
  for (const args of [
    ['snapshot', 'rm', 'a@gold'],
    ['disk', 'rm', 'a', '--force', 'a', '--with-snapshots'],
  ]) {
    const refused = await daemon.say(...args);
    t.is(refused.status, 1);
    t.regex(refused.stderr, /'a@gold' is a template; it can be deleted when that is unset/);
  }
  await daemon.verbs.snapshots.setTemplate('a@gold', false);
  t.is((await daemon.say('snapshot', 'rm', 'a@gold')).status, 0);
});

test('a flattened clone shares nothing and has no origin', async (t) => {
  const { daemon } = await furnished(t);
  await daemon.verbs.snapshots.create(['a'], 'base');
  await daemon.verbs.snapshots.clone('a@base', 'b', false);
  const said = await daemon.say('disk', 'flatten', 'b', '--rate', '1G');
  t.is(said.stdout, 'b shares nothing with an origin\n', said.output);
  const b = await daemon.verbs.disks.showSpace('b');
  t.like(b, { origin: null, flatten: null });
  t.like(b.space, { exclusive: 12_288, shared: 0 });
  const slow = await daemon.say('disk', 'flatten', 'b', '--rate', '4096');
  t.regex(slow.stderr, /the slowest pace is/);
});

test('what hosts may erase they may not while a snapshot or a clone lies under its key', async (t) => {
  const daemon = await MemoryDaemon.forTest(t);
  const disk = await daemon.verbs.disks.create({ name: 's', size: 8 * 2 ** 20, sanitize: true });
  const erase = Buffer.from('4803'.padEnd(32, '0'), 'hex');
  const host = await daemon.login(disk);
  await host.settle();
  await host.write(0, block(5));
  await daemon.verbs.snapshots.create(['s'], 'x');
  await daemon.verbs.snapshots.clone('s@x', 'fork', false);
  await host.settle();
  t.is(senseText(await host.command(erase)), '05/20/00');
  await daemon.verbs.snapshots.remove('s@x');
  await host.settle();
  t.is(senseText(await host.command(erase)), '05/20/00', 'the clone has the key, too');
  const fork = await daemon.login(daemon.verbs.disks.show('fork'));
  await fork.settle();
  t.is(await first(fork, 0), 5);
  await fork.logout();
  const { id } = await daemon.verbs.disks.remove('fork', 'fork');
  await host.settle();
  t.is(senseText(await host.command(erase)), '05/20/00', 'and could be restored');
  await daemon.store.catalog.purge(id);
  await host.settle();
  t.is(senseText(await host.command(erase)), 'none');
});
