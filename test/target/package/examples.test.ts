/**
 * Every example of the package starts as a program of its own and does what it says to real
 * initiators: the test initiator and QEMU's.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as cdbs from '#test/kit/cdb.ts';
import { Initiator, senseText } from '#test/kit/initiator.ts';
import { until } from '#test/kit/process.ts';
import { runOk } from '#test/kit/run.ts';
import { type Served, serve } from '#test/kit/served.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';
import { root } from '#test/kit/tree.ts';

const examples = join(root, 'target', 'examples');

async function start(t: ExecutionContext, ...args: string[]): Promise<Served> {
  const served = await serve(args, examples);
  t.teardown(async () => {
    await served.stop('SIGKILL');
  });
  return served;
}

async function enter(served: Served): Promise<Initiator> {
  const initiator = await Initiator.login({ port: served.port, target: served.target });
  await initiator.settle();
  return initiator;
}

test('ram-disk: keeps what a host wrote while it runs', async (t) => {
  const served = await start(t, 'ram-disk.ts', '0');
  const list = await runOk('iscsi-ls', ['-s', `iscsi://127.0.0.1:${served.port}`]);
  t.regex(list.stdout, /iqn\.2026-11\.com\.example:ram/);
  await runOk('qemu-io', ['-f', 'raw', '-c', 'write -P 0x5a 1M 3M', served.url]);
  await runOk('qemu-io', ['-f', 'raw', '-c', 'read -P 0x5a 1M 3M', served.url]);
  const initiator = await enter(served);
  t.deepEqual(await initiator.read(2048, 8), Buffer.alloc(4096, 0x5a));
  t.deepEqual(await initiator.read(0, 8), Buffer.alloc(4096));
  await initiator.logout();
});

test('file-disk: what it acknowledged is in the file after kill -9, under the same name', async (t) => {
  const path = join(await temporaryDirectory(t), 'disk.img');
  const first = await start(t, 'file-disk.ts', path, '64', '0');
  const before = await enter(first);
  const name = await before.command(cdbs.inquiry(252, 0x83), { expectIn: 252 });
  const data = Buffer.alloc(300 * 1024, 0xc3);
  await before.write(1000, data);
  t.is(await first.stop('SIGKILL'), 'SIGKILL');

  const second = await start(t, 'file-disk.ts', path, '64', '0');
  const after = await enter(second);
  t.deepEqual(await after.read(1000, 600), data);
  t.deepEqual(await after.read(1600, 8), Buffer.alloc(4096));
  const again = await after.command(cdbs.inquiry(252, 0x83), { expectIn: 252 });
  t.true(name.data.length > 16);
  t.deepEqual(again.data, name.data);
  await after.logout();
  t.is(await second.stop('SIGTERM'), 0);
});

test('file-disk: zeroes, overlapping writes and the end of the disk', async (t) => {
  const path = join(await temporaryDirectory(t), 'disk.img');
  const served = await start(t, 'file-disk.ts', path, '16', '0');
  const steps = [
    'write -P 0x11 0 4M',
    'write -z 1M 1M',
    'write -P 0x22 16776704 512',
    'aio_write -q -P 0x33 8M 1M',
    'aio_write -q -P 0x33 8912896 1M',
    'aio_flush',
    'flush',
    'read -P 0x11 0 1M',
    'read -P 0 1M 1M',
    'read -P 0x11 2M 2M',
    'read -P 0x33 8M 1572864',
    'read -P 0x22 16776704 512',
  ];
  await runOk('qemu-io', ['-f', 'raw', ...steps.flatMap((step) => ['-c', step]), served.url]);
  const initiator = await enter(served);
  const beyond = await initiator.command(cdbs.read16(32 * 1024, 1), { expectIn: 512 });
  t.is(senseText(beyond), '05/21/00');
  await initiator.logout();
});

test('file-disk: compare and write runs alone: of many only one wins each round', async (t) => {
  const path = join(await temporaryDirectory(t), 'disk.img');
  const served = await start(t, 'file-disk.ts', path, '16', '0');
  const initiator = await enter(served);
  const cdb = Buffer.alloc(16);
  cdb[0] = 0x89;
  cdb[13] = 1;
  for (let round = 0; round < 8; round++) {
    const results = await Promise.all(
      Array.from({ length: 8 }, () =>
        initiator.command(cdb, {
          dataOut: Buffer.concat([Buffer.alloc(512, round), Buffer.alloc(512, round + 1)]),
        }),
      ),
    );
    t.is(results.filter(({ status }) => status === 0).length, 1);
    t.is(results.filter((result) => senseText(result) === '0e/1d/00').length, 7);
  }
  t.deepEqual(await initiator.read(0, 1), Buffer.alloc(512, 8));
  await initiator.logout();
});

test('filters: the bad spot fails, the rest does not, and all of it is told', async (t) => {
  const served = await start(t, 'filters.ts', '0');
  const initiator = await enter(served);
  await initiator.write(2048, Buffer.alloc(8192, 1));
  const bad = await initiator.command(cdbs.read16(2055, 1), { expectIn: 512 });
  t.is(senseText(bad), '03/11/00');
  t.deepEqual(await initiator.read(2056, 8), Buffer.alloc(4096, 1));
  await initiator.logout();
  await until('the trace', 5000, () => served.output().includes('read 1052672+4096 ok'));
  t.regex(served.output(), /^\d+ write 1048576\+8192 ok$/m);
  t.regex(served.output(), /^\d+ read 1052160\+512 mediumError$/m);
});

test('every example is one of these', (t) => {
  t.deepEqual(readdirSync(examples).sort(), [
    'file-device.ts',
    'file-disk.ts',
    'filters.ts',
    'ram-disk.ts',
  ]);
});
