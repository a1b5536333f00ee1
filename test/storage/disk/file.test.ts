/** The real disk keeps the contract of the port: what is written is read, durable writes are synced
 * by the descriptor they go through, and the first failure is final. */
import { ftruncateSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { FileDisk, without } from '#storage/disk/file.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';

const mebibyte = 2 ** 20;

async function open(t: { teardown(fn: () => void | Promise<void>): void }) {
  const path = join(await temporaryDirectory(t), 'disk');
  const fd = openSync(path, 'w+');
  ftruncateSync(fd, 4 * mebibyte);
  const disk = new FileDisk(path, fd, 4 * mebibyte);
  t.teardown(() => disk.close());
  return { disk, path, fd };
}

test('random reads and writes of many buffers are a byte array', async (t) => {
  const { disk, path } = await open(t);
  const random = new SeededRandom();
  t.log(`seed ${random.seed}`);
  const model = Buffer.alloc(disk.size);
  for (let action = 0; action < 300; action++) {
    const units = random.between(1, 40);
    const offset = random.below(1024 - units + 1) * 4096;
    if (random.chance(0.5)) {
      const parts: Buffer[] = [];
      for (let left = units; left > 0; ) {
        const count = random.between(1, left);
        parts.push(random.fill(Buffer.alloc(count * 4096)));
        left -= count;
      }
      await disk.write(offset, parts, random.chance(0.5));
      Buffer.concat(parts).copy(model, offset);
    } else {
      const into = new Uint8Array(units * 4096);
      await disk.read(offset, into);
      t.is(Buffer.compare(into, model.subarray(offset, offset + into.length)), 0);
    }
  }
  await disk.sync();
  t.is(Buffer.compare(readFileSync(path), model), 0);
});

test('one descriptor of the file is open with O_DSYNC', async (t) => {
  const { path } = await open(t);
  const flags = descriptorsOf(path).map((fd) => {
    const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
    return Number.parseInt(/flags:\s+(\d+)/.exec(info)![1]!, 8);
  });
  t.deepEqual(flags.map((value) => (value & 0o10000) !== 0).sort(), [false, true]);
});

test('a failed write is final for writes and syncs; what can be read is read', async (t) => {
  const { disk, path } = await open(t);
  await disk.write(0, [new Uint8Array(4096).fill(1)], true);
  // A descriptor that cannot write stands in for a disk that fails: the kernel says EBADF.
  const readOnly = new FileDisk(path, openSync(path, 'r'), mebibyte);
  t.teardown(() => readOnly.close());
  const code = async (call: Promise<void>): Promise<string | undefined> =>
    (await t.throwsAsync(call, { instanceOf: StorageError }))?.code;
  t.is(await code(readOnly.write(0, [new Uint8Array(4096)], false)), 'DISK_FAILED');
  t.is(await code(readOnly.write(0, [new Uint8Array(4096)], true)), 'DISK_FAILED');
  t.is(await code(readOnly.sync()), 'DISK_FAILED');
  const into = new Uint8Array(4096);
  await readOnly.read(0, into);
  t.is(into[0], 1);
});

test('a file that was cut off is a medium error, never a short read', async (t) => {
  const { disk, fd } = await open(t);
  ftruncateSync(fd, 4096 + 100);
  const into = new Uint8Array(8192);
  const error = await t.throwsAsync(disk.read(0, into), { instanceOf: StorageError });
  t.is(error?.code, 'MEDIUM_ERROR');
  await disk.read(0, into.subarray(0, 4096));
});

test('closing waits for what is in flight', async (t) => {
  const { disk } = await open(t);
  const writes = [0, 1, 2, 3].map((i) =>
    disk.write(i * mebibyte, [new Uint8Array(mebibyte)], true),
  );
  const closing = disk.close();
  await Promise.all([...writes, closing]);
  await t.throwsAsync(disk.read(0, new Uint8Array(4096)));
});

test('a write that stopped short goes on where it stopped', (t) => {
  const parts = [1, 2, 3].map((value) => new Uint8Array(value * 10).fill(value));
  const all = Buffer.concat(parts);
  for (let count = 0; count <= all.length; count++) {
    t.deepEqual(Buffer.concat(without(parts, count)), all.subarray(count));
  }
});

test('an unaligned call is a bug', async (t) => {
  const { disk } = await open(t);
  await t.throwsAsync(disk.write(512, [new Uint8Array(4096)], true), { name: 'AssertionError' });
  await t.throwsAsync(disk.write(0, [new Uint8Array(512)], true), { name: 'AssertionError' });
  await t.throwsAsync(disk.read(disk.size, new Uint8Array(4096)), { name: 'AssertionError' });
});

test('no descriptor is left when the disk is closed', async (t) => {
  const { disk, path } = await open(t);
  t.is(descriptorsOf(path).length, 2);
  await disk.close();
  t.is(descriptorsOf(path).length, 0);
});

/** Our descriptors that are open on `path`. */
function descriptorsOf(path: string): string[] {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false; // closed meanwhile, by whatever else this process does
    }
  });
}
