/**
 * What the disk damages is told, never served: MEDIUM_ERROR for a block, CORRUPT for what leads to
 * blocks.
 */
import test from 'ava';
import { SmallStore } from '../../sim/small-store.ts';

const size = 16 * 1024 * 1024;

async function store(blocks: number): Promise<SmallStore> {
  const small = new SmallStore(size);
  await small.format();
  await small.open();
  await small.until(small.blocks.create(1, 0));
  for (let block = 0; block < blocks; block += 1) {
    small.disk.trace = [];
    await small.until(small.write(1, block, block + 1));
  }
  return small;
}

/** Disk block of the data of the write done last: its group is a header and that block. */
function lastData(small: SmallStore): number {
  const write = small.disk.trace!.findLast((event) => event.kind === 'write')!;
  return write.block + write.data.length - 1;
}

test('one bit turned over anywhere in a block', async (t) => {
  for (const bit of [0, 7, 4096, 32_767]) {
    const small = await store(3);
    const at = lastData(small);
    await small.until(small.blocks.close());
    const after = small.again();
    after.disk.flip(at, bit);
    await after.open();
    t.is(await after.read(1, 2), 'MEDIUM_ERROR');
    t.is(await after.read(1, 1), 2);
    t.is(after.blocks.stats().badBlocks, 1);
    t.is(await after.until(after.write(1, 2, 9)), null);
    t.is(await after.read(1, 2), 9);
  }
});

test('a block that cannot be read', async (t) => {
  const small = await store(3);
  const at = lastData(small);
  await small.until(small.blocks.close());
  const after = small.again();
  after.disk.spoil(at);
  await after.open();
  t.is(await after.read(1, 2), 'MEDIUM_ERROR');
  t.is(await after.read(1, 0), 1);
});

test('a block that another write landed on', async (t) => {
  const small = await store(0);
  await small.until(small.write(1, 0, 1));
  small.disk.trace = [];
  await small.until(small.write(1, 1, 2));
  const victim = lastData(small);
  small.disk.trace = [];
  await small.until(small.write(1, 0, 3));
  const [group] = small.disk.trace.filter((event) => event.kind === 'write');
  await small.until(small.blocks.close());
  const image = small.disk.crash('drop');
  image[victim] = group!.data[1];
  const after = new SmallStore(size, 3, image);
  await after.open();
  t.is(await after.read(1, 1), 'MEDIUM_ERROR');
  t.is(await after.read(1, 0), 3);
});

test('an acknowledged block in the log behind the checkpoint: the block alone is lost', async (t) => {
  const small = await store(2);
  const at = lastData(small);
  for (let block = 2; block < 9; block += 1) await small.until(small.write(1, block, block + 1));
  const after = small.again();
  after.disk.flip(at, 100);
  await after.open();
  t.is(await after.read(1, 1), 'MEDIUM_ERROR');
  for (const block of [0, 2, 8]) t.is(await after.read(1, block), block + 1);
});

test('an acknowledged group header behind the checkpoint: the store is refused', async (t) => {
  const small = await store(2);
  const at = lastData(small) - 1;
  for (let block = 2; block < 9; block += 1) await small.until(small.write(1, block, block + 1));
  const after = small.again();
  after.disk.flip(at, 300);
  await t.throwsAsync(after.open(), { code: 'CORRUPT' });
});

test('a newest superblock that is lost is noticed, not replaced by the one before', async (t) => {
  const small = await store(40);
  const old = small.disk.crash('drop').slice(0, 32);
  for (let round = 0; round < 60; round += 1) await small.until(small.write(1, 0, 50 + round, 64));
  t.true(small.blocks.stats().checkpoints > 2);
  const image = small.disk.crash('drop');
  image.splice(0, 32, ...old);
  await t.throwsAsync(new SmallStore(size, 3, image).open(), { code: 'CORRUPT' });
});

test('a damaged map page refuses the store', async (t) => {
  const small = await store(4);
  small.disk.trace = [];
  await small.until(small.blocks.close());
  const page = small.disk.trace.find((event) => event.kind === 'write')!;
  const after = small.again();
  after.disk.flip(page.block + 1, 3);
  await t.throwsAsync(after.open(), { code: 'CORRUPT' });
});

test('the cleaner leaves a damaged block where it is, and the rest is moved', async (t) => {
  const small = await store(100);
  const bad = lastData(small);
  await small.until(small.blocks.close());
  const after = small.again();
  after.disk.flip(bad, 77);
  await after.open();
  let stamp = 1000;
  for (let round = 0; round < 300; round += 1) {
    stamp += 1;
    await after.until(after.write(1, 200 + after.random.below(600), stamp, 30));
  }
  t.true(after.blocks.stats().segmentsCleaned > 0);
  t.is(await after.read(1, 99), 'MEDIUM_ERROR');
  for (let block = 0; block < 99; block += 1) t.is(await after.read(1, block), block + 1);
  const last = after.again();
  await last.open();
  t.is(await last.read(1, 99), 'MEDIUM_ERROR');
  t.is(await last.read(1, 98), 99);
});
