/**
 * With write-back, kill -9 takes nothing that was flushed or written with FUA, and tears no sector: four
 * rounds of `npm run durability -- --write-back`.
 */
import test from 'ava';
import { Daemon } from '../kit/daemon.ts';
import { SeededRandom } from '../kit/random.ts';
import { runRounds } from './rounds.ts';

test('flushed writes survive kill -9 with write-back', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize: '1GiB' });
  await daemon.petal('disk', 'set', 'disk0', '--write-back', 'on');
  const { seed } = new SeededRandom();
  t.log(`seed ${seed}`);
  const options = { rounds: 4, seed, writeBack: true };
  const result = await runRounds(daemon, await daemon.disk(), options);
  t.deepEqual(result.details, [], `npm run durability -- --write-back --rounds 4 --seed ${seed}`);
  t.is(result.lost + result.torn, 0);
  t.true(result.acknowledged > 0);
});
