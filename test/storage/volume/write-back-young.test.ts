/** What is overwritten or unmapped within half a minute never reaches the store. */
import test from 'ava';
import { Bench } from './write-back-kit.ts';

test('a block that is overwritten is written once, half a minute after its first write', (t) => {
  const bench = new Bench();
  for (let value = 1; value <= 20; value += 1) {
    t.true(bench.write(5, value).ended);
    bench.clock.advance(1000);
  }
  t.deepEqual(bench.given, []);
  t.is(bench.read(5), 20);
  bench.clock.advance(10_000);
  t.deepEqual(bench.given, ['flush 5+1']);
  t.is(bench.stored(5), 20);
  bench.clock.advance(100_000);
  t.is(bench.given.length, 1);
  t.deepEqual(bench.cache.stats(), { received: 20, written: 1, through: 0, dirty: 0 });
});

test('a block that is unmapped is not written at all, and reads as zeros', (t) => {
  const bench = new Bench();
  bench.write(3, 7, 4);
  t.true(bench.unmap(4, 100).ended);
  t.is(bench.read(4), 0);
  bench.clock.advance(60_000);
  t.deepEqual(bench.given, ['unmap 4+100', 'flush 3+1']);
  t.deepEqual(
    [3, 4, 5, 6].map((block) => bench.stored(block)),
    [7, 0, 0, 0],
  );
  t.is(bench.store.claimed + bench.store.claimedPages, 0);
});

test('what was written whole is not cut in two by an unmap in its middle', (t) => {
  const bench = new Bench();
  bench.write(0, 7, 8);
  bench.unmap(3, 2);
  t.deepEqual(bench.given, ['flush 0+8', 'unmap 3+2']);
});

test('neighbours of a chunk go as one write, and what is due soon goes along', (t) => {
  const bench = new Bench();
  bench.write(17, 1);
  bench.write(16, 2);
  bench.clock.advance(500);
  bench.write(100, 3);
  bench.clock.advance(29_500);
  t.deepEqual(bench.given, ['flush 16+2', 'flush 100+1']);
});

test('a space that is dropped takes along what is in memory', async (t) => {
  const bench = new Bench();
  bench.write(0, 1, 20);
  await bench.cache.drop(1);
  bench.clock.advance(60_000);
  t.deepEqual(bench.given, []);
  t.is(bench.store.claimed + bench.store.claimedPages, 0);
  t.is(bench.cache.stats().dirty, 0);
});
