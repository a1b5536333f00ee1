/** libiscsi's whole suite in every configuration: the floor, and nothing fails, hangs or dies. */
import test from 'ava';
import { configurations } from './configurations.ts';
import { Outcome } from './cunit.ts';
import { PASS_FLOOR } from './floor.ts';
import { runConfigurations } from './runs.ts';
import { listSuites } from './suites.ts';
import { count } from './table.ts';

test('iscsi-test-cu, family ALL', async (t) => {
  t.timeout(25 * 60_000);
  const { merged, incidents } = await runConfigurations(configurations, await listSuites());
  const bad = merged.filter(({ outcome }) => outcome === Outcome.failed);
  t.log(...bad.map(({ suite, test: name, reason }) => `failed ${suite}.${name}: ${reason}`));
  t.deepEqual(incidents, []);
  const { passed, failed, hung } = count(merged);
  t.deepEqual({ failed, hung }, { failed: 0, hung: 0 });
  t.true(passed >= PASS_FLOOR, `${passed} passed`);
});
