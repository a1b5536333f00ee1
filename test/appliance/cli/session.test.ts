/** A disk in use is not taken away by accident; sessions are listed, counted and ended by hand. */
import test from 'ava';
import type { DiskView } from '#appliance/disk-view.ts';
import type { SessionView } from '#appliance/status.ts';
import { Daemon, type DiskInfo } from '#test/kit/daemon.ts';
import { type Initiator, LoginRefused } from '#test/kit/initiator.ts';
import { petal, storeSize } from '../harness.ts';

const sessions = async (daemon: Daemon) =>
  (await daemon.petal('session', 'ls')) as readonly SessionView[];

/** Logged in, with the unit attention of a new nexus taken. */
async function logIn(daemon: Daemon, disk: DiskInfo): Promise<Initiator> {
  const host = await daemon.login(disk);
  await host.settle();
  return host;
}

/** The daemon learns of a closed connection a moment after the initiator. */
async function untilNoSession(daemon: Daemon): Promise<void> {
  while ((await sessions(daemon)).length > 0);
}

test('a session is listed with who, where and how much', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.disk();
  const host = await logIn(daemon, disk);
  await host.write(0, Buffer.alloc(8192, 7));
  t.deepEqual(await host.read(0, 8), Buffer.alloc(4096, 7));
  const [session, ...others] = await sessions(daemon);
  t.deepEqual(others, []);
  t.like(session, {
    disk: 'disk0',
    target: disk.iqn,
    address: '127.0.0.1',
    bytesWritten: 8192,
    bytesRead: 4096,
  });
  t.like((await daemon.disk()) as DiskView, { sessions: 1, used: 8192 });
  await host.logout();
  await untilNoSession(daemon);
  t.is(((await daemon.disk()) as DiskView).sessions, 0);
});

test('a session that is kicked ends, and the host may come back', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.disk();
  const host = await logIn(daemon, disk);
  const [session] = await sessions(daemon);
  t.is((await petal(daemon, 'session', 'kick', session!.id)).status, 0);
  await t.throwsAsync(host.read(0, 1));
  await untilNoSession(daemon);
  const again = await logIn(daemon, disk);
  await again.read(0, 1);
  await again.logout();
});

test('rm is refused while a session uses the disk, unless its name is repeated', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.disk();
  const host = await logIn(daemon, disk);
  await host.write(0, Buffer.alloc(4096, 9));
  const refused = await petal(daemon, 'disk', 'rm', 'disk0');
  t.is(refused.status, 1);
  t.regex(refused.stderr, /disk 'disk0' is used by iqn\.\S+ at 127\.0\.0\.1; log out there first/);
  const wrong = await petal(daemon, 'disk', 'rm', 'disk0', '--force', 'disk1');
  t.is(wrong.status, 1);
  t.regex(wrong.stderr, /repeat the disk's name, 'disk0', not 'disk1'/);
  await host.read(0, 1);
  t.is((await petal(daemon, 'disk', 'rm', 'disk0', '--force', 'disk0')).status, 0);
  t.deepEqual(await sessions(daemon), []);
  await t.throwsAsync(host.read(0, 1));
  await t.throwsAsync(logIn(daemon, disk), { instanceOf: LoginRefused });
  await daemon.petal('disk', 'undelete', 'disk0');
  const again = await logIn(daemon, disk);
  t.deepEqual(await again.read(0, 8), Buffer.alloc(4096, 9), 'its content is back');
  await again.logout();
});

test('a disk in use does not shrink, even by force', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const host = await logIn(daemon, await daemon.disk());
  const refused = await petal(daemon, 'disk', 'resize', 'disk0', '1G', '--force');
  t.is(refused.status, 1);
  t.regex(refused.stderr, /is used by .*; it can be shrunk when they have logged out/);
  await host.logout();
  await untilNoSession(daemon);
  t.is((await petal(daemon, 'disk', 'resize', 'disk0', '1G', '--force')).status, 0);
});

test('SIGTERM with a session open is a clean shutdown', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const host = await logIn(daemon, await daemon.disk());
  await host.write(0, Buffer.alloc(4096, 3));
  await daemon.stop();
  await t.throwsAsync(host.read(0, 1));
  await daemon.launch();
  const again = await logIn(daemon, await daemon.disk());
  t.deepEqual(await again.read(0, 8), Buffer.alloc(4096, 3));
  await again.logout();
});
