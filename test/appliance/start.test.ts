/** A start that cannot be is refused in one line; a restart is the same appliance to every host. */

import { chmod, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Daemon } from '#test/kit/daemon.ts';
import { run } from '#test/kit/run.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';

const petald = fileURLToPath(new URL('../../appliance/bin/petald', import.meta.url));
const storeSize = '128MiB';
const anyPort = ['--iscsi', '127.0.0.1:0', '--api', '127.0.0.1:0', '--store-size', storeSize];

/** Below what was logged before the start failed. */
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

test('a new store has disk0, and what to paste is printed', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.disk();
  t.like(disk, { name: 'disk0', size: 10 * 1024 ** 3, lun: 0 });
  t.regex(disk.iqn, /^iqn\.2026-11\.internal\.petal:[0-9a-f]{8}:disk0$/);
  t.regex(disk.naa, /^naa\.6[0-9a-f]{31}$/);
  for (const text of [disk.iqn, daemon.directory, 'iscsiadm', 'qemu-img', 'esxcli', 'Connect-']) {
    t.true(daemon.log.includes(text), text);
  }
});

test('the files that hold the token are private', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  for (const name of ['token', 'daemon.json']) {
    const { mode } = await stat(join(daemon.directory, name));
    t.is(mode & 0o777, 0o600, name);
  }
  const token = (await readFile(join(daemon.directory, 'token'), 'utf8')).trim();
  t.regex(token, /^[0-9a-f]{64}$/);
  t.false(daemon.log.includes(token), 'the token is not logged');
});

test('a clean restart keeps names, identities, token and access', async (t) => {
  const directory = await temporaryDirectory(t);
  const daemon = await Daemon.forTest(t, { directory, storeSize });
  await daemon.createDisk('data', '1G', '--sector', '4096');
  await daemon.petal('disk', 'rename', 'data', 'renamed');
  await daemon.petal('access', 'allow', 'renamed', '192.0.2.0/24');
  await daemon.petal('disk', 'rm', 'disk0');
  const before = await daemon.petal('disk', 'ls');
  const removed = await daemon.petal('disk', 'ls', '--removed');
  const token = await readFile(join(directory, 'token'), 'utf8');
  await daemon.stop();
  await t.throwsAsync(stat(join(directory, 'daemon.json')), { code: 'ENOENT' });
  await daemon.launch();
  t.deepEqual(await daemon.petal('disk', 'ls'), before);
  // disk0 was removed by its owner; a restart does not make another.
  t.deepEqual(await daemon.petal('disk', 'ls', '--removed'), removed);
  t.is(await readFile(join(directory, 'token'), 'utf8'), token);
});

test('a second daemon is refused, naming the first, which serves on', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const same = await run(petald, ['--data', daemon.directory, ...anyPort], { timeoutMs: 30_000 });
  t.is(same.status, 1, same.output);
  t.regex(
    same.stderr,
    new RegExp(`^petald: the data directory .* is in use by process ${daemon.pid} `),
  );
  t.is(same.stderr.trimEnd().split('\n').length, 1, same.stderr);
  const other = await temporaryDirectory(t);
  const store = join(daemon.directory, 'store.petal');
  const args = ['--data', other, '--store', store, ...anyPort];
  const elsewhere = await run(petald, args, { timeoutMs: 30_000 });
  t.is(elsewhere.status, 1, elsewhere.output);
  t.regex(elsewhere.stderr, new RegExp(`store\\.petal is in use by process ${daemon.pid} `));
  t.is((await daemon.disk()).name, 'disk0');
});

test('after kill -9 the data directory is free again', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const before = await daemon.disk();
  await daemon.kill();
  const dead = await daemon.petalRaw('disk', 'ls');
  t.is(dead.status, 3);
  t.regex(dead.stderr, /has died; start it with: petald --data /);
  await daemon.launch();
  t.deepEqual(await daemon.disk(), before);
});

for (const flag of ['--iscsi', '--api']) {
  test(`a taken ${flag} port is refused in one line`, async (t) => {
    const directory = await temporaryDirectory(t);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    t.teardown(() => taken.close());
    const { port } = taken.address() as { port: number };
    const args = ['--data', directory, ...anyPort];
    args[args.indexOf(flag) + 1] = `127.0.0.1:${port}`;
    const result = await run(petald, args, { timeoutMs: 30_000 });
    t.is(result.status, 1, result.output);
    t.is(
      lastLine(result.stderr),
      `petald: cannot listen on 127.0.0.1:${port}: the port is taken by another program; ` +
        `choose another with ${flag} HOST:PORT`,
    );
    await t.throwsAsync(stat(join(directory, 'daemon.json')), { code: 'ENOENT' });
    // The next start is still the first that serves, and greets as such.
    const daemon = await Daemon.forTest(t, { directory, storeSize });
    t.true(daemon.log.includes('made a new store') && daemon.log.includes('iscsiadm'));
    await daemon.stop();
    await daemon.launch();
    t.is(daemon.log.split('made a new store').length, 2, 'said once');
  });
}

test('a store size beyond the free space, or too small, is refused in one line', async (t) => {
  for (const [size, message] of [
    ['15T', /^petald: .* MiB free, the store is to have 15728640 MiB/],
    ['1M', /^petald: .*(at least|small)/],
  ] as const) {
    const directory = await temporaryDirectory(t);
    const args = ['--data', directory, ...anyPort.slice(0, 4), '--store-size', size];
    const result = await run(petald, args, { timeoutMs: 30_000 });
    t.is(result.status, 1, result.output);
    t.regex(result.stderr, message);
    t.is(result.stderr.trimEnd().split('\n').length, 1, result.stderr);
  }
});

test('a file that is not a store is refused and left as it was', async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, 'letters');
  await writeFile(file, 'Dear Anna, '.repeat(100_000));
  const before = await readFile(file);
  const args = ['--data', directory, '--store', file, ...anyPort];
  const result = await run(petald, args, { timeoutMs: 30_000 });
  t.is(result.status, 1, result.output);
  t.regex(result.stderr, /^petald: /);
  t.true(before.equals(await readFile(file)));
});

test('a damaged token file is refused, not replaced', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'token'), 'hello\n');
  const result = await run(petald, ['--data', directory, ...anyPort], { timeoutMs: 30_000 });
  t.is(result.status, 1, result.output);
  t.regex(lastLine(result.stderr), /^petald: .*token does not hold a token; remove it/);
});

test('petald starts through symbolic links, from any directory', async (t) => {
  const directory = await temporaryDirectory(t);
  await symlink(petald, join(directory, 'one'));
  await symlink('one', join(directory, 'two'));
  const result = await run(join(directory, 'two'), ['--version'], { cwd: '/', timeoutMs: 20_000 });
  t.is(result.status, 0, result.output);
});

test('a launcher without its node says what to do', async (t) => {
  const directory = await temporaryDirectory(t);
  await mkdir(join(directory, 'appliance', 'bin'), { recursive: true });
  for (const name of ['petald', 'petal']) {
    const copy = join(directory, 'appliance', 'bin', name);
    await writeFile(copy, await readFile(join(petald, '..', name)));
    await chmod(copy, 0o755);
    const result = await run(copy, ['--version'], { timeoutMs: 20_000 });
    t.is(result.status, 1);
    t.regex(
      result.stderr,
      new RegExp(`^${name}: .* is missing; run 'npm ci' in ${directory} first`),
    );
  }
});
