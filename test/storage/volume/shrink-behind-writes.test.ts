/**
 * A disk that is shrunk while writes wait for room in the store: what they leave past the new end is gone as well,
 * and zeros show when the disk grows again.
 */
import test from 'ava';
import { silentLog } from '#storage/base/log.ts';
import { formatEmbedded, openEmbedded } from '#storage/cluster/embedded.ts';
import { blockBytes } from '#storage/map/blocks.ts';
import { Catalog } from '#storage/volume/catalog.ts';
import { OpenVolume } from '#storage/volume/open.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { ManualClock } from '#test/sim/manual-clock.ts';
import { MemoryBlocks } from '#test/sim/memory-blocks.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

const storeId = new Uint8Array(16).fill(7);

/** The store completes nothing before all that can be asked of it has been asked; then until the promise settles. */
async function until<T>(blocks: MemoryBlocks, promise: Promise<T>): Promise<T> {
  let settled = false;
  const mark = (): void => {
    settled = true;
  };
  promise.then(mark, mark);
  while (!settled) {
    for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
    blocks.settle();
  }
  return promise;
}

/** Blocks that are left of a disk of eight that was shrunk to two while all of it was being written. */
async function left(random: SeededRandom): Promise<number> {
  const disk = new MemoryDisk(2 * 2 ** 20);
  await formatEmbedded(disk, storeId);
  const blocks = new MemoryBlocks({ random });
  const catalog = await Catalog.open({
    directory: await openEmbedded(disk, { storeId, log: silentLog }),
    blocks,
    clock: new ManualClock(),
    random: { bytes: (length) => random.fill(Buffer.alloc(length)) },
    log: silentLog,
  });
  const record = await until(blocks, catalog.create({ name: 'a', size: 8 * blockBytes }));
  const volume = new OpenVolume(record, blocks, catalog);
  catalog.listen((_, changed) => volume.update(changed));
  const data = new Uint8Array(8 * blockBytes).fill(0xab);
  const written = new Promise((complete) => volume.write(0, data, { complete }));
  await until(blocks, catalog.resize(record.id, 2 * blockBytes, { force: true }));
  await until(blocks, written);
  return blocks.usage(record.ref).mapped;
}

test('a write that waits for room when its disk is shrunk leaves nothing past the end', async (t) => {
  const random = new SeededRandom();
  for (let round = 0; round < 12; round++) {
    t.is(await left(random), 2, `seed ${random.seed}, round ${round}`);
  }
});
