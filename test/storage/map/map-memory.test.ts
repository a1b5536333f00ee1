/** Memory for pages of the map is bounded whatever is done, also where every page is a new one. */
import test from 'ava';
import { SmallStore } from '../../sim/small-store.ts';

const mebibyte = 2 ** 20;
const leafBlocks = 256;
/** What has changed and is not written yet, at most half of the budget, may come on top. */
const most = (mapBytes: number): number => (mapBytes / 5120) * 1.5;
const options = (mapBytes: number) => ({ mapBytes, recentBytes: 0, cacheBytes: mebibyte });

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** One block in each of `leaves`, 32 at once; returns the most pages that were ever in memory. */
async function scatter(small: SmallStore, leaves: readonly number[], stamp: number) {
  let here = 0;
  for (let from = 0; from < leaves.length; from += 32) {
    const some = leaves.slice(from, from + 32);
    const writes = some.map((leaf) => small.write(1, leaf * leafBlocks, stamp));
    const errors = await small.until(Promise.all(writes));
    const error = errors.find((each) => each !== null);
    if (error) throw error;
    here = Math.max(here, small.blocks.stats().mapPagesHere);
  }
  return here;
}

test('a disk that is written for the first time, block by block far apart, keeps to the budget', async (t) => {
  const mapBytes = 20 * mebibyte;
  const small = new SmallStore(640 * mebibyte, 1, undefined, 0);
  await small.format();
  const store = await small.open(options(mapBytes));
  await small.until(store.create(1, 0));
  const here = await scatter(small, range(9000), 1);
  t.true(here <= most(mapBytes), `${here} pages in memory, ${most(mapBytes)} at most`);
  await small.until(store.close());
});

test('cleaning many segments whose blocks lie far apart keeps to the budget', async (t) => {
  const mapBytes = 5 * mebibyte;
  const small = new SmallStore(640 * mebibyte, 1, undefined, 0);
  await small.format();
  const store = await small.open(options(mapBytes));
  await small.until(store.create(1, 0));
  const leaves = range(6000);
  await scatter(small, leaves, 1);
  const second = leaves.filter((leaf) => leaf % 2 === 1);
  await scatter(small, second, 2);
  let here = 0;
  let watching = true;
  const watch = (): void => {
    here = Math.max(here, store.stats().mapPagesHere);
    if (watching) small.clock.soon(watch);
  };
  watch();
  const cleaned = await small.until(store.clean(1000));
  watching = false;
  t.true(cleaned >= 20, `${cleaned} segments were cleaned`);
  t.true(here <= most(mapBytes), `${here} pages in memory, ${most(mapBytes)} at most`);
  for (const leaf of [0, 1, 2, 5999]) t.is(await small.read(1, leaf * leafBlocks), 1 + (leaf % 2));
  await small.until(store.close());
});
