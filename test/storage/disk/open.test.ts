/**
 * One process owns a store for its life, nothing that is not ours is taken without a word, and a
 * store file is whole or not there.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { realClock } from '#storage/base/clock.ts';
import { StorageError, type StorageErrorCode } from '#storage/base/errors.ts';
import { silentLog } from '#storage/base/log.ts';
import { layOut, writeLabel } from '#storage/disk/label.ts';
import { type OpenOptions, openStoreDisk, type StoreDisk } from '#storage/disk/open.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';

const mebibyte = 2 ** 20;
const size = 64 * mebibyte;

const open = (path: string, over: Partial<OpenOptions> = {}): Promise<StoreDisk> =>
  openStoreDisk({ path, size, clock: realClock, log: silentLog, ...over });

/** Make a store and leave it open. */
async function make(path: string, over: Partial<OpenOptions> = {}): Promise<StoreDisk> {
  const store = await open(path, over);
  await writeLabel(store.disk, layOut(new Uint8Array(16).fill(1), 0, store.size));
  store.ready();
  return store;
}

async function refused(
  t: ExecutionContext,
  call: Promise<unknown>,
  code: StorageErrorCode,
  message = /./,
): Promise<void> {
  const error = await t.throwsAsync(call, { instanceOf: StorageError });
  t.is(error?.code, code, error?.message);
  t.regex(error?.message ?? '', message);
}

test('a directory gets store.petal, allocated up front, for its owner alone', async (t) => {
  const directory = await temporaryDirectory(t);
  const store = await make(directory);
  t.is(store.label, null);
  const path = join(directory, 'store.petal');
  const { size: length, blocks, mode } = statSync(path);
  t.is(length, size);
  t.true(blocks * 512 >= size, 'every block is allocated');
  t.is(mode & 0o777, 0o600);
  await store.close();
  t.false(existsSync(`${path}.lock`));
  const again = await open(directory);
  t.is(again.label?.size, size);
  t.is(again.disk.size, size);
  await again.close();
});

test('a store that was not finished is not there, and the next attempt makes it', async (t) => {
  const directory = await temporaryDirectory(t);
  const store = await open(directory);
  t.false(existsSync(join(directory, 'store.petal')));
  await store.close();
  t.false(existsSync(join(directory, 'store.petal.new')));
  writeFileSync(join(directory, 'store.petal.new'), 'left by a crash');
  await (await make(directory)).close();
  const again = await open(directory);
  t.not(again.label, null);
  await again.close();
});

test('a second opener is refused and told who holds the store', async (t) => {
  const directory = await temporaryDirectory(t);
  const link = join(directory, 'link');
  symlinkSync(join(directory, 'store.petal'), link);
  const store = await open(directory);
  const holder = new RegExp(`in use by process ${process.pid} on ${hostname()} since \\d{4}-`);
  await refused(t, open(directory), 'IN_USE', holder);
  await writeLabel(store.disk, layOut(new Uint8Array(16), 0, size));
  store.ready();
  await refused(t, open(directory), 'IN_USE', holder);
  await refused(t, open(link), 'IN_USE', holder);
  await refused(t, open(directory, { wipe: true }), 'IN_USE', holder);
  await store.close();
  await (await open(link)).close();
});

test('another process is refused while its holder lives, and not after kill -9', async (t) => {
  const directory = await temporaryDirectory(t);
  await (await make(directory)).close();
  const program = `
    import { openStoreDisk } from ${JSON.stringify(import.meta.resolve('#storage/disk/open.ts'))};
    import { realClock } from ${JSON.stringify(import.meta.resolve('#storage/base/clock.ts'))};
    import { silentLog } from ${JSON.stringify(import.meta.resolve('#storage/base/log.ts'))};
    await openStoreDisk({ path: ${JSON.stringify(directory)}, clock: realClock, log: silentLog });
    process.stdout.write('open');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => void child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await refused(t, open(directory), 'IN_USE', new RegExp(`process ${child.pid} on `));
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  t.true(existsSync(join(directory, 'store.petal.lock')), 'a note is left over');
  const store = await open(directory);
  const note = JSON.parse(readFileSync(join(directory, 'store.petal.lock'), 'utf8'));
  t.is(note.pid, process.pid);
  await store.close();
});

test('what is not ours is refused, and left as it is', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'image');
  for (const bytes of [
    Buffer.alloc(100, 1),
    Buffer.alloc(2 * mebibyte, 1),
    Buffer.alloc(2 * mebibyte),
  ]) {
    writeFileSync(path, bytes);
    await refused(t, open(path), 'INVALID', /no Petal store/);
    t.is(Buffer.compare(readFileSync(path), bytes), 0);
    const wiped = await make(path, { wipe: true });
    await wiped.close();
    const again = await open(path, { wipe: true });
    t.not(again.label, null, 'a store of ours is never wiped');
    await again.close();
  }
});

test('an empty file is as good as none', async (t) => {
  const path = join(await temporaryDirectory(t), 'store');
  writeFileSync(path, '');
  await (await make(path)).close();
  t.is(statSync(path).size, size);
});

test('clear words for what cannot be', async (t) => {
  const directory = await temporaryDirectory(t);
  await refused(t, open(directory, { size: 63 * mebibyte }), 'INVALID', /at least 64 MiB/);
  await refused(t, open(directory, { size: Number.NaN }), 'INVALID');
  await refused(t, open(directory, { size: 2 ** 45 }), 'INVALID', /at most/);
  await refused(t, open(directory, { size: 2 ** 43 }), 'NO_SPACE', /free/);
  await refused(t, open(join(directory, 'a', 'b')), 'NOT_FOUND', /does not exist/);
  await refused(t, open('/dev/null'), 'INVALID', /neither a file nor a block device/);
  t.deepEqual(execFileSync('ls', [directory], { encoding: 'utf8' }), '');
});

test('a size is rounded down to whole MiB', async (t) => {
  const store = await make(await temporaryDirectory(t), { size: size + mebibyte - 1 });
  t.is(store.size, size);
  await store.close();
});

/** A loop device of `bytes`, or null where this user may not have one. */
async function loopDevice(t: ExecutionContext, bytes: number): Promise<string | null> {
  const image = join(await temporaryDirectory(t), 'image');
  execFileSync('truncate', ['-s', `${bytes}`, image]);
  try {
    const path = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
    t.teardown(() => void execFileSync('losetup', ['-d', path]));
    return path;
  } catch {
    t.log('no loop devices for this user: block devices are not tried');
    t.pass();
    return null;
  }
}

test.serial('a blank block device is taken whole, and held exclusively', async (t) => {
  const path = await loopDevice(t, 100 * mebibyte + 4096);
  if (path === null) return;
  const stateDirectory = join(await temporaryDirectory(t), 'state');
  const over = { size: undefined, stateDirectory };
  const store = await make(path, over);
  t.is(store.size, 100 * mebibyte);
  await refused(t, open(path, over), 'IN_USE', new RegExp(`process ${process.pid} on`));
  await store.close();
  const again = await open(path, over);
  t.is(again.label?.size, 100 * mebibyte);
  await again.close();
});

test.serial('a block device with a signature or data is refused without --wipe', async (t) => {
  const path = await loopDevice(t, 80 * mebibyte);
  if (path === null) return;
  const directory = await temporaryDirectory(t);
  const over = { size: undefined, stateDirectory: directory };
  execFileSync('mkfs.ext4', ['-q', path], {
    env: { ...process.env, PATH: `${process.env.PATH}:/sbin:/usr/sbin` },
  });
  await refused(t, open(path, over), 'INVALID', /ext4.*--wipe/);
  const mountPoint = join(directory, 'mnt');
  mkdirSync(mountPoint);
  let mounted = true;
  try {
    execFileSync('mount', [path, mountPoint], { stdio: 'ignore' });
  } catch {
    mounted = false;
    t.log('this user may not mount: a mounted device is not tried');
  }
  if (mounted) {
    try {
      await refused(t, open(path, { ...over, wipe: true }), 'IN_USE', /is mounted on .*mnt/);
    } finally {
      execFileSync('umount', [mountPoint]);
    }
  }
  await (await make(path, { ...over, wipe: true })).close();
  t.throws(
    () => execFileSync('blkid', ['-p', path], { stdio: 'ignore' }),
    undefined,
    'no signature is left',
  );
  const again = await open(path, over);
  t.not(again.label, null);
  await again.disk.write(0, [new Uint8Array(mebibyte)], true);
  await again.disk.write(4096, [new Uint8Array(4096).fill(3)], true);
  await again.close();
  await refused(t, open(path, over), 'INVALID', /data without a known signature/);
});
