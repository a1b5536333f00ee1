/** The log keeps the promises of whole contents (`Images`), on a disk whose content outlives a death. */
import test from 'ava';
import { realClock } from '#storage/base/clock.ts';
import { formatBlocks, openBlocks, type Store } from '#storage/map/open.ts';
import { imagesContract } from '#test/kit/images-contract.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

/** The smallest store holds some thousand blocks. */
const storeBytes = 32 * 2 ** 20;
const small = { cacheBytes: 2 ** 20, recentBytes: 8 * 2 ** 20 };

imagesContract(test, 'in the log', async () => {
  const seeded = new SeededRandom();
  const random = { bytes: (length: number) => seeded.fill(Buffer.alloc(length)) };
  let disk = new MemoryDisk(storeBytes);
  await formatBlocks(disk, { storeId: random.bytes(16), random });
  const open = () => openBlocks({ disk, clock: realClock, random }, small);
  const opened: Store[] = [await open()];
  return {
    store: opened[0]!,
    reopen: async () => {
      // The old life goes on, on a disk of its own.
      disk = new MemoryDisk(storeBytes, disk.content.slice());
      opened.push(await open());
      return opened.at(-1)!;
    },
    close: async () => {
      for (const store of opened) await store.close();
    },
  };
});
