/**
 * What the cache keeps, by counts of hits over seeded traces: one pass over more than it holds does not
 * cost the hot set, and it is never worse than the least recently used going first.
 */
import test from 'ava';
import { BlockCache } from '../../../storage/log/cache.ts';
import { SeededRandom } from '../../kit/random.ts';

const slots = 1024;
const block = new Uint8Array(4096);

/** Hits of the cache over `trace`. */
function hits(cache: BlockCache, trace: Iterable<number>): number {
  const into = new Uint8Array(4096);
  let found = 0;
  for (const address of trace) {
    if (cache.copy(address, into, 0)) found += 1;
    else cache.insert(address, block, 0);
  }
  return found;
}

/** Hits of a cache of the same size from which the least recently used goes first. */
function lruHits(trace: Iterable<number>): number {
  const there = new Set<number>();
  let found = 0;
  for (const address of trace) {
    if (there.delete(address)) found += 1;
    else if (there.size === slots) there.delete(there.values().next().value!);
    there.add(address);
  }
  return found;
}

function* range(first: number, count: number): Generator<number> {
  for (let address = first; address < first + count; address += 1) yield address;
}

function* pick(random: SeededRandom, count: number, of: number): Generator<number> {
  for (let index = 0; index < count; index += 1) yield 1 + random.below(of);
}

/** Ranks by Zipf's law with exponent 0.9, the rank scattered over the addresses. */
function* zipf(random: SeededRandom, count: number, of: number): Generator<number> {
  const sums = new Float64Array(of);
  let sum = 0;
  for (let rank = 0; rank < of; rank += 1) {
    sum += 1 / (rank + 1) ** 0.9;
    sums[rank] = sum;
  }
  for (let index = 0; index < count; index += 1) {
    const wanted = (random.below(2 ** 30) / 2 ** 30) * sum;
    let [low, high] = [0, of - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    yield 1 + ((low * 7919) % of);
  }
}

const cacheOf = (): BlockCache => new BlockCache(slots * 4096);

test('a scan of ten times the cache does not push out a hot set', (t) => {
  const cache = cacheOf();
  const hot = 800;
  hits(cache, pick(new SeededRandom(1), 20 * hot, hot));
  t.is(hits(cache, range(100_000, 10 * slots)), 0);
  const kept = hits(cache, range(1, hot));
  t.log(`${kept} of ${hot} are left`);
  t.true(kept >= hot * 0.95, `${kept} of ${hot}`);
});

test('nor does a scan sector by sector, which reads each block eight times in a row', (t) => {
  const cache = cacheOf();
  const hot = 800;
  hits(cache, pick(new SeededRandom(1), 20 * hot, hot));
  for (const address of range(100_000, 10 * slots)) {
    t.is(hits(cache, [address, address, address, address, address, address, address, address]), 7);
  }
  const kept = hits(cache, range(1, hot));
  t.true(kept >= hot * 0.95, `${kept} of ${hot}`);
});

test('a hot set that is read beside a scan keeps its hits', (t) => {
  const random = new SeededRandom(2);
  const trace: number[] = [];
  for (const address of range(100_000, 20 * slots)) {
    trace.push(address);
    if (random.chance(0.5)) trace.push(1 + random.below(900));
  }
  const [ours, lru] = [hits(cacheOf(), trace), lruHits(trace)];
  t.log(`${ours} hits; least recently used: ${lru}`);
  t.true(ours > 2 * lru, `${ours} against ${lru}`);
});

test('skewed reads hit at least as often as with the least recently used going first', (t) => {
  const trace = [...zipf(new SeededRandom(3), 200_000, 20_000)];
  const [ours, lru] = [hits(cacheOf(), trace), lruHits(trace)];
  t.log(`${ours} hits; least recently used: ${lru}`);
  t.true(ours > lru * 1.05, `${ours} against ${lru}`);
});

test('of a loop that is longer than the cache a part stays', (t) => {
  const trace = Array.from({ length: 20 }, () => [...range(1, slots * 1.5)]).flat();
  const [ours, lru] = [hits(cacheOf(), trace), lruHits(trace)];
  t.log(`${ours} of ${trace.length}; least recently used: ${lru}`);
  t.is(lru, 0);
  t.true(ours > trace.length * 0.3, `${ours} of ${trace.length}`);
});

test('what was hot in the past makes way', (t) => {
  const cache = cacheOf();
  hits(cache, pick(new SeededRandom(4), 20_000, 900));
  let now = 0;
  for (let round = 0; round < 10; round += 1) now = hits(cache, range(50_000, 900));
  t.true(now > 850, `${now} of 900 in the tenth round`);
});

test('memory grows as it is used, up to the budget', (t) => {
  const cache = new BlockCache(64 * 2 ** 20);
  t.is(cache.bytes, 0);
  hits(cache, range(1, 300));
  t.is(cache.bytes, 2 * 2 ** 20);
  hits(cache, range(1, 40_000));
  t.is(cache.bytes, 64 * 2 ** 20);
});
