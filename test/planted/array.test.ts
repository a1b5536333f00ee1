/** Every planted fault of the layer of several disks is found, and without one nothing is. */
import test from 'ava';
import { arrayFaults } from './array-faults.ts';
import { plant } from './plant.ts';

for (const finder of new Set(arrayFaults.map((fault) => fault.finder))) {
  test.serial(`without a fault, "${finder}" finds nothing`, async (t) => {
    const { found, how } = await plant({ name: 'none', finder, replace: [] });
    t.false(found, how);
  });
}

for (const fault of arrayFaults) {
  test.serial(fault.name, async (t) => {
    const { found, how } = await plant(fault);
    t.true(found);
    t.log(how.split('\n')[0]!.slice(0, 160));
  });
}
