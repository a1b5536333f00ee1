/** Discovery lists the targets that the CLI names, by libiscsi's iscsi-ls and by SendTargets itself. */
import test from 'ava';
import { Daemon } from '../kit/daemon.ts';
import { Initiator } from '../kit/initiator.ts';
import { runOk } from '../kit/run.ts';

test('iscsi-ls lists every disk with its LUN', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disks = [await daemon.disk(), await daemon.createDisk('second', '64MiB')];
  const { stdout } = await runOk('iscsi-ls', ['-s', `iscsi://127.0.0.1:${daemon.port}`]);
  for (const { iqn, lun } of disks) {
    t.true(stdout.includes(`Target:${iqn} Portal:127.0.0.1:${daemon.port},`), stdout);
    t.regex(stdout, new RegExp(`Lun:${lun} +Type:DIRECT_ACCESS`), stdout);
  }
});

test('SendTargets=All gives each target an address that can be connected to', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const session = await Initiator.login({ port: daemon.port });
  const keys = await session.text({ SendTargets: 'All' });
  await session.logout();
  t.deepEqual(keys[0], ['TargetName', disk.iqn]);
  t.is(keys[1]?.[0], 'TargetAddress');
  t.regex(keys[1]?.[1] ?? '', new RegExp(`^127\\.0\\.0\\.1:${daemon.port},\\d+$`));
});

test('a list longer than the data segment comes in parts', async (t) => {
  const daemon = await Daemon.forTest(t);
  const names = Array.from({ length: 12 }, (_, index) => `d${index}`);
  for (const name of names) await daemon.createDisk(name, '16MiB');
  const session = await Initiator.login({
    port: daemon.port,
    keys: { MaxRecvDataSegmentLength: '512' },
  });
  const keys = await session.text({ SendTargets: 'All' });
  await session.logout();
  const targets = keys.filter(([key]) => key === 'TargetName').map(([, value]) => value);
  t.is(new Set(targets).size, names.length + 1);
});
