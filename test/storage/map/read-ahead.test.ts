/**
 * Sequential reads cost few disk calls, scattered ones no more than before; what is read ahead is
 * verified, makes nobody wait and is not read twice. By counts of disk calls.
 */
import test, { type ExecutionContext } from 'ava';
import { SmallStore } from '../../sim/small-store.ts';
import { stamped, stampOf } from '../../sim/store-history.ts';

const mib = 1024 * 1024;
const blocks = 4096;
const into = new Uint8Array(4096);

/** A store with blocks 0…4095 of space 1 on disk, each with its number plus one, none in memory. */
async function filled(cacheBytes = 32 * mib, stored = blocks): Promise<SmallStore> {
  const first = new SmallStore(64 * mib, 3);
  await first.format();
  await first.open();
  await first.until(first.blocks.create(1, 0));
  for (let block = 0; block < stored; block += 64) {
    const data = new Uint8Array(64 * 4096);
    for (let at = 0; at < 64; at += 1) {
      data.set(stamped(1, block + at, block + at + 1), at * 4096);
    }
    await first.until(new Promise((complete) => first.blocks.write(1, block, data, { complete })));
  }
  const again = first.again();
  await again.open({ cacheBytes });
  return again;
}

/** As a host does: at once if that is possible. */
async function get(store: SmallStore, block: number): Promise<number | string> {
  if (store.blocks.readNow(1, block, 1, into, 0)) return stampOf(1, block, into);
  return await store.read(1, block);
}

async function readAll(t: ExecutionContext, store: SmallStore, of: Iterable<number>) {
  const wrong: string[] = [];
  for (const block of of) {
    const got = await get(store, block);
    if (got !== block + 1) wrong.push(`block ${block}: ${got}`);
  }
  t.deepEqual(wrong, []);
  await store.clock.quiet();
  return store.blocks.stats();
}

test('sequential reads, block by block', async (t) => {
  const store = await filled();
  const { reads, readsAhead, cacheHits } = await readAll(t, store, Array(blocks).keys());
  t.log(`${reads} disk calls for ${blocks} blocks, ${readsAhead} of them ahead`);
  t.true(reads <= blocks / 32, `${reads} calls`);
  t.true(cacheHits >= blocks - 64);
});

test('two streams at once, each with a request that overtakes another', async (t) => {
  const store = await filled();
  const order: number[] = [];
  for (let at = 0; at < blocks / 2; at += 4) {
    for (const base of [0, blocks / 2]) {
      order.push(base + at, base + at + 2, base + at + 1, base + at + 3);
    }
  }
  const { reads } = await readAll(t, store, order);
  t.true(reads <= blocks / 32, `${reads} calls`);
});

test('scattered reads cause nothing beside themselves', async (t) => {
  const store = await filled();
  const order = Array.from({ length: blocks }, (_, index) => (index * 1021) % blocks);
  const { readsAhead, reads } = await readAll(t, store, order);
  t.is(readsAhead, 0);
  t.is(reads, blocks);
});

test('holes are passed over and nothing is read behind the data', async (t) => {
  const store = await filled(32 * mib, 64);
  const into = new Uint8Array(64 * 4096);
  for (let block = 0; block < 640; block += 8) {
    if (store.blocks.readNow(1, block, 8, into, 0)) continue;
    await store.until(
      new Promise((complete) => store.blocks.read(1, block, 8, into, 0, { complete })),
    );
  }
  const { reads } = store.blocks.stats();
  t.true(reads <= 6, `${reads} calls`);
});

test('a read of what is on its way takes it, and the disk is not asked twice', async (t) => {
  const store = await filled();
  for (let block = 0; block < 16; block += 1) await store.read(1, block);
  const before = store.blocks.stats();
  t.true(before.readsAhead > 0);
  t.false(store.blocks.readNow(1, 20, 1, into, 0), 'it has not come yet');
  t.is(await store.read(1, 20), 21);
  const { reads, readsAhead } = store.blocks.stats();
  t.is(reads - readsAhead, before.reads - before.readsAhead);
});

test('a damaged block that was read ahead is an error for who reads it, and for nobody else', async (t) => {
  const store = await filled();
  const wrong: (string | number)[] = [];
  const data = await whereIs(store, 100);
  store.disk.flip(data, 999);
  for (let block = 0; block < 200; block += 1) {
    const got = await get(store, block);
    if (got !== block + 1) wrong.push(block, got);
  }
  t.deepEqual(wrong, [100, 'MEDIUM_ERROR']);
});

/** The block of the disk that holds block `block` of space 1. */
async function whereIs(store: SmallStore, block: number): Promise<number> {
  const wanted = Buffer.from(stamped(1, block, block + 1));
  const at = store.disk
    .crash('keep')
    .findIndex((data) => data !== undefined && wanted.equals(data));
  if (at < 0) throw new Error('it is nowhere');
  return at;
}

test('with many reads waiting for the disk nothing is read ahead', async (t) => {
  const store = await filled();
  const pending = Array.from({ length: 100 }, (_, index) => store.start(1, 1000 + index * 29));
  for (let block = 0; block < 32; block += 1) pending.push(store.start(1, block));
  t.is(store.blocks.stats().readsAhead, 0);
  t.true((await store.until(Promise.all(pending))).every((error) => error === null));
});

test('closing waits for what is on its way', async (t) => {
  const store = await filled();
  for (let block = 0; block < 16; block += 1) await store.read(1, block);
  t.true(store.blocks.stats().readsAhead > 0);
  await store.until(store.blocks.close());
  const { reads } = store.disk;
  await store.clock.quiet();
  t.is(store.disk.reads, reads);
});

test('a stream of large reads that is longer than the cache passes by it', async (t) => {
  const store = await filled(2 * mib);
  for (let round = 0; round < 20; round += 1) {
    t.is(await store.read(1, 4000 + (round % 4)), 4001 + (round % 4));
  }
  // The map comes into memory.
  for (let block = 0; block < blocks; block += 100) await store.read(1, block);
  const before = store.blocks.stats();
  const large = new Uint8Array(64 * 4096);
  for (let block = 0; block < 3840; block += 256) {
    const reads = [0, 64, 128, 192].map(
      (more) =>
        new Promise((complete) =>
          store.blocks.read(1, block + more, 64, large.slice(), 0, { complete }),
        ),
    );
    await store.until(Promise.all(reads));
  }
  await store.clock.quiet();
  const { readsAhead, reads } = store.blocks.stats();
  t.log(`${reads - before.reads} calls, ${readsAhead - before.readsAhead} of them ahead`);
  t.true(readsAhead - before.readsAhead < 20);
  t.true(reads - before.reads >= 3840 / 64);
  for (let block = 4000; block < 4004; block += 1) {
    t.true(store.blocks.readNow(1, block, 1, into, 0), 'the hot blocks are still there');
  }
  t.false(store.blocks.readNow(1, 3839, 1, into, 0));
});
