/** Portals over IPv4 and IPv6 in groups of their own: discovery names all, and each is a target port. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Daemon } from '#test/kit/daemon.ts';
import { run } from '#test/kit/run.ts';
import { storeSize } from './harness.ts';

test('two groups, one of them over IPv6', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize, args: ['--iscsi', '[::1]:0,7'] });
  const disk = await daemon.disk();
  const text = await readFile(join(daemon.directory, 'daemon.json'), 'utf8');
  const { iscsi } = JSON.parse(text) as { iscsi: readonly string[] };
  t.is(iscsi.length, 2);
  for (const address of iscsi) {
    const found = await run('iscsi-ls', [`iscsi://${address}`]);
    t.is(found.status, 0, found.output);
    t.true(found.output.includes(`Portal:${iscsi[0]},1`), found.output);
    t.true(found.output.includes(`Portal:${iscsi[1]},7`), found.output);
    const inquiry = await run('iscsi-inq', [`iscsi://${address}/${disk.iqn}/${disk.lun}`]);
    t.is(inquiry.status, 0, inquiry.output);
    const rtpg = await daemon.login(disk);
    const cdb = Buffer.from('a30a000000000000ff00'.padEnd(32, '0'), 'hex');
    cdb.writeUInt32BE(255, 6);
    await rtpg.settle();
    const { data } = await rtpg.command(cdb, { expectIn: 255 });
    t.is(data.readUInt16BE(6), 1);
    t.is(data.readUInt16BE(18), 7);
    await rtpg.logout();
  }
});
