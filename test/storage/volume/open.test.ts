/** What an open volume does at its edges: gone, shrunk, damaged, failed, thick and thin. */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { blockBytes, type Done } from '#storage/map/blocks.ts';
import { OpenVolume } from '#storage/volume/open.ts';
import type { DiskRecord } from '#storage/volume/volume.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { MemoryBlocks } from '#test/sim/memory-blocks.ts';

const record: DiskRecord = {
  id: '0'.repeat(32),
  ref: 1,
  name: 'a',
  size: 1024 * blockBytes,
  sectorBytes: 512,
  physicalSectorBytes: 4096,
  reserved: false,
  created: 0,
  removed: null,
  attributes: {},
};
const noSpace = { reclaimable: () => false, purges: 0, reclaim: async () => false };

function open(over: Partial<DiskRecord> = {}, random?: SeededRandom) {
  const blocks = new MemoryBlocks(random === undefined ? {} : { random });
  blocks.spaces.set(1, { content: new Map(), reserved: 0 });
  return { blocks, volume: new OpenVolume({ ...record, ...over }, blocks, noSpace) };
}

const call = (start: (done: Done) => void): Promise<StorageError | null> =>
  new Promise((resolve) => start({ complete: resolve }));

const every = (volume: OpenVolume): ((offset: number, done: Done) => void)[] => [
  (offset, done) => volume.read(offset, 512, new Uint8Array(512), 0, done),
  (offset, done) => volume.write(offset, new Uint8Array(512), done),
  (offset, done) => volume.unmap(offset, 512, done),
  (offset, done) => volume.writeZeroes(offset, 512, false, done),
  (offset, done) => volume.compareAndWrite(offset, new Uint8Array(512), new Uint8Array(512), done),
];

test('a removed disk refuses every call, and its listeners hear once', async (t) => {
  const { volume } = open();
  const heard: string[] = [];
  volume.listen({ changed: (change) => heard.push(change) });
  volume.end();
  volume.end();
  t.deepEqual(heard, ['removed']);
  for (const start of every(volume))
    t.is((await call((done) => start(0, done)))?.code, 'NOT_FOUND');
  t.is((await call((done) => volume.flush(done)))?.code, 'NOT_FOUND');
  t.false(volume.readNow(0, 512, new Uint8Array(512), 0));
});

test('a range past the end of a shrunk disk is refused, and listeners hear of the size', async (t) => {
  const { volume } = open();
  const heard: string[] = [];
  const stop = volume.listen({ changed: (change) => heard.push(change) });
  volume.update({ ...record, name: 'b' });
  volume.update({ ...record, size: 8192 });
  stop();
  volume.update(record);
  volume.update({ ...record, size: 8192 });
  t.deepEqual(heard, ['size']);
  for (const start of every(volume))
    t.is((await call((done) => start(8192, done)))?.code, 'INVALID');
  for (const start of every(volume)) t.is(await call((done) => start(7680, done)), null);
});

test('a partial write that waits does not land after a shrink or a removal', async (t) => {
  for (const change of ['shrink', 'remove'] as const) {
    const random = new SeededRandom(5);
    const { blocks, volume } = open({}, random);
    const outcomes: (string | undefined)[] = [];
    const done: Done = { complete: (error) => outcomes.push(error?.code) };
    for (let index = 0; index < 20; index++) {
      volume.write(8192 + 512, new Uint8Array(512).fill(9), done);
    }
    blocks.spaces.get(1)!.content.clear();
    if (change === 'shrink') volume.update({ ...record, size: 8192 });
    else volume.end();
    blocks.settle();
    t.is(outcomes.length, 20);
    t.is(blocks.spaces.get(1)!.content.size, 0, 'nothing landed');
  }
});

test('damage under a partial write is an error, never zeros', async (t) => {
  const { blocks, volume } = open();
  blocks.damaged.add(3);
  const sector = new Uint8Array(512);
  const at = 3 * blockBytes + 512;
  t.is((await call((done) => volume.write(at, sector, done)))?.code, 'MEDIUM_ERROR');
  t.is(
    (await call((done) => volume.compareAndWrite(at, sector, sector, done)))?.code,
    'MEDIUM_ERROR',
  );
  t.is((await call((done) => volume.read(at, 512, sector, 0, done)))?.code, 'MEDIUM_ERROR');
  t.is(volume.locks.count, 0);
  t.is(await call((done) => volume.write(3 * blockBytes, new Uint8Array(4096), done)), null);
});

test('a failed store fails every change and leaves no lock behind', async (t) => {
  const { blocks, volume } = open();
  t.is(await call((done) => volume.write(0, new Uint8Array(8192), done)), null);
  blocks.failure = new StorageError('DISK_FAILED', 'planned');
  const [, ...changes] = every(volume);
  for (const start of changes) t.is((await call((done) => start(512, done)))?.code, 'DISK_FAILED');
  t.is((await call((done) => volume.flush(done)))?.code, 'DISK_FAILED');
  t.is(volume.locks.count, 0);
});

test('zeroes of a thin disk stay allocated unless they may be unmapped', async (t) => {
  const { blocks, volume } = open();
  const size = 600 * blockBytes;
  t.is(await call((done) => volume.writeZeroes(512, size, false, done)), null);
  t.is(blocks.usage(1).mapped, 601);
  t.is(await call((done) => volume.writeZeroes(512, size, true, done)), null);
  t.is(blocks.usage(1).mapped, 2, 'the two blocks that are zeroed in part');
});

test('zeroing a hole in part leaves a hole', async (t) => {
  const { blocks, volume } = open();
  t.is(await call((done) => volume.unmap(512, 3 * blockBytes, done)), null);
  t.is(blocks.usage(1).mapped, 0);
});

test('a thick disk is allocated throughout, a thin one where it holds data', async (t) => {
  const thick = open({ reserved: true });
  t.deepEqual(thick.volume.allocation(512, 10_240), { mapped: true, length: 10_240 });
  const { volume } = open();
  await call((done) => volume.write(blockBytes, new Uint8Array(2 * blockBytes), done));
  t.deepEqual(volume.allocation(512, 10 * blockBytes), { mapped: false, length: 3584 });
  t.deepEqual(volume.allocation(blockBytes, 10 * blockBytes), { mapped: true, length: 8192 });
  t.deepEqual(volume.allocation(blockBytes, 512), { mapped: true, length: 512 });
});

test('a thousand writers of one block neither nest nor starve', (t) => {
  const random = new SeededRandom(1);
  const { blocks, volume } = open({}, random);
  let completed = 0;
  const done: Done = {
    complete: (error) => {
      if (error === null) completed++;
    },
  };
  for (let index = 0; index < 5000; index++) {
    volume.write((index % 8) * 512, new Uint8Array(512).fill(index & 0xff), done);
  }
  blocks.settle();
  t.is(completed, 5000);
});

test('nothing of nothing is done at once', async (t) => {
  const { blocks, volume } = open();
  const none = new Uint8Array(0);
  t.is(await call((done) => volume.read(512, 0, none, 0, done)), null);
  t.is(await call((done) => volume.write(512, none, done)), null);
  t.is(await call((done) => volume.unmap(0, 0, done)), null);
  t.is(await call((done) => volume.writeZeroes(0, 0, false, done)), null);
  t.is(await call((done) => volume.compareAndWrite(0, none, none, done)), null);
  t.true(volume.readNow(0, 0, none, 0));
  t.deepEqual(volume.allocation(0, 0), { mapped: false, length: 0 });
  t.is(blocks.usage(1).mapped, 0);
});

/** What the network hands over is a Buffer, whose `slice` is a view and no copy. */
test('what waits for its turn is a copy, also of a Buffer', async (t) => {
  const { volume } = open();
  const read = async (): Promise<Uint8Array> => {
    const into = new Uint8Array(blockBytes);
    t.is(await call((done) => volume.read(0, blockBytes, into, 0, done)), null);
    return into;
  };
  const borrowed = Buffer.alloc(blockBytes, 5);
  let release = await volume.still();
  const written = call((done) => volume.write(0, borrowed, done));
  borrowed.fill(6);
  release();
  t.is(await written, null);
  t.deepEqual(await read(), new Uint8Array(blockBytes).fill(5));
  const [compare, write] = [Buffer.alloc(blockBytes, 5), Buffer.alloc(blockBytes, 7)];
  release = await volume.still();
  const compared = call((done) => volume.compareAndWrite(0, compare, write, done));
  compare.fill(6);
  write.fill(6);
  release();
  t.is(await compared, null);
  t.deepEqual(await read(), new Uint8Array(blockBytes).fill(7));
});
