/**
 * A disk with write-back says so (mode page 08h, WCE), holds writes back, and makes them durable when
 * it is told to: by SYNCHRONIZE CACHE of all or of a range, by FUA, and when it is switched off.
 */
import test from 'ava';
import { synchronizeCache10, testUnitReady, write16 } from '#test/kit/cdb.ts';
import { Daemon } from '#test/kit/daemon.ts';
import { expectGood, type Initiator, senseText } from '#test/kit/initiator.ts';
import { asOwner, daemonInfo, petal, storeSize } from './harness.ts';

/** MODE SENSE(6) of the caching page, current values: WCE is bit 2 of its byte 2 (SBC-3 6.5.6). */
async function writesBack(host: Initiator): Promise<boolean> {
  const cdb = Buffer.alloc(16);
  cdb.set([0x1a, 0x08, 0x08, 0, 252]);
  const { data } = expectGood(await host.command(cdb, { expectIn: 252 }), 'MODE SENSE');
  return (data[4 + 2]! & 0x04) !== 0;
}

async function dirty(daemon: Daemon): Promise<number> {
  const { body } = await asOwner(await daemonInfo(daemon), { path: '/api/v1/power' });
  return (body as { dirty: number }).dirty;
}

const filled = (sectors: number, value: number): Buffer => Buffer.alloc(sectors * 512, value);

test('what was flushed or written with FUA survives kill -9, by MODE SENSE and SYNCHRONIZE CACHE', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.createDisk('fast', '16M', '--write-back');
  t.like(disk, { writeBack: true });
  t.like(await daemon.disk('disk0'), { writeBack: false });
  const host = await daemon.login(disk);
  await host.settle();
  t.true(await writesBack(host));

  await host.write(0, filled(8, 1));
  await host.write(1024, filled(8, 2));
  t.is(await dirty(daemon), 2 * 4096);
  expectGood(await host.command(synchronizeCache10(0, 8)), 'SYNCHRONIZE CACHE of a range');
  expectGood(await host.command(synchronizeCache10()), 'SYNCHRONIZE CACHE');
  t.is(await dirty(daemon), 0);

  await host.write(2048, filled(8, 3));
  expectGood(await host.command(write16(4096, 8, true), { dataOut: filled(8, 4) }), 'FUA');
  t.is(await dirty(daemon), 4096, 'the other one is held back still');
  // Not of whole blocks: read, merged, and held back.
  await host.write(4097, filled(1, 5));
  t.is(await dirty(daemon), 2 * 4096);

  await daemon.kill();
  await daemon.launch();
  const again = await daemon.login(disk);
  await again.settle();
  t.true(await writesBack(again), 'after a restart too');
  t.deepEqual(await again.read(0, 8), filled(8, 1));
  t.deepEqual(await again.read(1024, 8), filled(8, 2));
  t.deepEqual(await again.read(4096, 1), filled(1, 4));
  await again.logout();
});

test('switched on and off while a host is logged in, which hears of it', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const host = await daemon.login(await daemon.disk());
  await host.settle();
  t.false(await writesBack(host));
  const on = await petal(daemon, 'disk', 'set', 'disk0', '--write-back', 'on');
  t.is(on.stdout, 'writes to disk0 may complete before they are durable now\n');
  t.is(senseText(await host.command(testUnitReady())), '06/2a/01', 'mode parameters changed');
  await host.settle();
  t.true(await writesBack(host));
  await host.write(0, filled(64, 7));
  t.is(await dirty(daemon), 8 * 4096);
  const shown = await petal(daemon, 'disk', 'show', 'disk0');
  t.regex(shown.stdout, /^writes +write-back: durable when flushed$/m);

  await daemon.petal('disk', 'set', 'disk0', '--write-back', 'off');
  t.is(await dirty(daemon), 0);
  t.is(senseText(await host.command(testUnitReady())), '06/2a/01');
  await host.settle();
  t.false(await writesBack(host));
  await host.write(64, filled(64, 8));
  await daemon.kill();
  await daemon.launch();
  const again = await daemon.login(await daemon.disk());
  await again.settle();
  t.deepEqual(await again.read(0, 64), filled(64, 7));
  t.deepEqual(await again.read(64, 64), filled(64, 8));
  await again.logout();
});

test('a clean stop, a resize and a removal lose nothing of what is held back', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.createDisk('fast', '16M', '--write-back');
  const host = await daemon.login(disk);
  await host.settle();
  await host.write(0, filled(64, 7));
  await daemon.petal('disk', 'resize', 'fast', '32M');
  await host.settle();
  await host.write(64, filled(64, 8));
  await host.logout();
  await daemon.petal('disk', 'rm', 'fast');
  await daemon.petal('disk', 'undelete', 'fast');
  const back = await daemon.login(disk);
  await back.settle();
  t.deepEqual(await back.read(0, 64), filled(64, 7));
  await back.write(128, filled(64, 9));
  await back.logout();
  await daemon.stop();
  await daemon.launch();
  const again = await daemon.login(disk);
  await again.settle();
  const values = [7, 8, 9].map((value) => filled(64, value));
  t.deepEqual(await again.read(0, 192), Buffer.concat(values));
  await again.logout();
});
