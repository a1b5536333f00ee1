/** Export and import through the command line: files, pipes, increments, images of other formats, and refusals. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { DiskView } from '#appliance/disk-view.ts';
import { run } from '#test/kit/run.ts';
import { root } from '#test/kit/tree.ts';
import { MemoryDaemon } from '../memory-daemon.ts';

const block = (fill: number): Buffer => Buffer.alloc(4096, fill);

/** A disk "a" with three blocks and its snapshot "s0"; then one block more and "s1". */
async function furnished(t: ExecutionContext) {
  const daemon = await MemoryDaemon.forTest(t);
  const { disks, snapshots } = daemon.verbs;
  const disk = await disks.create({ name: 'a', size: 8 * 2 ** 20 });
  const host = await daemon.login(disk);
  await host.settle();
  for (const at of [0, 1, 700]) await host.write(at * 8, block(at % 100));
  await snapshots.create(['a'], 's0');
  await host.write(9 * 8, block(9));
  await host.write(0, block(77));
  await snapshots.create(['a'], 's1');
  await host.logout();
  return daemon;
}

async function contentOf(daemon: MemoryDaemon, name: string): Promise<Buffer> {
  const volume = daemon.store.volume(daemon.store.catalog.find(name)!.id);
  const into = Buffer.alloc(volume.record.size);
  await new Promise<void>((resolve, reject) => {
    const complete = (error: Error | null) => (error === null ? resolve() : reject(error));
    volume.read(0, into.length, into, 0, { complete });
  });
  return into;
}

test('a file goes out and comes in, and increments after it', async (t) => {
  const daemon = await furnished(t);
  const [full, increment] = ['full', 'increment'].map((name) => join(daemon.directory, name));
  const out = await daemon.say('export', 'a@s0', '-o', full!);
  t.is(out.stdout, `exported a@s0 to ${full}\n`, out.output);
  t.is((await daemon.say('export', 'a@s1', '--from', 's0', '-o', increment!)).status, 0);
  const early = await daemon.say('import', increment!, 'b');
  t.is(early.status, 1);
  t.regex(early.stderr, /there is no disk 'b'/);
  const made = await daemon.say('import', full!, 'b');
  t.regex(made.stdout, /^imported b@s0, 8 MiB: iqn\..*:b LUN 0\n$/, made.output);
  const next = await daemon.say('import', increment!, 'b');
  t.regex(next.stdout, /^imported b@s1, 8 MiB: iqn/, next.output);
  t.is(Buffer.compare(await contentOf(daemon, 'a'), await contentOf(daemon, 'b')), 0);
  const again = await daemon.say('import', increment!, 'b');
  t.regex(again.stderr, /was written to since its snapshot "s0"; roll it back first/);
  t.false(readdirSync(daemon.directory).some((name) => name.endsWith('.part')));
});

test('a pipe of the two commands copies a disk, of which a snapshot is made first', async (t) => {
  const daemon = await furnished(t);
  const cli = `"${process.execPath}" appliance/cli/main.ts --data "${daemon.directory}"`;
  const { promisify } = await import('node:util');
  const { exec } = await import('node:child_process');
  const line = `${cli} export a | ${cli} import - b --sanitize --reserved`;
  const { stdout, stderr } = await promisify(exec)(line);
  t.regex(stdout, /^imported b@export-\d{4}-\d{2}-\d{2}-\d{6}, 8 MiB/);
  t.regex(stderr, /^exported a@export-/);
  t.false(stderr.includes('\x1b'), 'no bars in a pipe');
  t.like(daemon.verbs.disks.show('b'), { sanitize: true, reserved: true });
  t.is(Buffer.compare(await contentOf(daemon, 'a'), await contentOf(daemon, 'b')), 0);
});

test('what is no stream, is cut short or was altered is refused and leaves nothing', async (t) => {
  const daemon = await furnished(t);
  const file = join(daemon.directory, 'stream');
  await daemon.petal('export', 'a@s1', '-o', file);
  const whole = await readFile(file);
  const { used } = daemon.store.status();
  await truncate(file, whole.length - 1);
  t.regex((await daemon.say('import', file, 'b')).stderr, /import: the stream ends too early/);
  whole[5000]! ^= 1;
  await writeFile(file, whole);
  t.regex((await daemon.say('import', file, 'b')).stderr, /import: record \d was altered/);
  await writeFile(file, Buffer.alloc(100_000, 'no'));
  t.regex((await daemon.say('import', file, 'b')).stderr, /this is no stream of Petal/);
  t.regex((await daemon.say('import', join(daemon.directory, 'none'), 'b')).stderr, /cannot read/);
  t.true(daemon.store.status().used <= used);
  t.is(daemon.store.catalog.find('b'), null);
});

for (const format of ['raw', 'qcow2', 'vmdk', 'vhdx']) {
  test(`out as ${format} and in again is the same`, async (t) => {
    const daemon = await furnished(t);
    const file = join(daemon.directory, `image.${format}`);
    const out = await daemon.say('export', 'a@s1', '--format', format, '-o', file);
    t.is(out.stdout, `exported a@s1 to ${file}\n`, out.output);
    const info = execFileSync('qemu-img', ['info', '--output=json', file], { encoding: 'utf8' });
    t.is((JSON.parse(info) as { format: string }).format, format);
    t.is(daemon.verbs.snapshots.show('a@s1').exposed, null, 'and is no target any more');
    const made = await daemon.say('import', file, 'b', '--format', format);
    t.regex(made.stdout, /^imported b, 8 MiB: iqn/, made.output);
    t.is(Buffer.compare(await contentOf(daemon, 'a'), await contentOf(daemon, 'b')), 0);
    const b = daemon.verbs.disks.show('b');
    t.deepEqual(b.chap.users, []);
    t.true(b.used <= 64 * 4096, 'holes stay holes');
  });
}

test('an image that names other files is refused, and they are not read', async (t) => {
  const daemon = await MemoryDaemon.forTest(t);
  const at = (name: string): string => join(daemon.directory, name);
  await writeFile(at('secret'), Buffer.alloc(65_536, 'secret'));
  const qemu = (...args: string[]) => execFileSync('qemu-img', args, { stdio: 'ignore' });
  qemu('create', '-f', 'qcow2', '-b', at('secret'), '-F', 'raw', at('backed'));
  qemu(
    'create',
    '-f',
    'qcow2',
    '-o',
    `data_file=${at('secret')},data_file_raw=on`,
    at('apart'),
    '64K',
  );
  qemu('create', '-f', 'vmdk', '-o', 'subformat=monolithicFlat', at('flat.vmdk'), '64K');
  const cases = [
    ['backed', 'qcow2', /it has a backing file/],
    ['apart', 'qcow2', /its data lie in another file/],
    ['flat.vmdk', 'vmdk', /only a VMDK in one sparse file is taken/],
    ['secret', 'qcow2', /this is no qcow2 image/],
    ['secret', 'vhdx', /this is no VHDX image/],
  ] as const;
  for (const [name, format, why] of cases) {
    const refused = await daemon.say('import', at(name), 'b', '--format', format);
    t.is(refused.status, 1, name);
    t.regex(refused.stderr, why);
  }
  t.is(daemon.store.catalog.find('b'), null);
  t.deepEqual(
    (daemon.verbs.disks.removed() as DiskView[]).map(({ name }) => name),
    [],
  );
});

test('without qemu-img other formats are refused with advice, and usage is checked', async (t) => {
  const daemon = await furnished(t);
  const file = join(daemon.directory, 'x.qcow2');
  const cli = [join(root, 'appliance/cli/main.ts'), '--data', daemon.directory];
  const args = ['export', 'a@s1', '--format', 'qcow2', '-o', file];
  const missing = await run(process.execPath, [...cli, ...args], {
    env: { PATH: daemon.directory },
  });
  t.is(missing.status, 1);
  t.regex(missing.stderr, /this format needs qemu-img \(Debian: apt install qemu-utils/);
  t.false(existsSync(file));
  t.is((await daemon.say('export', 'a@s1', '--format', 'qcow2')).status, 2);
  t.is((await daemon.say('export', 'a@s1', '--format', 'floppy', '-o', file)).status, 2);
  t.is((await daemon.say('import', '-', 'b', '--format', 'raw')).status, 2);
});
