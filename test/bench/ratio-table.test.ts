/** The arithmetic of `--ram` and `--neighbours`: what is divided by what, and of which round. */
import test from 'ava';
import type { LoadReport } from './loadgen.ts';
import { latencyRatios, neighbourTable, type Visit } from './neighbour-table.ts';
import { processorRatiosOf, ratesOf, ratioRow } from './ratio-table.ts';

function report(iops: number, userUs: number, systemUs: number): LoadReport {
  const figures = { operations: 1, seconds: 1, megabytesPerS: 1, p50Us: 1, p99Us: 2, maxUs: 3 };
  const processor = { clientUs: 1, targetUserUs: userUs, targetSystemUs: systemUs };
  return { ...figures, iops, ...processor, failed: 0, wrong: 0 };
}

test('rates and processor time are compared within a round, the larger being the better', (t) => {
  const ours = [report(1000, 1, 1), report(900, 1, 2)];
  const theirs = [report(100, 4, 4), report(300, 3, 3)];
  const series = { name: 'reads', ours, theirs, rate: 8 };
  t.deepEqual(ratesOf(series), [10, 3]);
  t.deepEqual(processorRatiosOf(series), [4, 2]);
  t.is(
    ratioRow(series),
    '| reads | 950 : 200 | 6.50× (3.00–10.0) | ≥ 8× | 2.5 : 7.0 | 3.00× (2.00–4.00) | – |',
  );
});

test('a neighbour is compared with itself alone in the same round', (t) => {
  const mib = 2 ** 20;
  const visit = (round: number, condition: Visit['condition'], p99Us: number): Visit => ({
    ...{ round, condition, p99Us },
    ...{ before: 50 * mib, during: (50 + round) * mib, after: 50 * mib },
  });
  const visits = [
    ...[visit(1, 'alone', 100), visit(1, 'slow reader', 150)],
    ...[visit(2, 'slow reader', 400), visit(2, 'alone', 200)],
    ...[visit(3, 'alone', 100), visit(3, 'slow reader', 100)],
  ];
  t.deepEqual(latencyRatios(visits, 'slow reader'), [1.5, 2, 1]);
  t.regex(
    neighbourTable(visits),
    /\| slow reader \| 150 \| 1\.50× \(1\.00–2\.00\) \| 50\.0 MiB \| 52\.0 MiB \| 50\.0 MiB \| 2\.0 MiB \|/,
  );
});
