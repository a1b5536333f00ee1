/** A flush, a write that asks for it, and switching write-back off end when all is in the store. */
import test from 'ava';
import { SeededRandom } from '#test/kit/random.ts';
import { Bench } from './write-back-kit.ts';

const later = () => ({ random: new SeededRandom(1) });

test('a write ends in memory, a flush when all of it is stored', (t) => {
  const bench = new Bench(later());
  t.true(bench.write(0, 1, 40).ended);
  const flush = bench.flush();
  t.false(flush.ended);
  bench.store.settle();
  t.true(flush.ended && flush.error === null);
  t.deepEqual(
    [0, 20, 39].map((block) => bench.stored(block)),
    [1, 1, 1],
  );
});

test('a flush waits for what was on its way before it', (t) => {
  const bench = new Bench(later());
  bench.write(0, 1);
  bench.clock.advance(31_000);
  t.deepEqual(bench.given, ['flush 0+1']);
  const flush = bench.flush();
  t.false(flush.ended);
  bench.store.settle();
  t.true(flush.ended);
});

test('a flush of one disk leaves others alone', async (t) => {
  const bench = new Bench();
  await bench.cache.setWriteBack(2, true);
  bench.cache.write(2, 9, new Uint8Array(4096).fill(9), { complete: () => {} });
  bench.write(0, 1);
  t.true(bench.flush().ended);
  t.deepEqual(bench.given, ['flush 0+1']);
  t.is(bench.cache.stats().dirty, 1);
});

test('a write that asks to be durable ends when it is stored, and takes its chunk along', (t) => {
  const bench = new Bench(later());
  bench.write(1, 1);
  bench.write(50, 1);
  const write = bench.write(2, 2, 1, true);
  t.false(write.ended);
  t.is(bench.read(2), 2 as never, 'read from memory');
  bench.store.settle();
  t.true(write.ended && write.error === null);
  t.deepEqual(bench.given, ['flush 1+2']);
});

test('what is overwritten while it is on its way is stored as well, and last', (t) => {
  const bench = new Bench(later());
  bench.write(0, 1);
  bench.clock.advance(31_000);
  bench.write(0, 2);
  bench.store.settle();
  t.is(bench.read(0), 2);
  const flush = bench.flush();
  bench.store.settle();
  t.true(flush.ended);
  t.is(bench.stored(0), 2);
});

test('switching it off stores everything, and later writes end when they are stored', async (t) => {
  const bench = new Bench();
  bench.write(0, 1, 3);
  await bench.cache.setWriteBack(1, false);
  t.is(bench.stored(2), 1);
  bench.write(7, 2);
  t.deepEqual(bench.given, ['flush 0+3', 'write 7+1']);
});

test('closing stores everything', async (t) => {
  const bench = new Bench();
  bench.write(0, 1, 3);
  await bench.cache.close();
  t.is(bench.stored(1), 1);
});

test('when the power fails all is stored and everything is written through, until it is back', async (t) => {
  const bench = new Bench();
  bench.write(0, 1, 3);
  await Promise.all([bench.cache.suspend(), bench.cache.suspend()]);
  t.is(bench.stored(0), 1);
  bench.write(1, 2);
  t.is(bench.stored(1), 2);
  bench.cache.resume();
  bench.cache.resume();
  bench.write(1, 3);
  t.is(bench.stored(1), 2);
  t.is(bench.read(1), 3);
});
