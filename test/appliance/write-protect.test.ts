/** A write-protected disk takes no write from anybody; turning it on and off holds at once. */
import test from 'ava';
import { testUnitReady } from '#test/kit/cdb.ts';
import { Daemon, type DiskInfo } from '#test/kit/daemon.ts';
import { expectGood, type Initiator, senseText } from '#test/kit/initiator.ts';
import { asOwner, daemonInfo, petal, storeSize } from './harness.ts';

/** MODE SENSE(6), all pages: the WP bit is bit 7 of byte 2 (SBC-3 6.5.1). */
async function isProtected(host: Initiator): Promise<boolean> {
  const cdb = Buffer.alloc(16);
  cdb.set([0x1a, 0, 0x3f, 0, 252]);
  const { data } = expectGood(await host.command(cdb, { expectIn: 252 }), 'MODE SENSE');
  return (data[2]! & 0x80) !== 0;
}

/** INQUIRY: RMB is bit 7 of byte 1 (SPC-4 6.6.2). */
async function isRemovable(host: Initiator): Promise<boolean> {
  const cdb = Buffer.alloc(16);
  cdb.set([0x12, 0, 0, 0, 96]);
  return ((await host.command(cdb, { expectIn: 96 })).data[1]! & 0x80) !== 0;
}

test('protected and unprotected while a host is logged in', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const host = await daemon.login(await daemon.disk());
  await host.settle();
  await host.write(0, Buffer.alloc(512, 1));
  t.false(await isProtected(host));
  const said = await petal(daemon, 'disk', 'protect', 'disk0');
  t.is(said.stdout, 'disk0 is write-protected now\n');
  const told = await host.command(testUnitReady());
  t.is(senseText(told), '06/2a/01', 'mode parameters changed');
  await host.settle();
  t.true(await isProtected(host));
  await t.throwsAsync(host.write(0, Buffer.alloc(512, 2)), { message: /07\/27\/00/ });
  t.deepEqual(await host.read(0, 1), Buffer.alloc(512, 1));
  await daemon.petal('disk', 'unprotect', 'disk0');
  await host.settle();
  await host.write(0, Buffer.alloc(512, 3));
  await host.logout();
});

test('made write-protected and removable it is so, after a restart too', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const flags = ['--write-protected', '--removable'];
  t.like(await daemon.createDisk('image', '8M', ...flags), {
    writeProtected: true,
    removable: true,
  });
  t.like(await daemon.disk('disk0'), { writeProtected: false, removable: false });
  await daemon.kill();
  await daemon.launch();
  const image: DiskInfo = await daemon.disk('image');
  t.like(image, { writeProtected: true, removable: true });
  const shown = await petal(daemon, 'disk', 'show', 'image');
  t.regex(shown.stdout, /^medium +removable, write-protected$/m);
  const host = await daemon.login(image);
  await host.settle();
  t.true(await isProtected(host));
  t.true(await isRemovable(host));
  await t.throwsAsync(host.write(0, Buffer.alloc(512)), { message: /07\/27\/00/ });
  await host.logout();
});

test('one change of a disk at a time', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const info = await daemonInfo(daemon);
  for (const payload of [
    '{}',
    '{"force":true}',
    '{"writeProtected":true,"name":"x"}',
    '{"writeProtected":true,"force":true}',
    '{"writeProtected":1}',
  ]) {
    const answer = await asOwner(info, { method: 'PATCH', path: '/api/v1/disks/disk0', payload });
    t.is(answer.status, 400, payload);
  }
  t.like(await daemon.disk(), { name: 'disk0', writeProtected: false });
});
