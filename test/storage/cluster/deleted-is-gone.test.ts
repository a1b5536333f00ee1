/** What was deleted from the Directory is gone from the disk, from both copies, behind shorter ones as well. */
import test from 'ava';
import { silentLog } from '#storage/base/log.ts';
import { formatEmbedded, openEmbedded } from '#storage/cluster/embedded.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

const storeId = new Uint8Array(16).fill(7);
const options = { storeId, log: silentLog };
const secret = Buffer.from('a key that was replaced');

test('no trace of a deleted value is left on the disk', async (t) => {
  const disk = new MemoryDisk(2 ** 21);
  await formatEmbedded(disk, storeId);
  const before = await openEmbedded(disk, options);
  await before.commit([], [{ key: 'a', value: new Uint8Array(60_000) }]);
  await before.commit([], [{ key: 'z', value: secret }]);
  await before.close();
  t.true(Buffer.from(disk.content).includes(secret));
  const after = await openEmbedded(disk, options);
  // The image becomes shorter: what stood behind its new end would stay where it was.
  await after.commit(
    [],
    [
      { key: 'a', value: null },
      { key: 'z', value: null },
    ],
  );
  await after.close();
  t.false(Buffer.from(disk.content).includes(secret));
});
