/**
 * A storage server from its public face: made, filled, killed or closed, opened again: the same
 * disks with the same data; and when its disk fails it says so, acknowledges nothing and reads on.
 */
import { join } from 'node:path';
import test from 'ava';
import { realClock } from '#storage/base/clock.ts';
import { StorageError } from '#storage/base/errors.ts';
import { realRandom } from '#storage/base/random.ts';
import type { Done } from '#storage/map/blocks.ts';
import { StorageServer } from '#storage/server.ts';
import type { Volume } from '#storage/volume/volume.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

const mebibyte = 2 ** 20;
const ports = { clock: realClock, random: realRandom };
const options = { cacheBytes: 16 * mebibyte };

const call = (start: (done: Done) => void): Promise<StorageError | null> =>
  new Promise((resolve) => start({ complete: resolve }));

const read = async (volume: Volume, offset: number, length: number): Promise<Buffer> => {
  const into = Buffer.alloc(length);
  const error = await call((done) => volume.read(offset, length, into, 0, done));
  if (error !== null) throw error;
  return into;
};

/** Random unaligned writes, some in flight together; the model holds what was acknowledged. */
async function scribble(volume: Volume, model: Buffer, random: SeededRandom): Promise<void> {
  for (let round = 0; round < 40; round++) {
    const calls: Promise<StorageError | null>[] = [];
    for (let index = 0; index < 8; index++) {
      // Each in an eighth of its own: in flight together, so their order is nobody's business.
      const span = model.length / 8 / 512;
      const from = random.below(span);
      const length = random.between(1, Math.min(span - from, 64)) * 512;
      const offset = (index * span + from) * 512;
      const data = random.fill(Buffer.alloc(length));
      if (random.chance(0.2)) {
        data.fill(0);
        calls.push(call((done) => volume.unmap(offset, length, done)));
      } else calls.push(call((done) => volume.write(offset, data, done)));
      data.copy(model, offset);
    }
    for (const error of await Promise.all(calls)) if (error !== null) throw error;
  }
}

test('what was written is there after closing and opening', async (t) => {
  const path = await temporaryDirectory(t);
  const size = 128 * mebibyte;
  const server = await StorageServer.open({ ...options, paths: [path], size });
  t.true(server.created);
  const random = new SeededRandom();
  t.log(`seed ${random.seed}`);
  const { id } = await server.catalog.create({ name: 'a', size: 8 * mebibyte });
  const model = Buffer.alloc(8 * mebibyte);
  await scribble(server.volume(id), model, random);
  const { used, capacity, free } = server.status();
  t.is(server.status().path, join(path, 'store.petal'));
  t.true(used > 0 && used <= model.length && free < capacity && capacity < size);
  const holder = await t.throwsAsync(StorageServer.open({ paths: [path] }), {
    instanceOf: StorageError,
  });
  t.is(holder?.code, 'IN_USE');
  await server.close();

  const again = await StorageServer.open({ ...options, paths: [path] });
  t.false(again.created);
  t.is(again.id, server.id);
  t.deepEqual(again.catalog.list(), server.catalog.list());
  t.is(Buffer.compare(await read(again.volume(id), 0, model.length), model), 0);
  t.is(again.status().used, used);
  await again.close();
});

test('a crash loses nothing that was acknowledged', async (t) => {
  const disk = new MemoryDisk(64 * mebibyte);
  const random = new SeededRandom();
  t.log(`seed ${random.seed}`);
  const server = await StorageServer.openOn(disk, ports, options);
  t.true(server.created);
  const { id } = await server.catalog.create({ name: 'a', size: 4 * mebibyte });
  const model = Buffer.alloc(4 * mebibyte);
  await scribble(server.volume(id), model, random);
  // What is on the disk this moment, without closing anything.
  const crashed = new MemoryDisk(disk.size, disk.content.slice());
  const again = await StorageServer.openOn(crashed, ports, options);
  t.false(again.created);
  t.is(Buffer.compare(await read(again.volume(id), 0, model.length), model), 0);
  await again.close();
  await server.close();
});

test('volumes follow the catalog', async (t) => {
  const server = await StorageServer.openOn(new MemoryDisk(64 * mebibyte), ports, options);
  const { catalog } = server;
  const { id } = await catalog.create({ name: 'a', size: mebibyte });
  const volume = server.volume(id);
  const heard: string[] = [];
  volume.listen({ changed: (change) => heard.push(change) });
  await catalog.resize(id, 2 * mebibyte);
  t.is(volume.record.size, 2 * mebibyte);
  t.is(await call((done) => volume.write(mebibyte, Buffer.alloc(512, 1), done)), null);
  t.is(server.used(volume.record), 4096);
  await catalog.remove(id);
  t.deepEqual(heard, ['size', 'removed']);
  t.is(t.throws(() => server.volume(id), { instanceOf: StorageError })?.code, 'NOT_FOUND');
  t.is((await call((done) => volume.write(0, Buffer.alloc(512), done)))?.code, 'NOT_FOUND');
  t.is(server.status().removed, 4096);
  await catalog.undelete(id, 'b');
  const back = await read(server.volume(id), mebibyte, 512);
  t.is(back[0], 1);
  t.deepEqual(
    server.volumes().map(({ record }) => record.name),
    ['b'],
  );
  await server.close();
});

test('a full store: a removed disk gives way, then NO_SPACE, and unmapping helps', async (t) => {
  const server = await StorageServer.openOn(new MemoryDisk(64 * mebibyte), ports, options);
  const { catalog } = server;
  const big = await catalog.create({ name: 'big', size: 256 * mebibyte });
  const gone = await catalog.create({ name: 'gone', size: 256 * mebibyte });
  const piece = Buffer.alloc(256 * 1024, 7);
  const fill = async (volume: Volume, from: number): Promise<number> => {
    for (let at = from; ; at += piece.length) {
      const error = await call((done) => volume.write(at, piece, done));
      if (error === null) continue;
      t.is(error.code, 'NO_SPACE');
      return at;
    }
  };
  const volume = server.volume(gone.id);
  for (let at = 0; at < 4 * mebibyte; at += piece.length) {
    t.is(await call((done) => volume.write(at, piece, done)), null);
  }
  await catalog.remove(gone.id);
  const end = await fill(server.volume(big.id), 0);
  t.deepEqual(catalog.removed(), [], 'the removed disk gave way');
  t.true(end > 16 * mebibyte);
  t.true(server.status().free < piece.length);
  const whole = await read(server.volume(big.id), 0, end);
  t.true(whole.equals(Buffer.alloc(end, 7)));
  t.is(await call((done) => server.volume(big.id).write(512, piece, done)), null, 'overwriting');
  t.is(await call((done) => server.volume(big.id).unmap(0, mebibyte, done)), null);
  t.is(await call((done) => server.volume(big.id).write(end, piece, done)), null);
  await server.close();
});

test('a failed disk is said at once; nothing is acknowledged any more, reads go on', async (t) => {
  const disk = new MemoryDisk(64 * mebibyte);
  const server = await StorageServer.openOn(disk, ports, options);
  const { id } = await server.catalog.create({ name: 'a', size: mebibyte });
  const volume = server.volume(id);
  t.is(await call((done) => volume.write(0, Buffer.alloc(4096, 5), done)), null);
  const heard: StorageError[] = [];
  server.onFailed((error) => heard.push(error));
  t.is(server.failed, null);
  disk.failFrom = disk.writes.length;
  t.is((await call((done) => volume.write(4096, Buffer.alloc(4096), done)))?.code, 'DISK_FAILED');
  disk.failFrom = Number.POSITIVE_INFINITY;
  t.is((await call((done) => volume.write(4096, Buffer.alloc(4096), done)))?.code, 'DISK_FAILED');
  t.deepEqual(
    heard.map(({ code }) => code),
    ['DISK_FAILED'],
  );
  t.is(server.failed?.code, 'DISK_FAILED');
  t.is((await read(volume, 0, 4096))[100], 5);
  await t.throwsAsync(server.close(), { instanceOf: StorageError });
  t.true(disk.closed, 'let go nevertheless');
  const again = await StorageServer.openOn(new MemoryDisk(disk.size, disk.content), ports, options);
  t.is((await read(again.volume(id), 0, 4096))[100], 5);
  await again.close();
});

test('a disk with something else on it is not taken', async (t) => {
  const disk = new MemoryDisk(64 * mebibyte);
  disk.content[5000] = 1;
  const taken = StorageServer.openOn(disk, ports, options);
  t.is((await t.throwsAsync(taken, { instanceOf: StorageError }))?.code, 'INVALID');
  t.is(disk.writes.length, 0);
});

test('making a store may crash anywhere: it is made again, or was complete', async (t) => {
  const disk = new MemoryDisk(64 * mebibyte);
  const start = disk.content.slice();
  const server = await StorageServer.openOn(disk, ports, options);
  await server.close();
  // The writes of making it end with the two copies of the label.
  const labels = disk.writes.flatMap(({ offset }, index) =>
    offset === mebibyte / 2 ? [index] : [],
  );
  t.is(labels.length, 1);
  for (let count = 0; count <= labels[0]! + 1; count++) {
    const crashed = MemoryDisk.after(start, disk.writes, count, () => false);
    const again = await StorageServer.openOn(crashed, ports, options);
    t.is(again.created, count < labels[0]!, `write ${count}`);
    await again.catalog.create({ name: 'a', size: mebibyte });
    await again.close();
  }
});
