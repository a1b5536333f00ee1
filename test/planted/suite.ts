/** The tests of a list of planted faults: each is found, and without one nothing is. */
import test from 'ava';
import { type Fault, plant } from './plant.ts';

export function catches(faults: readonly Fault[]): void {
  for (const finder of new Set(faults.map((fault) => fault.finder))) {
    test.serial(`without a fault, "${finder}" finds nothing`, async (t) => {
      const { found, how } = await plant({ name: 'none', finder, replace: [] });
      t.false(found, how);
    });
  }
  for (const fault of faults) {
    test.serial(fault.name, async (t) => {
      const { found, how } = await plant(fault);
      t.true(found);
      t.log(how.split('\n')[0]!.slice(0, 160));
    });
  }
}
