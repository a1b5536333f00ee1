/** Every planted fault of the store is found, and without one nothing is. */
import test from 'ava';
import { plant } from './plant.ts';
import { faults } from './store-faults.ts';
import { catches } from './suite.ts';

catches(faults);

test('a replacement that no longer applies is an error', async (t) => {
  const replace = [{ file: 'log/writer.ts', from: 'no such line', to: '' }];
  await t.throwsAsync(plant({ name: 'gone', finder: 'crash', replace }), { message: /no longer/ });
});
