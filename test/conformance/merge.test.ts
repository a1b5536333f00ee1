/** Passed is: somewhere passed, nowhere failed. A deviation covers its own words and nothing else. */
import test from 'ava';
import type { Deviation } from './configurations.ts';
import { configurations, deviations } from './configurations.ts';
import type { Outcome } from './cunit.ts';
import { merge } from './merge.ts';

const deviation: Deviation = {
  test: 'S.T',
  configuration: 'a',
  reason: /known/,
  source: 'SBC-3 5.4.2',
};

/** By configuration: outcome and reason; then what it comes to, from which, with the deviation. */
const table: readonly (readonly [
  Readonly<Record<string, readonly [Outcome, string]>>,
  Outcome,
  readonly string[],
  boolean,
])[] = [
  [{ a: ['passed', ''] }, 'passed', ['a'], false],
  [{ a: ['skipped', 'x'] }, 'skipped', ['a'], false],
  [{ a: ['skipped', 'x'], b: ['passed', ''] }, 'passed', ['b'], false],
  [{ a: ['passed', ''], b: ['passed', ''], c: ['skipped', 'x'] }, 'passed', ['a', 'b'], false],
  [{ a: ['passed', ''], b: ['failed', 'x'] }, 'failed', ['b'], false],
  [{ a: ['passed', ''], b: ['hung', ''] }, 'hung', ['b'], false],
  [{ a: ['failed', 'x'], b: ['hung', ''] }, 'hung', ['b'], false],
  [{ a: ['failed', 'known'], b: ['passed', ''] }, 'passed', ['b'], true],
  [{ a: ['failed', 'known'] }, 'failed', ['a'], true],
  [{ a: ['failed', 'known'], b: ['skipped', 'x'] }, 'failed', ['a'], true],
  [{ a: ['failed', 'known'], b: ['hung', ''] }, 'hung', ['b'], true],
  // Other words, or another configuration: a failure like any other.
  [{ a: ['failed', 'else'], b: ['passed', ''] }, 'failed', ['a'], false],
  [{ a: ['passed', ''], b: ['failed', 'known'] }, 'failed', ['b'], false],
];

for (const [index, [seen, outcome, from, excused]] of table.entries()) {
  test(`case ${index}: ${JSON.stringify(seen)} is ${outcome}`, (t) => {
    const runs = Object.entries(seen).map(([configuration, [outcome, reason]]) => ({
      configuration,
      outcomes: [{ suite: 'S', test: 'T', outcome, reason }],
    }));
    const [merged, ...others] = merge(runs, [deviation]);
    t.deepEqual(others, []);
    t.like(merged, { suite: 'S', test: 'T', outcome });
    t.deepEqual(merged?.configurations, from);
    t.is(merged?.deviation ?? null, excused ? deviation : null);
  });
}

test('every deviation names a configuration that there is, and a section', (t) => {
  const names = configurations.map(({ name }) => name);
  t.is(new Set(names).size, names.length);
  for (const { configuration, source } of deviations) {
    t.true(names.includes(configuration));
    t.regex(source, /^(SBC|SPC|SAM|RFC)[^ ]* \d/);
  }
});
