/** Memory for pages of the map is bounded whatever is done, also where every page is a new one. */
import test from 'ava';
import { SmallStore } from '../../sim/small-store.ts';

const mebibyte = 2 ** 20;
const mapBytes = 16 * mebibyte;
const budget = mapBytes / 4096;
const leafBlocks = 256;

test('a disk that is written for the first time, block by block far apart, keeps to the budget', async (t) => {
  const small = new SmallStore(640 * mebibyte, 1, undefined, 0);
  await small.format();
  const store = await small.open({ mapBytes, recentBytes: 0, cacheBytes: mebibyte });
  await small.until(store.create(1, 0));
  let most = 0;
  for (let leaf = 0; leaf < 9_000; leaf += 32) {
    const writes = Array.from({ length: 32 }, (_, index) =>
      small.write(1, (leaf + index) * leafBlocks, 1),
    );
    for (const error of await small.until(Promise.all(writes))) t.is(error, null);
    most = Math.max(most, store.stats().mapPagesHere);
  }
  t.true(store.stats().mapPages > 9_000);
  // What has changed and is not written yet, at most half of the budget, may come on top.
  t.true(most <= budget * 1.5, `${most} pages in memory; the budget is ${budget}`);
  await small.until(store.close());
});
