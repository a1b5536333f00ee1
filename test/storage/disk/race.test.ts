/** Several openers at once: one gets the store, the others are refused, and nobody's file is replaced. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { realClock } from '#storage/base/clock.ts';
import { StorageError } from '#storage/base/errors.ts';
import { silentLog } from '#storage/base/log.ts';
import { layOut, writeLabel } from '#storage/disk/label.ts';
import { openStoreDisk, type StoreDisk } from '#storage/disk/open.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';

const size = 64 * 2 ** 20;

for (const [what, content] of [
  ['nothing', null],
  ['another file', 'x'.repeat(100)],
] as const) {
  test(`several make a store where there is ${what}: one wins`, async (t) => {
    for (let round = 0; round < 3; round++) {
      const directory = await temporaryDirectory(t);
      const path = join(directory, 'store.petal');
      if (content !== null) writeFileSync(path, content);
      const make = async (id: number): Promise<StoreDisk> => {
        const options = { path, size, wipe: true, clock: realClock, log: silentLog };
        const store = await openStoreDisk(options);
        if (store.label === null) {
          await writeLabel(store.disk, layOut(new Uint8Array(16).fill(id), 0, size));
          store.ready();
        }
        return store;
      };
      const outcomes = await Promise.allSettled([1, 2, 3, 4].map(make));
      const winners = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      t.is(winners.length, 1);
      for (const one of outcomes) {
        if (one.status === 'fulfilled') continue;
        t.true(one.reason instanceof StorageError && one.reason.code === 'IN_USE', `${one.reason}`);
      }
      await winners[0]!.close();
      t.deepEqual(readdirSync(directory), ['store.petal']);
      const again = await openStoreDisk({ path, clock: realClock, log: silentLog });
      t.not(again.label, null);
      await again.close();
    }
  });
}
