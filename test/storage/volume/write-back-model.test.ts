/**
 * Write-back keeps its promise whenever the power goes off: what was flushed is there, what was
 * completed since is there or not, whole chunks whole, and reads see the newest. Fixed seeds and a few
 * fresh ones; a failure prints its seed.
 */
import test from 'ava';
import { formatBlocks, openBlocks } from '../../../storage/map/open.ts';
import { WriteBack } from '../../../storage/volume/write-back.ts';
import { SeededRandom } from '../../kit/random.ts';
import { WriteBackLoad } from '../../sim/write-back-load.ts';

const software = { formatBlocks, openBlocks, WriteBack };
const fresh = new SeededRandom();

for (const seed of [1, 2, 3, 4, 5, 6, fresh.word(), fresh.word()]) {
  test(`seed ${seed}`, async (t) => {
    const load = new WriteBackLoad(software, seed);
    await load.run(12, 300);
    t.deepEqual(load.wrong, [], `seed ${seed}`);
    t.true(load.lost > 0, 'a crash loses something, or nothing was held back');
    t.log(
      `${load.crashes} crashes, ${load.lost} blocks lost, ${load.reads} reads, ${load.cuts} cuts`,
    );
  });
}
