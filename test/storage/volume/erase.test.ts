/**
 * A disk that can be erased: its blocks are sealed below and plain above; after an erase it reads as
 * zeros, what the store keeps cannot be read with the key that is left, and a crash in between is finished.
 */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { silentLog } from '#storage/base/log.ts';
import { formatEmbedded, openEmbedded } from '#storage/cluster/embedded.ts';
import { blockBytes, type Done } from '#storage/map/blocks.ts';
import { Catalog } from '#storage/volume/catalog.ts';
import { OpenVolume } from '#storage/volume/open.ts';
import { SealedBlocks } from '#storage/volume/sealed-blocks.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { ManualClock } from '#test/sim/manual-clock.ts';
import { MemoryBlocks } from '#test/sim/memory-blocks.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

const storeId = new Uint8Array(16).fill(7);
const call = (start: (done: Done) => void): Promise<StorageError | null> =>
  new Promise((resolve) => start({ complete: resolve }));

async function fresh() {
  const disk = new MemoryDisk(2 ** 21);
  await formatEmbedded(disk, storeId);
  const random = new SeededRandom();
  const ports = {
    directory: await openEmbedded(disk, { storeId, log: silentLog }),
    blocks: new MemoryBlocks({ capacity: 4096 }),
    clock: new ManualClock(),
    random: { bytes: (length: number) => random.fill(Buffer.alloc(length)) },
    log: silentLog,
  };
  return { ports, ...ports, disk, seeded: random, catalog: await Catalog.open(ports) };
}

const raw = (blocks: MemoryBlocks, ref: number): Buffer => {
  const into = Buffer.alloc(16 * blockBytes);
  blocks.readNow(ref, 0, 16, into, 0);
  return into;
};

test('data of any alignment comes back, holes stay zeros, and the store never sees it', async (t) => {
  const { catalog, blocks, seeded: random } = await fresh();
  const record = await catalog.create({ name: 'a', size: 2 ** 20, erasable: true });
  const volume = new OpenVolume(record, blocks, catalog);
  const shadow = Buffer.alloc(16 * blockBytes);
  for (let round = 0; round < 60; round++) {
    const sectors = 1 + random.below(24);
    const at = random.below(128 - sectors);
    const data = random.fill(Buffer.alloc(sectors * 512));
    if (random.chance(0.2)) {
      data.fill(0);
      t.is(await call((done) => volume.unmap(at * 512, data.length, done)), null);
    } else t.is(await call((done) => volume.write(at * 512, data, done)), null);
    data.copy(shadow, at * 512);
    const into = Buffer.alloc(shadow.length);
    t.is(await call((done) => volume.read(0, into.length, into, 0, done)), null);
    t.deepEqual(into, shadow);
  }
  const below = raw(blocks, record.ref);
  for (let block = 0; block < 16; block++) {
    const plain = shadow.subarray(block * blockBytes, (block + 1) * blockBytes);
    if (plain.every((byte) => byte === 0)) continue;
    t.notDeepEqual(below.subarray(block * blockBytes, (block + 1) * blockBytes), plain);
  }
});

test('equal blocks do not look equal below', async (t) => {
  const { catalog, blocks } = await fresh();
  const record = await catalog.create({ name: 'a', size: 2 ** 20, erasable: true });
  const volume = new OpenVolume(record, blocks, catalog);
  await call((done) => volume.write(0, Buffer.alloc(2 * blockBytes, 5), done));
  const below = raw(blocks, record.ref);
  t.notDeepEqual(below.subarray(0, blockBytes), below.subarray(blockBytes, 2 * blockBytes));
});

test('after an erase it reads as zeros, gives its room back, and its old key is nowhere', async (t) => {
  const { catalog, blocks, disk, directory } = await fresh();
  const before = await catalog.create({ name: 'a', size: 2 ** 20, erasable: true });
  const volume = new OpenVolume(before, blocks, catalog);
  catalog.listen((_change, record) => volume.update(record));
  const data = Buffer.alloc(4 * blockBytes, 9);
  await call((done) => volume.write(0, data, done));
  const old = raw(blocks, before.ref);
  const after = await catalog.erase(before.id);
  t.not(after.cipherKey, before.cipherKey);
  const into = Buffer.alloc(data.length, 1);
  t.is(await call((done) => volume.read(0, into.length, into, 0, done)), null);
  t.true(into.every((byte) => byte === 0));
  t.is(blocks.usage(before.ref).mapped, 0);
  await directory.close();
  t.false(Buffer.from(disk.content).includes(before.cipherKey!), 'the old key is on the disk');
  // What a medium may still hold, under the key that there is now.
  blocks.write(before.ref, 0, old.subarray(0, data.length), { complete: () => {} });
  const sealed = new SealedBlocks(blocks, after.cipherKey!);
  t.true(sealed.readNow(before.ref, 0, 4, into, 0));
  t.notDeepEqual(into, data);
});

test('a thick disk keeps its promise of room', async (t) => {
  const { catalog, blocks } = await fresh();
  const record = await catalog.create({
    name: 'a',
    size: 2 ** 20,
    erasable: true,
    reserved: true,
  });
  await catalog.erase(record.id);
  t.is(blocks.usage(record.ref).reserved, 256);
});

test('a crash behind the new key is finished at the next start', async (t) => {
  const { ports, catalog, blocks } = await fresh();
  const record = await catalog.create({ name: 'a', size: 2 ** 20, erasable: true });
  const volume = new OpenVolume(record, blocks, catalog);
  await call((done) => volume.write(0, Buffer.alloc(4 * blockBytes, 9), done));
  blocks.unmap = () => {
    throw new Error('the power fails here');
  };
  await t.throwsAsync(catalog.erase(record.id), { message: 'the power fails here' });
  delete (blocks as Partial<MemoryBlocks>).unmap;
  const again = await Catalog.open(ports);
  t.not(again.get(record.id)?.cipherKey, record.cipherKey);
  t.is(blocks.usage(record.ref).mapped, 0);
});

test('a disk that was not made for it cannot be erased', async (t) => {
  const { catalog } = await fresh();
  const record = await catalog.create({ name: 'a', size: 2 ** 20 });
  const error = await t.throwsAsync(catalog.erase(record.id), { instanceOf: StorageError });
  t.is(error?.code, 'INVALID');
});
