/** Whatever bytes stand on the disk, opening it ends, with a store or with a clear refusal. */
import test from 'ava';
import { StorageError } from '../../../storage/base/errors.ts';
import { SmallStore } from '../../sim/small-store.ts';

const size = 16 * 1024 * 1024;
const refusals = ['CORRUPT', 'TOO_NEW', 'MEDIUM_ERROR'];

async function opens(small: SmallStore): Promise<string> {
  try {
    await small.open();
    return 'open';
  } catch (error) {
    return error instanceof StorageError ? error.code : String(error);
  }
}

test('a bit turned over in any record', async (t) => {
  const small = new SmallStore(size);
  await small.format();
  await small.open();
  await small.until(small.blocks.create(1, 0));
  for (let block = 0; block < 12; block += 1) await small.until(small.write(1, block * 600, 1, 2));
  // Damage to the very last group cannot be told from a write that the crash tore: it holds nothing
  // that is asked for.
  await small.until(small.write(1, 7, 1));
  const image = small.disk.crash('drop');
  const used = image.flatMap((block, index) => (block === undefined ? [] : [index]));
  const told = new Map<string, number>();
  for (const block of used) {
    for (let each = 0; each < 6; each += 1) {
      // The front of a block more often: there the records are.
      const bit = small.random.below(each < 4 ? 8 * 128 : 8 * 4096);
      const after = new SmallStore(size, 3, image, 0);
      after.disk.flip(block, bit);
      const result = await opens(after);
      t.true(
        result === 'open' || refusals.includes(result),
        `block ${block} bit ${bit}: ${result}`,
      );
      told.set(result, (told.get(result) ?? 0) + 1);
      if (result !== 'open') continue;
      for (let index = 0; index < 12; index += 1) {
        const read = await after.read(1, index * 600);
        t.true(read === 1 || read === 'MEDIUM_ERROR', `block ${block} bit ${bit}: read ${read}`);
      }
    }
  }
  t.log(JSON.stringify([...told]));
});

test('noise', async (t) => {
  for (let seed = 1; seed < 10; seed += 1) {
    const small = new SmallStore(size, seed, undefined, 0);
    const image = small.disk.crash('drop');
    for (let block = 0; block < 300; block += 1) image[block] = small.random.bytes(4096);
    t.is(await opens(new SmallStore(size, seed, image, 0)), 'CORRUPT');
  }
  t.is(await opens(new SmallStore(size)), 'CORRUPT');
});

for (const [version, code] of [
  [3, 'TOO_NEW'],
  [1, 'INVALID'],
] as const) {
  test(`a store of version ${version} is told from a damaged one`, async (t) => {
    const { encodeSuperblock } = await import('../../../storage/log/superblock.ts');
    const { crc32c } = await import('../../../storage/base/crc32c.ts');
    const record = Buffer.from(
      encodeSuperblock(new Uint32Array([1, 2, 3, 4]), {
        sequence: 1,
        incarnation: 1,
        segments: 15,
        spaces: 0,
        position: null,
        wholeAt: 0,
        touched: 0,
        blocks: [],
      }),
    );
    record.writeUInt32LE(version, 4);
    const length = record.readUInt32LE(8);
    record.writeUInt32LE(crc32c(record.subarray(16, length), crc32c(record.subarray(0, 12))), 12);
    const image = new SmallStore(size).disk.crash('drop');
    image[0] = record;
    t.is(await opens(new SmallStore(size, 1, image)), code);
  });
}

test('a disk that shrank, and sizes that are none', async (t) => {
  const small = new SmallStore(2 * size);
  await small.format();
  const image = small.disk.crash('drop').slice(0, size / 4096);
  t.is(await opens(new SmallStore(size, 1, image)), 'CORRUPT');
  await t.throwsAsync(new SmallStore(size / 2).format(), { code: 'INVALID' });
});

test('a disk that grew is used whole', async (t) => {
  const small = new SmallStore(size);
  await small.format();
  await small.open();
  const image = small.disk.crash('drop');
  const grown = new SmallStore(2 * size, 1, [...image, ...image.slice().fill(undefined)]);
  t.true((await grown.open()).total().capacity > 2 * small.blocks.total().capacity);
});
