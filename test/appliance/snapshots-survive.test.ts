/** Snapshots, clones and what an exposed snapshot is outlive the death of the daemon. */
import test from 'ava';
import type { DiskView } from '#appliance/disk-view.ts';
import type { SnapshotView } from '#appliance/snapshot-view.ts';
import { Daemon } from '#test/kit/daemon.ts';
import { storeSize } from './harness.ts';

const block = (fill: number): Buffer => Buffer.alloc(4096, fill);

test('after a kill everything is as it was', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.disk();
  let host = await daemon.login(disk);
  await host.settle();
  await host.write(0, block(1));
  await daemon.petal('snapshot', 'create', 'disk0', '--name', 's');
  await host.write(0, block(2));
  const fork = (await daemon.petal('clone', 'disk0@s', 'fork')) as DiskView;
  const writer = await daemon.login(fork);
  await writer.settle();
  await writer.write(8, block(3));
  const shown = (await daemon.petal('snapshot', 'expose', 'disk0@s')) as SnapshotView;
  await daemon.kill();
  await daemon.launch();
  t.like(await daemon.petal('snapshot', 'show', 'disk0@s'), { id: shown.id, clones: ['fork'] });
  const contents: readonly [{ iqn: string; lun: number }, number, number][] = [
    [disk, 2, 0],
    [shown.exposed!, 1, 0],
    [fork, 1, 3],
  ];
  for (const [target, first, second] of contents) {
    host = await daemon.login({ ...disk, ...target });
    await host.settle();
    t.true((await host.read(0, 16)).equals(Buffer.concat([block(first), block(second)])));
    await host.logout();
  }
  await daemon.petal('snapshot', 'rollback', 'disk0@s');
  host = await daemon.login(disk);
  await host.settle();
  t.true((await host.read(0, 8)).equals(block(1)));
});
