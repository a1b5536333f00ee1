/** Five rounds of `npm run durability`: no acknowledged write is lost over kill -9, none is torn. */
import test from 'ava';
import { Daemon } from '../kit/daemon.ts';
import { SeededRandom } from '../kit/random.ts';
import { runRounds } from './rounds.ts';

test('acknowledged writes survive kill -9', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize: '1GiB' });
  const { seed } = new SeededRandom();
  t.log(`seed ${seed}`);
  const result = await runRounds(daemon, await daemon.disk(), { rounds: 5, seed });
  t.deepEqual(result.details, [], `npm run durability -- --rounds 5 --seed ${seed}`);
  t.is(result.lost + result.torn, 0);
  t.true(result.acknowledged > 0);
});
