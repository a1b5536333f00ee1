/** Every planted fault of the store is found, and without one nothing is. */
import test from 'ava';
import { plant } from './plant.ts';
import { faults } from './store-faults.ts';

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

test('a replacement that no longer applies is an error', async (t) => {
  const replace = [{ file: 'log/writer.ts', from: 'no such line', to: '' }];
  await t.throwsAsync(plant({ name: 'gone', finder: 'crash', replace }), { message: /no longer/ });
});
