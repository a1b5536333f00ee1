/** One SIGTERM, SIGINT or SIGHUP is a clean end; a second one that is no echo is an end at once. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { DaemonInfo } from '#appliance/daemon-file.ts';
import type { DiskView } from '#appliance/disk-view.ts';
import { limits } from '#appliance/limits.ts';
import { Initiator } from '#test/kit/initiator.ts';
import { sleep } from '#test/kit/process.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';
import { asOwner, storeSize } from './harness.ts';

const petald = fileURLToPath(new URL('../../appliance/bin/petald', import.meta.url));

async function start(directory: string): Promise<ChildProcess> {
  const args = ['--data', directory, '--store-size', storeSize];
  const ports = ['--iscsi', '127.0.0.1:0', '--api', '127.0.0.1:0'];
  const child = spawn(petald, [...args, ...ports], { stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  for await (const part of child.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    said += part;
    if (said.includes('petald is ready')) return child;
  }
  throw new Error(`petald did not start: ${said}`);
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`${signal} ends it cleanly with 0, also when it comes twice at once`, async (t) => {
    const directory = await temporaryDirectory(t);
    const child = await start(directory);
    t.teardown(() => child.kill('SIGKILL'));
    const ended = once(child, 'exit');
    child.kill(signal);
    child.kill(signal);
    t.deepEqual(await ended, [0, null]);
    await t.throwsAsync(stat(join(directory, 'daemon.json')), { code: 'ENOENT' });
  });
}

test('a second SIGTERM does not wait for hosts that do not log out', async (t) => {
  const directory = await temporaryDirectory(t);
  const child = await start(directory);
  t.teardown(() => child.kill('SIGKILL'));
  const info = JSON.parse(await readFile(join(directory, 'daemon.json'), 'utf8')) as DaemonInfo;
  const { body } = await asOwner(info, { path: '/api/v1/disks/disk0' });
  const port = Number(info.iscsi[0]?.split(':').at(-1));
  const host = await Initiator.login({ port, target: (body as DiskView).iqn, lun: 0 });
  t.teardown(() => host.close());
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await sleep(limits.signalEchoMs + 100);
  child.kill('SIGTERM');
  t.deepEqual(await ended, [143, null]);
});

test('a reader of its output that goes away does not end it', async (t) => {
  const directory = await temporaryDirectory(t);
  const child = await start(directory);
  t.teardown(() => child.kill('SIGKILL'));
  child.stdout!.destroy();
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  t.deepEqual(await ended, [0, null]);
});

test('an echo is far shorter than a shutdown may last', (t) => {
  t.true(limits.signalEchoMs * 10 < limits.shutdownMs);
});
