/**
 * A read gives what was acknowledged before it or written since, also while segments are reused
 * under it.
 */
import test from 'ava';
import { SmallStore } from '../../sim/small-store.ts';
import { stampOf } from '../../sim/store-history.ts';

const mib = 1024 * 1024;

for (const cacheBytes of [0, 2 * mib]) {
  test(`reads beside overwrites and cleaning, cache of ${cacheBytes / mib} MiB`, async (t) => {
    const small = new SmallStore(40 * mib, 5);
    await small.format();
    await small.open({ cacheBytes, recentBytes: 0 });
    await small.until(small.blocks.create(1, 0));
    const count = 3000;
    const acked = new Array<number>(count).fill(0);
    const wrong: string[] = [];
    let stamp = 0;
    let compared = 0;
    const write = async (): Promise<void> => {
      const block = small.random.below(count);
      stamp += 1;
      const mine = stamp;
      const error = await small.write(1, block, mine);
      if (error !== null) wrong.push(error.message);
      acked[block] = Math.max(acked[block]!, mine);
    };
    const read = async (): Promise<void> => {
      const first = small.random.below(count - 4);
      const into = new Uint8Array(4 * 4096);
      const known = acked.slice(first, first + 4);
      const error = await new Promise<Error | null>((complete) =>
        small.blocks.read(1, first, 4, into, 0, { complete }),
      );
      if (error !== null) wrong.push(error.message);
      for (const [index, least] of known.entries()) {
        const got = stampOf(1, first + index, into.subarray(index * 4096, (index + 1) * 4096));
        if (got < least) wrong.push(`block ${first + index}: ${got}, acknowledged was ${least}`);
        compared += 1;
      }
    };
    for (let round = 0; round < 1200; round += 1) {
      const some = Array.from({ length: 16 }, () => (small.random.chance(0.6) ? write() : read()));
      await small.until(Promise.all(some));
    }
    t.deepEqual(wrong, []);
    const stats = small.blocks.stats();
    t.true(stats.segmentsCleaned > 10, `${stats.segmentsCleaned} segments cleaned`);
    t.true(small.disk.reads > 100, `${small.disk.reads} disk reads`);
    t.is(stats.cacheHits > 0, cacheBytes > 0);
    t.log(`${compared} blocks compared, ${stats.segmentsCleaned} segments cleaned`);
  });
}

test('what is in memory is read at once, what is not mapped is zeros', async (t) => {
  const small = new SmallStore(16 * mib);
  await small.format();
  await small.open();
  await small.until(small.blocks.create(1, 0));
  const into = new Uint8Array(3 * 4096).fill(9);
  await small.until(small.write(1, 5, 3));
  t.true(small.blocks.readNow(1, 4, 3, into, 0), 'from the buffers of the log');
  t.is(stampOf(1, 4, into), 0);
  t.is(stampOf(1, 5, into.subarray(4096)), 3);
  t.is(stampOf(1, 6, into.subarray(8192)), 0);
  const after = small.again();
  await after.open();
  t.false(after.blocks.readNow(1, 5, 1, into, 0), 'on disk only');
  t.is(await after.read(1, 5), 3);
  t.true(after.blocks.readNow(1, 5, 1, into, 0), 'now in the cache');
  t.is(await after.read(2, 0), 'NOT_FOUND');
});

test('extents', async (t) => {
  const small = new SmallStore(16 * mib);
  await small.format();
  const store = await small.open();
  await small.until(store.create(1, 0));
  const far = 2 ** 30;
  await small.until(Promise.all([small.write(1, 510, 1, 5), small.write(1, far, 1, 2)]));
  const cases: [number, number, boolean, number][] = [
    [0, 100, false, 100],
    [0, 1000, false, 510],
    [510, 1000, true, 5],
    [512, 2, true, 2],
    [515, 2 ** 31, false, far - 515],
    [far + 1, 10, true, 1],
    [far + 2, 10, false, 10],
    [2 ** 40, 5, false, 5],
  ];
  for (const [block, count, mapped, expected] of cases) {
    t.deepEqual(store.extentNow(1, block, count), { mapped, count: expected }, `${block}+${count}`);
  }
  t.deepEqual(store.extentNow(2, 0, 7), { mapped: false, count: 7 });
});
