/**
 * Told that the power fails, by SIGPWR or by `petal power failing`, the daemon writes everything that
 * is held back and writes through from then on, until it is told that the power is back.
 */
import test from 'ava';
import { testUnitReady } from '#test/kit/cdb.ts';
import { Daemon } from '#test/kit/daemon.ts';
import { expectGood, type Initiator, senseText } from '#test/kit/initiator.ts';
import { sleep } from '#test/kit/process.ts';
import { asOwner, daemonInfo, petal, storeSize } from './harness.ts';

async function writesBack(host: Initiator): Promise<boolean> {
  const cdb = Buffer.alloc(16);
  cdb.set([0x1a, 0x08, 0x08, 0, 252]);
  const { data } = expectGood(await host.command(cdb, { expectIn: 252 }), 'MODE SENSE');
  return (data[4 + 2]! & 0x04) !== 0;
}

const filled = (value: number): Buffer => Buffer.alloc(4096, value);

interface View {
  readonly state: string;
  readonly disks: number;
  readonly dirty: number;
}

const view = async (daemon: Daemon): Promise<View> =>
  (await asOwner(await daemonInfo(daemon), { path: '/api/v1/power' })).body as View;

test('failing, twice, and restored, twice', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.createDisk('fast', '16M', '--write-back');
  const host = await daemon.login(disk);
  await host.settle();
  await host.write(0, filled(1));
  t.deepEqual(await view(daemon), { state: 'ok', disks: 1, dirty: 4096 });
  const said = await petal(daemon, 'power', 'failing');
  t.is(said.stdout, 'everything is written; all disks write through now\n');
  await daemon.petal('power', 'failing');
  t.deepEqual(await daemon.petal('power', 'status'), { state: 'failing', disks: 1, dirty: 0 });
  t.is(senseText(await host.command(testUnitReady())), '06/2a/01', 'mode parameters changed');
  await host.settle();
  t.false(await writesBack(host));
  await host.write(8, filled(2));
  t.is((await view(daemon)).dirty, 0);

  const back = await petal(daemon, 'power', 'restored');
  t.is(back.stdout, 'disks with write-back hold back again\n');
  await daemon.petal('power', 'restored');
  t.is(senseText(await host.command(testUnitReady())), '06/2a/01');
  await host.settle();
  t.true(await writesBack(host));
  await host.write(16, filled(3));
  t.deepEqual(await view(daemon), { state: 'ok', disks: 1, dirty: 4096 });
  await host.logout();
});

test('after SIGPWR, twice, kill -9 takes nothing', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.createDisk('fast', '16M', '--write-back');
  const host = await daemon.login(disk);
  await host.settle();
  await host.write(0, filled(1));
  process.kill(daemon.pid, 'SIGPWR');
  process.kill(daemon.pid, 'SIGPWR');
  for (let tries = 0; (await view(daemon)).dirty > 0 && tries < 100; tries += 1) await sleep(50);
  t.is((await view(daemon)).state, 'failing');
  await host.settle();
  await host.write(8, filled(2));
  await daemon.kill();
  await daemon.launch();
  const again = await daemon.login(disk);
  await again.settle();
  t.deepEqual(await again.read(0, 16), Buffer.concat([filled(1), filled(2)]));
  t.true(await writesBack(again), 'the next start knows nothing of it');
  await again.logout();
});

test('while the power fails a disk that gets write-back writes through too', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  await daemon.petal('power', 'failing');
  await daemon.petal('disk', 'set', 'disk0', '--write-back', 'on');
  const host = await daemon.login(await daemon.disk());
  await host.settle();
  t.false(await writesBack(host));
  await host.write(0, filled(1));
  t.is((await view(daemon)).dirty, 0);
  await daemon.petal('power', 'restored');
  await host.settle();
  t.true(await writesBack(host));
  await host.logout();
});
