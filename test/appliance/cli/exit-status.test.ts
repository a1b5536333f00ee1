/** The exit status tells what happened: 0 done, 1 refused, 2 wrong usage, 3 no daemon. */

import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Daemon } from '#test/kit/daemon.ts';
import { run } from '#test/kit/run.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';
import { petal, storeSize } from '../harness.ts';

const launcher = fileURLToPath(new URL('../../../appliance/bin/petal', import.meta.url));

const usage: readonly (readonly [string[], RegExp])[] = [
  [['--bogus'], /unknown option '--bogus'/],
  [['dsk'], /unknown command 'dsk'[\s\S]*Did you mean disk\?/],
  [['disk', 'list'], /unknown command 'list'/],
  [['disk', 'create', 'a'], /missing required argument 'SIZE'/],
  [['disk', 'create', 'a', '10GB'], /write GiB for 1024/],
  [['disk', 'create', 'a', '1G', '--sector', '520'], /512 or 4096/],
  [['disk', 'ls', 'extra'], /too many arguments/],
  [['access', 'allow', 'disk0'], /missing required argument 'HOST'/],
  [['session', 'kick'], /missing required argument 'ID'/],
];

for (const [args, message] of usage) {
  test(`wrong usage: petal ${args.join(' ')}`, async (t) => {
    const result = await run(launcher, args, { timeoutMs: 20_000 });
    t.is(result.status, 2, result.output);
    t.regex(result.stderr, message);
  });
}

test('no daemon: 3, and how to start one', async (t) => {
  const directory = await temporaryDirectory(t);
  const result = await run(launcher, ['--data', directory, 'status'], { timeoutMs: 20_000 });
  t.is(result.status, 3);
  t.is(
    result.stderr,
    `petal: no petald runs with the data directory ${directory}; ` +
      `start it with: petald --data ${directory}\n`,
  );
});

test('a daemon.json that cannot be understood: 3, and which file', async (t) => {
  const directory = await temporaryDirectory(t);
  for (const text of ['', '{', '{}', 'null', '{"pid":"x"}']) {
    await writeFile(join(directory, 'daemon.json'), text);
    const result = await run(launcher, ['--data', directory, 'status'], { timeoutMs: 20_000 });
    t.is(result.status, 3, text);
    t.regex(result.stderr, /^petal: cannot find petald: .*daemon\.json/);
  }
});

test('an address where nobody answers: 3, and why', async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, 'daemon.json');
  // Port 1 of loopback: nothing listens there.
  const info = { pid: process.pid, version: '0', iscsi: [], api: 'http://127.0.0.1:1', token: 'x' };
  await writeFile(file, JSON.stringify(info));
  await chmod(file, 0o600);
  const result = await run(launcher, ['--data', directory, 'status'], { timeoutMs: 20_000 });
  t.is(result.status, 3, result.output);
  t.regex(result.stderr, /does not answer at http:\/\/127\.0\.0\.1:1: /);
});

test('refused: 1, with the reason; --json where it belongs or in front', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const refused = await petal(daemon, 'disk', 'show', 'dsk0');
  t.is(refused.status, 1);
  t.is(refused.stderr, "petal: there is no disk 'dsk0'; did you mean 'disk0'?\n");
  t.is(refused.stdout, '');
  for (const args of [
    ['--json', 'disk', 'show', 'disk0'],
    ['disk', 'show', 'disk0', '--json'],
    ['disk', 'show', '--json', 'disk0'],
  ]) {
    const shown = await petal(daemon, ...args);
    t.is(shown.status, 0, shown.output);
    t.is((JSON.parse(shown.stdout) as { name: string }).name, 'disk0');
  }
});

test('status shows the store, the addresses and, soon, the machine', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const status = await petal(daemon, 'status');
  t.is(status.status, 0);
  t.regex(status.stdout, /^state +ok$/m);
  t.regex(status.stdout, new RegExp(`^iscsi +127\\.0\\.0\\.1:${daemon.port}$`, 'm'));
  t.regex(status.stdout, /^store +.*store\.petal, 128 MiB$/m);
  const json = (await daemon.petal('status')) as { pid: number; store: { failed: unknown } };
  t.is(json.pid, daemon.pid);
  t.is(json.store.failed, null);
});
