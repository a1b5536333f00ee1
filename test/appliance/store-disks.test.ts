/**
 * The real daemon on four files with parity: one is cut off while a host writes, the host notices
 * nothing, a new file takes its place, and after a restart all is as it was.
 */
import { readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Daemon } from '#test/kit/daemon.ts';
import { until } from '#test/kit/process.ts';
import { runOk } from '#test/kit/run.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';

interface Shown {
  readonly layout: string;
  readonly state: string;
  readonly moving: unknown;
  readonly disks: readonly { id: string; path: string; state: string; used: number }[];
  readonly scrub: { running: boolean; ended: string | null; bad: number; segments: number };
}

const patience = 60_000;

test('four files with parity: one is cut off under a host, and replaced', async (t) => {
  const directory = await temporaryDirectory(t);
  const files = ['a', 'b', 'c', 'd'].map((name) => join(directory, name));
  const args = [...files.flatMap((file) => ['--store', file]), '--layout', 'parity'];
  const daemon = await Daemon.forTest(t, { args, storeSize: '96MiB' });
  const show = async (): Promise<Shown> => (await daemon.petal('store', 'ls')) as Shown;
  const settled = (state: string) =>
    until(`the store ${state}`, patience, async () => {
      const { state: now, moving } = await show();
      return now === state && moving === null;
    });
  const io = async (...commands: string[]) => {
    const url = daemon.url(await daemon.disk());
    await runOk('qemu-io', ['-f', 'raw', ...commands.flatMap((each) => ['-c', each]), url]);
  };

  const fresh = await show();
  t.is(fresh.layout, 'parity');
  t.is(fresh.state, 'ok');
  t.deepEqual(
    fresh.disks.map(({ path, state }) => [path, state]),
    files.map((file) => [file, 'ok']),
  );
  await io('write -P 0x11 0 8M', 'write -P 0x22 20M 4M', 'flush');

  await truncate(files[1]!, 4096);
  await settled('degraded');
  await io('read -P 0x11 0 8M', 'read -P 0x22 20M 4M', 'write -P 0x33 4M 2M', 'flush');
  t.is((await show()).disks.find(({ path }) => path === files[1])?.state, 'lost');

  // Killed as it is, without that disk: everything acknowledged is there.
  await daemon.kill();
  await daemon.launch();
  await io('read -P 0x11 0 4M', 'read -P 0x33 4M 2M', 'read -P 0x11 6M 2M', 'read -P 0x22 20M 4M');

  const replacement = join(directory, 'e');
  await daemon.petal('store', 'replace', files[1]!, replacement);
  await settled('ok');
  const healed = await show();
  t.deepEqual(healed.disks.map(({ path }) => path).sort(), [
    files[0],
    files[2],
    files[3],
    replacement,
  ]);
  await daemon.petal('store', 'scrub', 'start');
  await until('the scrub to end', patience, async () => (await show()).scrub.ended !== null);
  const { scrub } = await show();
  t.is(scrub.bad, 0);
  t.true(scrub.segments > 0);

  // And without another one: the replacement has what it should.
  await daemon.stop();
  const noted = JSON.parse(await readFile(join(daemon.directory, 'disks.json'), 'utf8')) as object;
  t.deepEqual(noted, { paths: healed.disks.map(({ path }) => path) });
  await truncate(files[2]!, 0);
  await daemon.launch();
  t.is((await show()).state, 'degraded');
  await io('read -P 0x11 0 4M', 'read -P 0x33 4M 2M', 'read -P 0x11 6M 2M', 'read -P 0x22 20M 4M');
});

test('what cannot be done with disks is said in one line', async (t) => {
  const directory = await temporaryDirectory(t);
  const daemon = await Daemon.forTest(t, { storeSize: '96MiB' });
  const alone = await daemon.petalRaw('store', 'add', join(directory, 'a'));
  t.is(alone.status, 1);
  t.regex(alone.stderr, /^petal: this store was made for one disk alone/);
  const shown = (await daemon.petal('store', 'ls')) as Shown;
  t.is(shown.layout, 'single');
  t.is(shown.disks.length, 1);

  const files = ['b', 'c'].map((name) => join(directory, name));
  const args = [...files.flatMap((file) => ['--store', file]), '--layout', 'mirrored'];
  const mirrored = await Daemon.forTest(t, { args, storeSize: '96MiB' });
  for (const [command, message] of [
    [['drain', files[0]!], /the other disks lack room for \d+ of the \d+ extents/],
    [['remove', files[0]!], /drain it first/],
    [['drain', 'no-such'], /the store has no disk 'no-such'/],
    [['add', files[0]!], /is in use by process/],
    [['add', join(directory, 'no', 'such')], /does not exist/],
    [['replace', 'ffffffffff', join(directory, 'x')], /the store has no disk/],
  ] as const) {
    const { status, stderr } = await mirrored.petalRaw('store', ...command);
    t.is(status, 1, stderr);
    t.regex(stderr, message);
    t.is(stderr.trimEnd().split('\n').length, 1, stderr);
  }
  t.is(((await mirrored.petal('store', 'ls')) as Shown).disks.length, 2);
});
