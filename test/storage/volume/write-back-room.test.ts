/** NO_SPACE is said to the writer, never found at a flush; memory is bounded and nobody fails for it. */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { Bench } from './write-back-kit.ts';

test('on a store that is full a new block is refused at once and an overwrite is not', (t) => {
  const bench = new Bench({ capacity: 20 });
  t.is(bench.write(0, 1, 16).error, null);
  t.is(bench.store.claimed, 16);
  const refused = bench.write(100, 2, 16);
  t.is(refused.error?.code, 'NO_SPACE');
  t.is(bench.flush().error, null);
  t.is(bench.write(200, 3, 4).error, null);
  t.is(bench.flush().error, null);
  t.is(bench.write(0, 4).error, null, 'written through');
  t.is(bench.stored(0), 4);
  t.is(bench.read(100), 0);
});

test('what was accepted is stored although others have filled the store meanwhile', (t) => {
  const bench = new Bench({ capacity: 20 });
  bench.write(0, 1, 10);
  const fill = (block: number, count: number): string | null => {
    let code: string | null = null;
    const complete = (error: StorageError | null): void => {
      code = error?.code ?? null;
    };
    bench.store.write(2, block, new Uint8Array(count * 4096), { complete });
    return code;
  };
  t.is(fill(0, 11), 'NO_SPACE');
  t.is(fill(0, 10), null);
  t.is(bench.flush().error, null);
  t.is(bench.stored(9), 1);
});

test('when more than half of the memory is dirty the oldest goes', (t) => {
  const bench = new Bench();
  for (let number = 0; number < 8; number += 1) bench.write(number * 16, 1, 16);
  t.deepEqual(bench.given, []);
  bench.write(128, 1, 16);
  t.deepEqual(bench.given.slice(0, 2), ['flush 0+16', 'flush 16+16']);
  t.true(bench.cache.stats().dirty <= 256 * 0.375 + 16);
});

test('when memory is full writes go through, and end when they are stored', (t) => {
  const bench = new Bench({ random: new SeededRandom(2) });
  let ended = 0;
  for (let block = 0; block < 400; block += 1) if (bench.write(block, 1).ended) ended += 1;
  t.is(ended, 256);
  t.is(bench.cache.stats().through, 144);
  bench.store.settle();
  t.is(bench.stored(399), 1);
  t.true(bench.write(500, 1).ended, 'there is room again');
});

test('a write that goes through wins over what is in memory, and if refused does not', (t) => {
  const bench = new Bench({ capacity: 16, random: new SeededRandom(3) });
  bench.write(0, 1, 10);
  const wide = bench.write(4, 2, 16);
  bench.store.settle();
  t.true(wide.ended);
  t.is(wide.error?.code ?? null, 'NO_SPACE');
  t.is(bench.read(4), 1);
  const flush = bench.flush();
  bench.store.settle();
  t.true(flush.ended && flush.error === null);
  t.deepEqual(
    [3, 4, 9, 10].map((block) => bench.stored(block)),
    [1, 1, 1, 0],
  );
});

test('a flush that the store refuses is told, nothing is lost, and it is tried again', (t) => {
  const bench = new Bench();
  bench.write(0, 1);
  bench.store.refusal = new StorageError('NO_SPACE', 'no segment can be freed');
  t.is(bench.flush().error?.code, 'NO_SPACE');
  t.is(bench.read(0), 1);
  bench.store.refusal = null;
  bench.clock.advance(40_000);
  t.is(bench.stored(0), 1);
  t.is(bench.store.claimed + bench.store.claimedPages, 0);
});
