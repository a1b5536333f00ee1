/** What `npm run bench -- --map` measures, on a small map: every block is there, memory keeps to its bounds. */
import test from 'ava';
import { useMap } from './map.ts';
import { shuffled } from './map-build.ts';

test('places are given out once each', (t) => {
  const places = new Set(Array.from({ length: 2 ** 10 }, (_, index) => shuffled(index, 10)));
  t.is(places.size, 2 ** 10);
  t.true([...places].every((place) => place >= 0 && place < 2 ** 10));
});

test('a map without blocks is looked up, overwritten, read back and recovered', async (t) => {
  const { runs, size, allocated } = await useMap({ bits: 18, operations: 2000, seed: 1 });
  t.is(runs.length, 2);
  for (const { lookups, overwrites, reads } of runs) {
    t.true(lookups.reads <= 2 ** 10 + 16, 'a page is read once');
    t.true(overwrites.writes > 0 && reads.seconds > 0);
  }
  // 2^18 blocks are 1 GiB.
  t.true(allocated.built < size / 16, `${allocated.built} bytes are on disk`);
});
