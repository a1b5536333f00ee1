/**
 * A disk made with --sanitize can be erased by its host, at once and for good; no other disk can. A host
 * may protect a disk from writing only where the administrator lets hosts.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Daemon } from '#test/kit/daemon.ts';
import { type Initiator, senseText } from '#test/kit/initiator.ts';
import { petal, storeSize } from './harness.ts';

const cryptographicErase = Buffer.from('4803'.padEnd(32, '0'), 'hex');
const blocks = 64;

async function begin(host: Initiator, fill: number): Promise<void> {
  await host.settle();
  await host.write(0, Buffer.alloc(blocks * 512, fill));
}

test('CRYPTOGRAPHIC ERASE leaves zeros, gives the room back, and outlives a restart', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.createDisk('secret', '8M', '--sanitize');
  t.like(disk, { sanitize: true });
  let host = await daemon.login(disk);
  const marker = 'what nobody may ever read again, ';
  await host.settle();
  await host.write(0, Buffer.alloc(blocks * 512, marker));
  const stored = await readFile(join(daemon.directory, 'store.petal'));
  t.false(stored.includes(marker), 'not in the store as it was written');
  t.is(senseText(await host.command(cryptographicErase)), 'none');
  t.deepEqual(await host.read(0, blocks), Buffer.alloc(blocks * 512));
  t.like(await daemon.disk('secret'), { used: 0 });
  await host.write(0, Buffer.alloc(512, 7));
  await daemon.kill();
  await daemon.launch();
  host = await daemon.login(await daemon.disk('secret'));
  await host.settle();
  t.deepEqual(await host.read(0, 2), Buffer.concat([Buffer.alloc(512, 7), Buffer.alloc(512)]));
});

test('a disk that was not made for it refuses SANITIZE and keeps its data', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const host = await daemon.login(await daemon.disk());
  await begin(host, 5);
  t.is(senseText(await host.command(cryptographicErase)), '05/20/00');
  t.deepEqual(await host.read(0, blocks), Buffer.alloc(blocks * 512, 5));
});

test("SWP of the control mode page is the host's only where it may", async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const host = await daemon.login(await daemon.disk());
  await begin(host, 5);
  const cdb = Buffer.from('1510000010'.padEnd(32, '0'), 'hex');
  const page = Buffer.from('00000000' + '0a0a001008000000ffff0000', 'hex');
  t.is(senseText(await host.command(cdb, { dataOut: page })), '05/26/00');
  const said = await petal(daemon, 'disk', 'host-protect', 'disk0', 'on');
  t.is(said.stdout, 'hosts may protect disk0 from writing now\n');
  t.like(await daemon.disk(), { hostProtect: true });
  await host.settle();
  t.is(senseText(await host.command(cdb, { dataOut: page })), 'none');
  await t.throwsAsync(host.write(0, Buffer.alloc(512)), { message: /07\/27\/02/ });
  await daemon.petal('disk', 'host-protect', 'disk0', 'off');
  t.like(await daemon.disk(), { hostProtect: false });
});
