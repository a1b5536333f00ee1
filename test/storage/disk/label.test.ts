/** A label survives one bad copy, is refused when both are bad or it is from the future, and its
 * bytes are what they are for ever. */
import test from 'ava';
import fc from 'fast-check';
import { StorageError } from '#storage/base/errors.ts';
import {
  decodeLabel,
  encodeLabel,
  isBlank,
  layOut,
  readLabel,
  writeLabel,
} from '#storage/disk/label.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

const mebibyte = 2 ** 20;
const size = 64 * mebibyte;
const copy = mebibyte / 2;
const label = layOut(new Uint8Array(16).fill(5), 1_790_000_000_000, size);
const quiet = (): void => {};

async function labelled(): Promise<MemoryDisk> {
  const disk = new MemoryDisk(size);
  await writeLabel(disk, label);
  return disk;
}

async function refused(disk: MemoryDisk): Promise<string | undefined> {
  try {
    await readLabel(disk, quiet);
    return undefined;
  } catch (error) {
    return (error as StorageError).code;
  }
}

test.serial('what was written is read; a blank disk has none', async (t) => {
  t.deepEqual(await readLabel(await labelled(), quiet), label);
  const blank = new MemoryDisk(size);
  t.is(await readLabel(blank, quiet), null);
  t.true(await isBlank(blank));
});

test.serial('one bad copy is written anew, whichever it is and however it is bad', async (t) => {
  const spoils: ((disk: MemoryDisk, at: number) => unknown)[] = [
    (disk, at) => disk.content.fill(0, at, at + 4096),
    (disk, at) => disk.content.fill(0xff, at, at + 4096),
    (disk, at) => disk.content.set([0xee], at + 60),
    (disk, at) => disk.unreadable.add(at),
  ];
  for (const at of [0, copy]) {
    for (const spoil of spoils) {
      const disk = await labelled();
      spoil(disk, at);
      const said: string[] = [];
      t.deepEqual(await readLabel(disk, (message) => said.push(message)), label);
      t.is(said.length, 1);
      disk.content.fill(0, copy - at, copy - at + 4096);
      t.deepEqual(await readLabel(disk, quiet), label, 'the repaired copy alone is enough');
    }
  }
});

test.serial('two bad copies, a cut-off disk, copies that differ: CORRUPT', async (t) => {
  const both = await labelled();
  both.content[60]! ^= 4;
  both.content[copy + 60]! ^= 4;
  t.is(await refused(both), 'CORRUPT');
  const cut = new MemoryDisk(32 * mebibyte, (await labelled()).content.slice(0, 32 * mebibyte));
  t.is(await refused(cut), 'CORRUPT');
  const differ = await labelled();
  const other = encodeLabel(layOut(new Uint8Array(16).fill(6), 0, size));
  await differ.write(copy, [other], true);
  t.is(await refused(differ), 'CORRUPT');
});

test('a label of a newer version is refused as such', (t) => {
  const bytes = encodeLabel(label);
  bytes[8] = 3;
  const error = t.throws(() => decodeLabel(bytes), { instanceOf: StorageError });
  t.is(error?.code, 'TOO_NEW');
});

test('no flipped bit goes unseen', (t) => {
  const good = encodeLabel(label);
  for (let bit = 0; bit < 104 * 8; bit++) {
    const bytes = good.slice();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    let found: unknown;
    try {
      found = decodeLabel(bytes);
    } catch (error) {
      t.is((error as StorageError).code, 'TOO_NEW');
      t.true(bit >= 64 && bit < 96, 'only in the version');
      continue;
    }
    t.is(typeof found, 'string', `bit ${bit}`);
  }
});

test('bytes of any kind after the magic are no reason to throw anything but TOO_NEW', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 96, maxLength: 96 }), (noise) => {
      const bytes = encodeLabel(label);
      bytes.set(noise, 8);
      try {
        return decodeLabel(bytes) === 'damaged';
      } catch (error) {
        return error instanceof StorageError && error.code === 'TOO_NEW';
      }
    }),
  );
  t.pass();
});

test('the label on disk, byte by byte', (t) => {
  const hex = Buffer.from(encodeLabel(label).subarray(0, 104)).toString('hex');
  const golden = [
    '504554414c53544f', // magic
    '01000000', // version
    '68000000', // length 104
    '57e9ad6f', // CRC-32C of the rest
    '00000000',
    '05'.repeat(16),
    '006c50c4a0010000', // created
    '0000000400000000', // 64 MiB
    '0000100000000000', // Directory at 1 MiB
    '0000f00000000000', // 15 MiB
    '0000000100000000', // log at 16 MiB
    '0000000300000000', // 48 MiB
    '00'.repeat(16),
  ];
  t.is(hex, golden.join(''));
});
