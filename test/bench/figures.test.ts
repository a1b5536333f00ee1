/** The bench's arithmetic: medians, and ratios of the same round. */
import test from 'ava';
import { median, rateRatios, table } from './figures.ts';
import { WORKLOADS } from './workloads.ts';

test('the median of odd and even numbers of values', (t) => {
  t.is(median([5, 1, 3]), 3);
  t.is(median([4, 1, 3, 2]), 2.5);
});

test('a ratio pairs the measurements of one round', (t) => {
  const [load] = WORKLOADS;
  if (load === undefined) return t.fail();
  const side = (rates: number[]) => rates.map((rate) => ({ rate, processorUs: rate / 10 }));
  const series = { load, ours: side([100, 300, 200]), theirs: side([50, 100, 400]) };
  t.deepEqual(rateRatios(series), [2, 3, 0.5]);
  t.true(table([series]).includes('| 200 | 100 | 2.00× (0.50–3.00) | 20.0 : 10.0 |'));
});
