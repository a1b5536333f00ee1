/**
 * The cache gives back what was put in under an address, or nothing; never another block, never
 * what was forgotten.
 */
import test from 'ava';
import fc from 'fast-check';
import { BlockCache } from '../../../storage/log/cache.ts';

const block = (stamp: number): Uint8Array => new Uint8Array(4096).fill(stamp);

test('against a plain map', (t) => {
  const address = fc.integer({ min: 1, max: 900 });
  const command = fc.oneof(
    fc.record({ put: address, stamp: fc.integer({ min: 0, max: 255 }) }),
    fc.record({ get: address }),
    fc.record({ forget: address, count: fc.integer({ min: 1, max: 256 }) }),
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 1500, minLength: 500 }), (commands) => {
      const cache = new BlockCache(1024 * 1024);
      const model = new Map<number, number>();
      const into = new Uint8Array(4096);
      for (const each of commands) {
        if ('put' in each) {
          // An address has one content until it is forgotten.
          const stamp = model.get(each.put) ?? each.stamp;
          model.set(each.put, stamp);
          cache.insert(each.put, block(stamp), 0);
          t.true(cache.copy(each.put, into, 0));
        } else if ('get' in each) {
          if (!cache.copy(each.get, into, 0)) continue;
          t.is(into[4095], model.get(each.get));
        } else {
          cache.forget(each.forget, each.count);
          for (let gone = 0; gone < each.count; gone += 1) {
            model.delete(each.forget + gone);
            t.false(cache.copy(each.forget + gone, into, 0));
          }
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('a block that is asked for stays while others pass', (t) => {
  const cache = new BlockCache(1024 * 1024);
  const into = new Uint8Array(4096);
  cache.insert(7, block(7), 0);
  for (let address = 1000; address < 3000; address += 1) {
    cache.insert(address, block(1), 0);
    t.true(cache.copy(7, into, 0));
  }
  t.is(into[0], 7);
});

test('without a budget nothing is kept', (t) => {
  const cache = new BlockCache(0);
  cache.insert(7, block(7), 0);
  t.false(cache.copy(7, new Uint8Array(4096), 0));
});
