/** Unmapping far behind all that was ever written ends, and leaves what is there alone. */
import test from 'ava';
import { Segments } from '../../../storage/log/segments.ts';
import { Account } from '../../../storage/map/account.ts';
import { Content } from '../../../storage/map/content.ts';

test('a tree of one leaf has no leaf behind its reach', (t) => {
  const content = new Content(new Segments(16, () => {}), new Account(16));
  const space = content.create(1, 0);
  content.set(space, 3, 257, 1);
  t.deepEqual([...space.tree.leaves(512, 2 ** 30)], []);
  t.is([...space.tree.leaves(0, 2 ** 30)].length, 1);
});
