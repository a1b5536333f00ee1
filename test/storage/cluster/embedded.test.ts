/**
 * The embedded Directory keeps the contract, and across a crash at any write, with any part of that
 * write on disk, it is as before a commit or as after it; damage to one copy costs nothing, damage
 * to both is said.
 */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { silentLog } from '#storage/base/log.ts';
import { type EmbeddedDirectory, formatEmbedded, openEmbedded } from '#storage/cluster/embedded.ts';
import { encodeImage } from '#storage/cluster/image.ts';
import { limits } from '#storage/cluster/limits.ts';
import { directoryContract } from '#test/kit/directory-contract.ts';
import { directoryFaultsContract } from '#test/kit/directory-contract-faults.ts';
import type { Subject } from '#test/kit/directory-subject.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

const storeId = new Uint8Array(16).fill(7);
const size = 4 * 2 ** 20;
const options = { storeId, log: silentLog };

async function blank(): Promise<MemoryDisk> {
  const disk = new MemoryDisk(size);
  await formatEmbedded(disk, storeId);
  return disk;
}

const stateOf = async (directory: EmbeddedDirectory): Promise<string> => {
  const { revision, entries } = await directory.list('');
  const sum = entries.map(({ key, value, modified }) => [
    key,
    value.length,
    value[0] ?? 0,
    `${modified}`,
  ]);
  return JSON.stringify([`${revision}`, sum]);
};

const make = async (): Promise<Subject> => {
  const directory = await openEmbedded(await blank(), options);
  return {
    directory,
    other: null,
    forget: async () => {
      for (let i = 0; i <= limits.historyTransactions; i++) {
        await directory.commit([], [{ key: 'nothing', value: null }]);
      }
    },
    // There is no network: nothing is lost.
    disturb: () => () => {},
  };
};
directoryContract(test, make);
directoryFaultsContract(test, make);

test('a crash at any write, torn anyhow, leaves the old or the new', async (t) => {
  const random = new SeededRandom();
  t.log(`seed ${random.seed}`);
  const start = await blank();
  const disk = new MemoryDisk(size, start.content.slice());
  const directory = await openEmbedded(disk, options);
  /** The state after each commit, and how many writes had been begun and ended by then. */
  const commits: { state: string; durable: number }[] = [
    { state: await stateOf(directory), durable: 0 },
  ];
  for (let index = 0; index < 40; index++) {
    const value = random.fill(Buffer.alloc(random.below(20_000)));
    const key = `k${random.below(12)}`;
    await directory.commit([], [{ key, value: random.chance(0.2) ? null : value }]);
    // The last write begun may be the second copy, of which the acknowledgement knows nothing.
    commits.push({ state: await stateOf(directory), durable: 2 * index + 1 });
  }
  await directory.close();
  t.is(disk.writes.length, 80, 'two copies of each');
  let states = 0;
  for (let count = 0; count < disk.writes.length; count++) {
    const tears: ((unit: number, units: number) => boolean)[] = [
      () => false,
      () => true,
      (unit) => unit === 0,
      (unit) => unit > 0,
      (unit, units) => unit < units - 1,
      () => random.chance(0.5),
    ];
    for (const kept of tears) {
      const crashed = MemoryDisk.after(start.content, disk.writes, count, kept);
      const again = await openEmbedded(crashed, options);
      const found = await stateOf(again);
      const acknowledged = commits.findLastIndex(({ durable }) => durable <= count);
      const allowed = commits.slice(acknowledged, acknowledged + 2).map(({ state }) => state);
      t.true(allowed.includes(found), `write ${count}`);
      await again.commit([], [{ key: 'goes-on', value: new Uint8Array(1) }]);
      await again.close();
      const third = await openEmbedded(crashed, options);
      t.not(await third.get('goes-on'), null);
      states++;
    }
  }
  t.log(`${states} states`);
});

test('a block of either copy that goes bad costs nothing', async (t) => {
  const disk = await blank();
  const directory = await openEmbedded(disk, options);
  for (let i = 0; i < 5; i++) {
    await directory.commit([], [{ key: `k${i}`, value: new Uint8Array(9000).fill(i) }]);
  }
  const state = await stateOf(directory);
  await directory.close();
  for (const slot of [0, size / 2]) {
    for (const at of [0, 4096, 40_000]) {
      const flipped = new MemoryDisk(size, disk.content.slice());
      flipped.content[slot + at]! ^= 0x10;
      t.is(await stateOf(await openEmbedded(flipped, options)), state);
      const unreadable = new MemoryDisk(size, disk.content.slice());
      unreadable.unreadable.add(slot + Math.floor(at / 4096) * 4096);
      t.is(await stateOf(await openEmbedded(unreadable, options)), state);
      t.is(unreadable.unreadable.size, 0, 'the bad copy was written anew');
    }
  }
});

test('two bad copies are CORRUPT, never empty', async (t) => {
  const disk = await blank();
  disk.content[100] = 1;
  disk.content[size / 2 + 50]! ^= 1;
  disk.content[30]! ^= 1;
  const error = await t.throwsAsync(openEmbedded(disk, options), { instanceOf: StorageError });
  t.is(error?.code, 'CORRUPT');
  const zeros = await t.throwsAsync(openEmbedded(new MemoryDisk(size), options), {
    instanceOf: StorageError,
  });
  t.is(zeros?.code, 'CORRUPT');
});

test('an image of another store is not ours', async (t) => {
  const disk = await blank();
  const other = { storeId: new Uint8Array(16).fill(8), log: silentLog };
  const error = await t.throwsAsync(openEmbedded(disk, other), { instanceOf: StorageError });
  t.is(error?.code, 'CORRUPT');
});

test('an image of a newer version is refused as such, whatever the other copy is', async (t) => {
  const disk = await blank();
  // Version at 8; the checksum covers what follows it, so a newer version has a good one.
  disk.content[8] = 2;
  const error = await t.throwsAsync(openEmbedded(disk, options), { instanceOf: StorageError });
  t.is(error?.code, 'TOO_NEW');
});

test('a failed write fails the Directory for good, and reads go on', async (t) => {
  const disk = await blank();
  const directory = await openEmbedded(disk, options);
  await directory.commit([], [{ key: 'a', value: new Uint8Array(1) }]);
  await new Promise((resolve) => setImmediate(resolve));
  disk.failFrom = disk.writes.length;
  const write = () => directory.commit([], [{ key: 'b', value: new Uint8Array(1) }]);
  t.is((await t.throwsAsync(write(), { instanceOf: StorageError }))?.code, 'DISK_FAILED');
  disk.failFrom = Number.POSITIVE_INFINITY;
  t.is((await t.throwsAsync(write(), { instanceOf: StorageError }))?.code, 'DISK_FAILED');
  t.is(await directory.get('b'), null);
  t.not(await directory.get('a'), null);
});

test('a full Directory says so and keeps what it has; deleting makes room', async (t) => {
  const directory = await openEmbedded(await blank(), options);
  const value = new Uint8Array(900_000);
  await directory.commit([], [{ key: 'a', value }]);
  await directory.commit([], [{ key: 'b', value }]);
  const third = directory.commit([], [{ key: 'c', value }]);
  t.is((await t.throwsAsync(third, { instanceOf: StorageError }))?.code, 'NO_SPACE');
  await directory.commit(
    [],
    [
      { key: 'a', value: null },
      { key: 'c', value },
    ],
  );
  t.deepEqual(
    (await directory.list('')).entries.map(({ key }) => key),
    ['b', 'c'],
  );
});

test('a watch from a forgotten revision is told to list again', async (t) => {
  const directory = await openEmbedded(await blank(), options);
  for (let i = 0; i < 1030; i++)
    await directory.commit([], [{ key: 'a', value: new Uint8Array(1) }]);
  const forgotten = t.throws(() => directory.watch('', 0n, () => {}), { instanceOf: StorageError });
  t.is(forgotten?.code, 'NOT_FOUND');
  const future = t.throws(() => directory.watch('', 2000n, () => {}), { instanceOf: StorageError });
  t.is(future?.code, 'INVALID');
  directory.watch('', 6n, () => {})();
});

test('after closing nothing is committed; what was asked for before is', async (t) => {
  const disk = await blank();
  const directory = await openEmbedded(disk, options);
  const calls = [1, 2, 3].map((i) =>
    directory.commit([], [{ key: `${i}`, value: new Uint8Array(1) }]),
  );
  const closing = directory.close();
  t.is((await t.throwsAsync(directory.commit([], []), { instanceOf: StorageError }))?.code, 'BUSY');
  await Promise.all([...calls, closing]);
  const again = await openEmbedded(disk, options);
  t.is((await again.list('')).entries.length, 3);
});

test('the image on disk, byte by byte', (t) => {
  const value = new Uint8Array([0xaa, 0xbb]);
  const image = encodeImage(storeId, {
    revision: 5n,
    entries: [{ key: 'k', value, modified: 3n }],
  });
  t.is(image.length, 4096);
  const golden =
    '504554414c444952' + // magic
    '01000000' +
    '53000000' + // version, length 83
    'CRC' +
    '01000000' + // one entry
    '07'.repeat(16) +
    '0500000000000000' +
    '00'.repeat(16) +
    '0100' +
    '0000' +
    '02000000' +
    '0300000000000000' +
    '6b' +
    'aabb';
  const hex = Buffer.from(image.subarray(0, 83)).toString('hex');
  t.is(`${hex.slice(0, 32)}CRC${hex.slice(40)}`, golden);
  t.is(hex.slice(32, 40), '6ed78ae8');
});
