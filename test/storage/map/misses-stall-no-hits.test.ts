/** While the disk answers no read at all, what is in memory is read at once. */
import test from 'ava';
import { SmallStore } from '../../sim/small-store.ts';
import { stampOf } from '../../sim/store-history.ts';

test('hits beside misses that hang', async (t) => {
  const first = new SmallStore(32 * 1024 * 1024, 4);
  await first.format();
  await first.open();
  await first.until(first.blocks.create(1, 0));
  for (let block = 0; block < 400; block += 1) await first.until(first.write(1, block, block + 1));
  const store = first.again();
  await store.open({ cacheBytes: 4 * 1024 * 1024 });
  for (let block = 0; block < 10; block += 1) t.is(await store.read(1, block * 30), block * 30 + 1);

  let hung = 0;
  store.disk.read = () => {
    hung += 1;
    return new Promise<void>(() => {});
  };
  for (let block = 0; block < 400; block += 2) void store.start(1, block);
  t.true(hung >= 64, `${hung} reads hang`);
  const into = new Uint8Array(4096);
  for (let block = 0; block < 10; block += 1) {
    t.true(store.blocks.readNow(1, block * 30, 1, into, 0));
    t.is(stampOf(1, block * 30, into), block * 30 + 1);
    t.is(await store.read(1, block * 30), block * 30 + 1);
  }
});
