/** A virtual disk's life through the command line: made, shown, grown, renamed, removed, restored. */
import test from 'ava';
import type { DiskView } from '#appliance/disk-view.ts';
import { Daemon } from '#test/kit/daemon.ts';
import { petal, storeSize } from '../harness.ts';

const GiB = 1024 ** 3;

test('a disk made is listed and shown with everything hosts need', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const made = (await daemon.petal('disk', 'create', 'data', '1.5G')) as DiskView;
  t.like(made, {
    name: 'data',
    size: 1.5 * GiB,
    used: 0,
    lun: 0,
    sectorBytes: 512,
    reserved: false,
    sessions: 0,
    access: [],
  });
  t.is(made.serial, made.id);
  t.is(made.naa, `naa.6${made.id.slice(1)}`);
  t.true(Math.abs(Date.parse(made.created) - Date.now()) < 24 * 3600 * 1000);
  t.deepEqual(await daemon.petal('disk', 'show', 'data'), made);
  t.deepEqual(await daemon.petal('disk', 'show', made.id), made);
  const listed = (await daemon.petal('disk', 'ls')) as DiskView[];
  t.deepEqual(
    listed.map(({ name }) => name),
    ['data', 'disk0'],
  );
  t.deepEqual(listed[0], made);
  t.not(listed[1]?.naa, made.naa);
  const table = await petal(daemon, 'disk', 'ls');
  t.regex(
    table.stdout,
    /^NAME +SIZE +USED +KIND +SESSIONS +TARGET \(LUN 0\)\ndata +1\.5 GiB +0 B +thin/,
  );
  t.false(table.stdout.includes('\x1b'), 'no escape codes in a pipe');
});

test('options at creation hold', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const made = await daemon.petal(
    'disk',
    'create',
    'native',
    '8M',
    '--sector',
    '4096',
    '--reserved',
  );
  t.like(made as DiskView, { sectorBytes: 4096, reserved: true, size: 8 * 1024 ** 2 });
});

test('a disk grows at once; it shrinks only by force', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  t.like((await daemon.petal('disk', 'resize', 'disk0', '20G')) as DiskView, { size: 20 * GiB });
  const refused = await petal(daemon, 'disk', 'resize', 'disk0', '5G');
  t.is(refused.status, 1);
  t.regex(
    refused.stderr,
    /^petal: 'disk0' has 20 GiB: what lies past 5 GiB would be lost for good/,
  );
  const forced = await daemon.petal('disk', 'resize', 'disk0', '5G', '--force');
  t.like(forced as DiskView, { size: 5 * GiB });
});

test('a rename keeps target and identity, and the old name starts a new target', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const before = (await daemon.disk('disk0')) as DiskView;
  const renamed = (await daemon.petal('disk', 'rename', 'disk0', 'system')) as DiskView;
  t.deepEqual(renamed, { ...before, name: 'system' });
  const again = await daemon.createDisk('disk0', '1G');
  t.is(again.iqn, `${before.iqn}-2`);
  t.not(again.naa, before.naa);
});

test('a removed disk can be restored, also beside a new one of its name', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const before = await daemon.disk('disk0');
  const said = await petal(daemon, 'disk', 'rm', 'disk0');
  t.is(said.status, 0, said.output);
  t.regex(said.stdout, /unless the space is needed, .*petal disk undelete disk0/);
  t.deepEqual(await daemon.petal('disk', 'ls'), []);
  const missing = await petal(daemon, 'disk', 'show', 'disk0');
  t.regex(missing.stderr, /no disk 'disk0'; it is removed and can be restored/);
  const [removed] = (await daemon.petal('disk', 'ls', '--removed')) as DiskView[];
  const keptMs = Date.parse(removed?.restorableUntil ?? '') - Date.parse(removed?.removed ?? '');
  t.is(keptMs, 24 * 3600 * 1000);
  await daemon.createDisk('disk0', '1G');
  const taken = await petal(daemon, 'disk', 'undelete', 'disk0');
  t.is(taken.status, 1);
  t.regex(taken.stderr, /there is a disk named 'disk0'/);
  const restored = await daemon.petal('disk', 'undelete', 'disk0', '--as', 'old');
  t.deepEqual(restored, { ...before, name: 'old' });
  t.deepEqual(await daemon.petal('disk', 'ls', '--removed'), []);
});

test('access is granted, listed in normal form, and taken back', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  await daemon.petal('access', 'allow', 'disk0', 'IQN.1993-08.org.debian:01:ABC');
  await daemon.petal('access', 'allow', 'disk0', '192.0.2.7/24');
  await daemon.petal('access', 'allow', 'disk0', '198.51.100.7', '--read-only');
  const rule = (host: string, readOnly = false) => ({ host, readOnly, user: null });
  const hosts = [
    rule('iqn.1993-08.org.debian:01:abc'),
    rule('192.0.2.0/24'),
    rule('198.51.100.7/32', true),
  ];
  t.deepEqual(await daemon.petal('access', 'ls', 'disk0'), { disk: 'disk0', hosts });
  await daemon.petal('access', 'allow', 'disk0', '198.51.100.7');
  await daemon.petal('access', 'allow', 'disk0', '192.0.2.0/24', '--read-only');
  const swapped = [hosts[0], rule('192.0.2.0/24', true), rule('198.51.100.7/32')];
  t.deepEqual(await daemon.petal('access', 'ls', 'disk0'), { disk: 'disk0', hosts: swapped });
  await daemon.petal('access', 'deny', 'disk0', '198.51.100.7');
  t.deepEqual(((await daemon.disk()) as DiskView).access, swapped.slice(0, 2));
  const text = await petal(daemon, 'access', 'ls', 'disk0');
  t.is(
    text.stdout,
    'HOST                           MAY          CHAP USER\n' +
      'iqn.1993-08.org.debian:01:abc  read, write  -\n' +
      '192.0.2.0/24                   read         -\n',
  );
  const unknown = await petal(daemon, 'access', 'allow', 'disk0', '192.0.2.1', '--user', 'anna');
  t.is(unknown.status, 1);
  t.regex(unknown.stderr, /'disk0' has no CHAP user 'anna'; make it first/);
});
