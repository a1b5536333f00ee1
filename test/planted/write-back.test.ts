/** Every planted fault of write-back and of the block cache is found, and without one nothing is. */
import test from 'ava';
import { plant } from './plant.ts';
import { writeBackFaults } from './write-back-faults.ts';

for (const finder of new Set(writeBackFaults.map((fault) => fault.finder))) {
  test.serial(`without a fault, "${finder}" finds nothing`, async (t) => {
    const { found, how } = await plant({ name: 'none', finder, replace: [] });
    t.false(found, how);
  });
}

for (const fault of writeBackFaults) {
  test.serial(fault.name, async (t) => {
    const { found, how } = await plant(fault);
    t.true(found);
    t.log(how.split('\n')[0]!.slice(0, 160));
  });
}
