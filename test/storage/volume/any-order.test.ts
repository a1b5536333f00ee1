/**
 * Disks, snapshots and clones are as a plain model says whatever is done in whatever order, and whatever befalls the
 * machine: a fixed share of `npm run model`, on each layout.
 */
import test from 'ava';
import { builds, serverSoftware } from '#test/sim/machine.ts';
import { operationsIn, run } from '#test/sim/volume-run.ts';

for (const [index, build] of Object.keys(builds).entries()) {
  test.serial(`whatever is done to a store that is ${build}`, async (t) => {
    const software = await serverSoftware();
    let operations = 0;
    for (let seed = 1 + index * 1000; operations < 700; seed += 1) {
      const options = { software, seed, build, most: 800, crashEvery: 6, shrinkMs: 30_000 };
      const { failure, counts } = await run(options);
      operations += operationsIn(counts);
      if (failure !== null) return t.fail(failure.slice(0, 4000));
    }
    t.log(`${operations} operations`);
    t.pass();
  });
}
