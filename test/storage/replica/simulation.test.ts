/**
 * A whole cluster under faults: what was acknowledged is read, nothing comes back that was overwritten, and when
 * everything has healed the copies are one. Fixed seeds, and some that nobody has seen.
 */
import test from 'ava';
import { runSeed, software } from '#test/sim/cluster/run.ts';

const fixed = 40;
const fresh = 10;

test('fixed seeds', async (t) => {
  let operations = 0;
  for (let seed = 1; seed <= fixed; seed += 1) {
    const result = await runSeed(software, seed);
    t.deepEqual(result.violations, [], `npm run sim -- --seeds 1 --from ${seed}`);
    t.true(result.counts, `seed ${seed}`);
    operations += result.operations;
  }
  t.log(`${fixed} seeds, ${operations} operations`);
});

test('fresh seeds', async (t) => {
  const from = Math.floor(Math.random() * 2 ** 31);
  for (let seed = from; seed < from + fresh; seed += 1) {
    const { violations } = await runSeed(software, seed);
    t.deepEqual(violations, [], `npm run sim -- --seeds 1 --from ${seed}`);
  }
  t.log(`from ${from}`);
});

test('a seed is always the same story', async (t) => {
  const [first, second] = [await runSeed(software, 7), await runSeed(software, 7)];
  t.deepEqual(first, second);
});
