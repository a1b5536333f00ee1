/**
 * A segment that leaves memory leaves behind what was read of it, and only that; a segment that is
 * filled anew leaves nothing.
 */
import test from 'ava';
import { BlockCache } from '../../../storage/log/cache.ts';
import { Ring } from '../../../storage/log/ring.ts';

function filled(ring: Ring, segment: number): void {
  const buffer = ring.open(segment);
  buffer.bytes.fill(segment);
  ring.settle(buffer);
}

test('what was read of a segment goes to the cache when it leaves', (t) => {
  const cache = new BlockCache(2 ** 20);
  const ring = new Ring(100, 0, (address, from, at) => cache.insert(address, from, at));
  const into = new Uint8Array(4096);
  filled(ring, 5);
  t.true(ring.copy(5 * 256 + 7, into, 0));
  t.false(cache.has(5 * 256 + 7), 'not in both');
  for (let segment = 10; segment < 18; segment += 1) filled(ring, segment);
  t.false(ring.copy(5 * 256 + 7, into, 0));
  t.true(cache.copy(5 * 256 + 7, into, 0));
  t.is(into[4095], 5);
  t.false(cache.has(5 * 256 + 8), 'nobody asked for it');
});

test('a segment that is filled anew leaves nothing of its old content', (t) => {
  const cache = new BlockCache(2 ** 20);
  const ring = new Ring(100, 0, (address, from, at) => cache.insert(address, from, at));
  const into = new Uint8Array(4096);
  filled(ring, 5);
  t.true(ring.copy(5 * 256 + 7, into, 0));
  ring.forget(5);
  for (let segment = 10; segment < 18; segment += 1) filled(ring, segment);
  t.false(cache.has(5 * 256 + 7));
});
