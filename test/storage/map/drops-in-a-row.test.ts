/** Spaces that are dropped one behind the other, the next at any moment while the last removal is ending: all go. */
import test from 'ava';
import { SmallStore } from '#test/sim/small-store.ts';

/** So many steps of promises later. */
async function later(steps: number): Promise<void> {
  for (let step = 0; step < steps; step += 1) await null;
}

test('a space that is dropped while the removal of another is ending is removed as well', async (t) => {
  let small = new SmallStore(20 * 1024 * 1024);
  await small.format();
  let store = await small.open();
  let refs = 0;
  for (let steps = 0; steps < 40; steps += 1) {
    const [disk, snapshot, other] = [refs + 1, refs + 2, refs + 3];
    const clones = [refs + 4, refs + 5];
    refs += 5;
    await small.until(store.create(disk, 0));
    await small.until(store.create(other, 0));
    for (const block of [0, 2 ** 20, 2 ** 26]) {
      t.is(await small.until(small.write(disk, block, 1)), null);
    }
    await small.until(store.snapshot([{ of: disk, as: snapshot }]));
    for (const clone of clones) await small.until(store.clone(snapshot, clone, 0));
    // Seen through by three: it stays, and is looked at again when one of them has gone.
    await small.until(store.drop(snapshot));
    await small.until(store.close());
    // Its map has to be read, which takes longer than to note that it is dropped.
    small = small.again();
    store = await small.open();
    const inARow = async (): Promise<void> => {
      await store.drop(disk);
      await later(steps);
      await store.drop(other);
    };
    await t.notThrowsAsync(small.until(inARow()), `the next ${steps} steps later`);
    for (const clone of clones) await small.until(store.drop(clone));
  }
  t.deepEqual(store.refs(), []);
});
