/** The store in memory that other tests stand on keeps the promises of `Images`. */
import test from 'ava';
import { imagesContract } from '#test/kit/images-contract.ts';
import { MemoryBlocks } from './memory-blocks.ts';

imagesContract(test, 'in memory', async (capacity) => {
  const store = new MemoryBlocks({ capacity });
  return { store, close: () => store.close() };
});
