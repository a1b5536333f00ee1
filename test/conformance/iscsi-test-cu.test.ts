/** libiscsi's whole suite: at least what tgt passes, and nothing hangs or dies. */
import test from 'ava';
import { startPeer } from '../kit/peer.ts';
import { Outcome } from './cunit.ts';
import { LUN_BYTES, PASS_FLOOR } from './floor.ts';
import { listSuites, runSuites } from './suites.ts';
import { count } from './table.ts';

test('iscsi-test-cu, family ALL', async (t) => {
  t.timeout(9 * 60_000);
  const peer = await startPeer('petal', { sizeBytes: LUN_BYTES });
  try {
    const { outcomes, incidents } = await runSuites(peer, await listSuites());
    const bad = outcomes.filter(({ outcome }) => outcome === Outcome.failed);
    t.log(...bad.map(({ suite, test: name, reason }) => `failed ${suite}.${name}: ${reason}`));
    t.deepEqual(incidents, []);
    const { passed, hung } = count(outcomes);
    t.is(hung, 0);
    t.true(passed >= PASS_FLOOR, `${passed} passed`);
  } finally {
    await peer.stop();
  }
});
