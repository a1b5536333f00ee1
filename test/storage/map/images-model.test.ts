/** Snapshots, clones, rollbacks and removals in any order: contents and accounting are exact, crash or not. */
import test from 'ava';
import { ImagesLoad } from '../../sim/images-load.ts';

for (const seed of [1, 2, 3, 4, Math.floor(Math.random() * 2 ** 31)]) {
  test(`seed ${seed}`, async (t) => {
    const load = new ImagesLoad({ seed, operations: 800 });
    await load.run();
    t.log(load.counts);
    t.pass();
  });
}
