/** The trace of the write-back bench is what it says: the same from a seed, seven in ten blocks die young. */
import test from 'ava';
import { makeTrace, youngDeaths } from './write-back-trace.ts';

const options = { seed: 1, seconds: 240, rate: 300, span: 200_000 };

test('seven in ten blocks die young', (t) => {
  const share = youngDeaths(makeTrace(options));
  t.true(Math.abs(share - 0.7) < 0.04, `${share}`);
});

test('a seed gives the same trace, another seed another one', (t) => {
  t.deepEqual(makeTrace(options), makeTrace(options));
  t.notDeepEqual(makeTrace(options), makeTrace({ ...options, seed: 2 }));
});
