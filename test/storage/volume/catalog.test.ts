/**
 * What the catalog promises people: names, sizes, 24 hours to change one's mind, and that removed
 * disks give way, oldest first and no more than needed, when a writer or a new disk needs the space.
 */
import test, { type ExecutionContext } from 'ava';
import { StorageError, type StorageErrorCode } from '#storage/base/errors.ts';
import { silentLog } from '#storage/base/log.ts';
import { formatEmbedded, openEmbedded } from '#storage/cluster/embedded.ts';
import { blockBytes, type Done } from '#storage/map/blocks.ts';
import { Catalog } from '#storage/volume/catalog.ts';
import { OpenVolume } from '#storage/volume/open.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { ManualClock } from '#test/sim/manual-clock.ts';
import { MemoryBlocks } from '#test/sim/memory-blocks.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

const storeId = new Uint8Array(16).fill(7);
const megabyte = 2 ** 20;
const hour = 3_600_000;

async function fresh(capacity = 4096) {
  const disk = new MemoryDisk(2 * megabyte);
  await formatEmbedded(disk, storeId);
  const directory = await openEmbedded(disk, { storeId, log: silentLog });
  const blocks = new MemoryBlocks({ capacity });
  const clock = new ManualClock();
  const random = new SeededRandom();
  const ports = {
    directory,
    blocks,
    clock,
    random: { bytes: (length: number) => random.fill(Buffer.alloc(length)) },
    log: silentLog,
  };
  return { ...ports, catalog: await Catalog.open(ports), reopen: () => Catalog.open(ports) };
}

async function refused(
  t: ExecutionContext,
  call: Promise<unknown>,
  code: StorageErrorCode,
): Promise<void> {
  const error = await t.throwsAsync(call, { instanceOf: StorageError });
  t.is(error?.code, code, error?.message);
}

const fill = (blocks: MemoryBlocks, ref: number, count: number): void => {
  blocks.write(ref, 0, new Uint8Array(count * blockBytes), { complete: () => {} });
};

const call = (start: (done: Done) => void): Promise<StorageError | null> =>
  new Promise((resolve) => start({ complete: resolve }));

test('names: unique among the living, well formed', async (t) => {
  const { catalog } = await fresh();
  const size = megabyte;
  const names = ['', 'A', 'a b', '-a', '.a', 'a_b', 'ä', 'a/b', 'a'.repeat(64)];
  for (const name of names) await refused(t, catalog.create({ name, size }), 'INVALID');
  for (const name of ['a', '0', 'a.b-c', 'a'.repeat(63)]) await catalog.create({ name, size });
  await refused(t, catalog.create({ name: 'a', size }), 'EXISTS');
  const a = catalog.find('a')!;
  await refused(t, catalog.rename(a.id, '0'), 'EXISTS');
  await catalog.rename(a.id, 'b');
  t.is(catalog.find('a'), null);
  t.is(catalog.find('b')?.id, a.id);
  await catalog.create({ name: 'a', size });
});

test('two creations of one name at once: one wins', async (t) => {
  const { catalog } = await fresh();
  const both = [1, 2].map(() => catalog.create({ name: 'a', size: megabyte }));
  const outcomes = await Promise.allSettled(both);
  t.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  t.is(catalog.list().length, 1);
});

test('sizes: whole blocks within bounds', async (t) => {
  const { catalog } = await fresh();
  for (const size of [0, -4096, 1, 4095, 4097, 1.5, Number.NaN, 2 ** 50 + 4096, 2 ** 60]) {
    await refused(t, catalog.create({ name: 'a', size }), 'INVALID');
  }
  const { id } = await catalog.create({ name: 'a', size: 2 ** 50 });
  await refused(t, catalog.resize(id, megabyte), 'INVALID');
  t.is((await catalog.resize(id, megabyte, { force: true })).size, megabyte);
});

test('identity is random and an address space is never used twice', async (t) => {
  const { catalog } = await fresh();
  const one = await catalog.create({ name: 'a', size: megabyte });
  await catalog.remove(one.id);
  await catalog.purge(one.id);
  const two = await catalog.create({ name: 'a', size: megabyte });
  t.not(one.id, two.id);
  t.true(two.ref > one.ref);
});

test('everything is there after reopening', async (t) => {
  const { catalog, reopen } = await fresh();
  await catalog.create({ name: 'a', size: megabyte, attributes: { iqn: 'x' } });
  await catalog.create({ name: 'b', size: megabyte, reserved: true, sectorBytes: 4096 });
  const c = await catalog.create({ name: 'c', size: megabyte });
  await catalog.remove(c.id);
  await catalog.close();
  const again = await reopen();
  t.deepEqual(again.list(), catalog.list());
  t.deepEqual(again.removed(), catalog.removed());
});

test('a closed catalog refuses changes', async (t) => {
  const { catalog } = await fresh();
  await catalog.close();
  await refused(t, catalog.create({ name: 'a', size: megabyte }), 'BUSY');
});

test('growing after shrinking shows zeros', async (t) => {
  const { catalog, blocks } = await fresh();
  const { id, ref } = await catalog.create({ name: 'a', size: megabyte });
  fill(blocks, ref, 256);
  await catalog.resize(id, megabyte / 2, { force: true });
  t.is(blocks.usage(ref).mapped, 128);
  await catalog.resize(id, megabyte);
  t.false(blocks.extentNow(ref, 128, 128).mapped);
});

test('a removed disk is kept for 24 hours, then purged', async (t) => {
  const { catalog, blocks, clock } = await fresh();
  const { id, ref } = await catalog.create({ name: 'a', size: megabyte });
  fill(blocks, ref, 10);
  const removed = await catalog.remove(id);
  t.is(catalog.keptUntil(removed), clock.wall() + 24 * hour);
  await refused(t, catalog.remove(id), 'NOT_FOUND');
  await refused(t, catalog.rename(id, 'b'), 'NOT_FOUND');
  clock.advance(23 * hour);
  await catalog.sweep();
  t.is(catalog.removed().length, 1);
  await catalog.undelete(id);
  t.is(catalog.find('a')?.id, id);
  t.is(blocks.usage(ref).mapped, 10);
  await catalog.remove(id);
  clock.advance(24 * hour);
  await catalog.sweep();
  t.deepEqual(catalog.removed(), []);
  t.deepEqual(blocks.refs(), []);
  await refused(t, catalog.undelete(id), 'NOT_FOUND');
});

test('the sweep comes by itself', async (t) => {
  const { catalog, clock } = await fresh();
  const { id } = await catalog.create({ name: 'a', size: megabyte });
  await catalog.remove(id);
  for (let minute = 0; minute <= 24 * 60 + 1; minute++) {
    clock.advance(60_000);
    await catalog.sweep(); // lets the one that the timer began end before time passes again
  }
  t.deepEqual(catalog.removed(), []);
});

test('setting the wall clock forward purges nothing early', async (t) => {
  const { catalog, clock } = await fresh();
  const { id } = await catalog.create({ name: 'a', size: megabyte });
  clock.setWall(1000);
  await catalog.remove(id);
  clock.setWall(1_790_000_000_000);
  await catalog.sweep();
  t.is(catalog.removed().length, 1);
});

test('restoring under a taken name needs a new one', async (t) => {
  const { catalog } = await fresh();
  const { id } = await catalog.create({ name: 'a', size: megabyte });
  await catalog.remove(id);
  await catalog.create({ name: 'a', size: megabyte });
  await refused(t, catalog.undelete(id), 'EXISTS');
  await refused(t, catalog.undelete(id, 'A'), 'INVALID');
  await catalog.undelete(id, 'b');
  t.is(catalog.find('b')?.id, id);
  await refused(t, catalog.undelete(id), 'INVALID');
});

test('a thick disk that does not fit is refused and leaves nothing', async (t) => {
  const { catalog, blocks, directory } = await fresh(1000);
  const size = 1001 * blockBytes;
  await refused(t, catalog.create({ name: 'a', size, reserved: true }), 'NO_SPACE');
  t.deepEqual(blocks.refs(), []);
  t.deepEqual((await directory.list('name/')).entries, []);
  t.deepEqual((await directory.list('intent/')).entries, []);
  const { id } = await catalog.create({ name: 'a', size: 900 * blockBytes, reserved: true });
  await refused(t, catalog.resize(id, size), 'NO_SPACE');
  t.is(catalog.find('a')?.size, 900 * blockBytes);
  await catalog.resize(id, 1000 * blockBytes);
});

/** Three removed disks of 100 blocks each, oldest first, in a store of 1000 blocks, 600 of them used. */
async function crowded() {
  const parts = await fresh(1000);
  const { catalog, blocks, clock } = parts;
  const living = await catalog.create({ name: 'living', size: 1000 * blockBytes });
  fill(blocks, living.ref, 600);
  for (const name of ['one', 'two', 'three']) {
    const { id, ref } = await catalog.create({ name, size: megabyte });
    fill(blocks, ref, 100);
    clock.advance(1000);
    await catalog.remove(id);
  }
  return { ...parts, volume: new OpenVolume(living, blocks, catalog) };
}

const removedNames = (catalog: Catalog): string[] => catalog.removed().map(({ name }) => name);

test('a writer that meets a full store makes removed disks give way, no more than needed', async (t) => {
  const { catalog, volume, blocks } = await crowded();
  const write = (block: number, count: number): Promise<StorageError | null> =>
    call((done) => {
      const data = new Uint8Array(count * blockBytes).fill(1);
      volume.write(block * blockBytes, data, done);
      data.fill(2);
    });
  t.is(await write(600, 100), null);
  t.deepEqual(removedNames(catalog), ['one', 'two', 'three']);
  t.is(await write(700, 50), null);
  t.deepEqual(removedNames(catalog), ['two', 'three']);
  // Two at once, each short of room: they share what is given back.
  const both = await Promise.all([write(750, 80), write(830, 60)]);
  t.deepEqual(both, [null, null]);
  t.deepEqual(removedNames(catalog), ['three']);
  t.is((await write(890, 111))?.code, 'INVALID');
  t.is(await write(890, 110), null);
  t.deepEqual(removedNames(catalog), []);
  const into = new Uint8Array(400 * blockBytes);
  t.true(volume.readNow(600 * blockBytes, into.length, into, 0));
  t.true(
    into.every((byte) => byte === 1),
    'the data of the call, not what came into its buffer',
  );
  t.is(blocks.total().free, 0);
  const other = await catalog.create({ name: 'other', size: megabyte });
  const second = new OpenVolume(other, blocks, catalog);
  const data = new Uint8Array(512);
  t.is((await call((done) => second.write(512, data, done)))?.code, 'NO_SPACE');
  t.is(await call((done) => volume.write(512, data, done)), null, 'overwriting needs no room');
});

test('removed disks that would not be enough are kept', async (t) => {
  const { catalog } = await crowded();
  const size = 500 * blockBytes;
  await refused(t, catalog.create({ name: 'thick', size, reserved: true }), 'NO_SPACE');
  t.deepEqual(removedNames(catalog), ['one', 'two', 'three']);
  await catalog.create({ name: 'thick', size: 250 * blockBytes, reserved: true });
  t.deepEqual(removedNames(catalog), ['three']);
});

test('low space alone makes removed disks give way at the next sweep', async (t) => {
  const { catalog, volume } = await crowded();
  const data = new Uint8Array(95 * blockBytes);
  t.is(await call((done) => volume.write(600 * blockBytes, data, done)), null);
  await catalog.sweep();
  t.deepEqual(removedNames(catalog), ['two', 'three']);
});

test('attributes are kept, bounded and opaque', async (t) => {
  const { catalog } = await fresh();
  const { id } = await catalog.create({ name: 'a', size: megabyte });
  await catalog.setAttributes(id, () => ({ access: '["10.0.0.0/8"]' }));
  await catalog.setAttributes(id, (old) => ({ ...old, iqn: 'y' }));
  t.deepEqual(catalog.get(id)?.attributes, { access: '["10.0.0.0/8"]', iqn: 'y' });
  const huge = { a: 'x'.repeat(64 * 1024) };
  await refused(
    t,
    catalog.setAttributes(id, () => huge),
    'INVALID',
  );
});

const contradictions: readonly [
  string,
  (p: Awaited<ReturnType<typeof fresh>>) => Promise<unknown>,
][] = [
  ['the content of a disk is missing', async ({ blocks }) => await blocks.drop(1)],
  ['a record is no JSON', async (p) => await put(p, 'disk/', 'no')],
  ['a record has a bad field', async (p) => await put(p, 'disk/', '{"version":1}')],
  ['a name leads nowhere', async (p) => await put(p, 'name/', '{"version":1,"id":"x"}')],
  ['an intent is unknown', async (p) => await put(p, 'intent/x', '{"version":1,"op":"dance"}')],
  ['the counter is behind', async (p) => await put(p, 'counter/', '{"version":1,"next":1}')],
];

async function put({ directory }: Awaited<ReturnType<typeof fresh>>, prefix: string, text: string) {
  const { entries } = await directory.list(prefix);
  const key = entries[0]?.key ?? prefix;
  await directory.commit([], [{ key, value: new TextEncoder().encode(text) }]);
}

for (const [what, spoil] of contradictions) {
  test(`a store that contradicts itself stays closed: ${what}`, async (t) => {
    const parts = await fresh();
    await parts.catalog.create({ name: 'a', size: megabyte });
    await parts.catalog.close();
    await spoil(parts);
    await refused(t, parts.reopen(), 'CORRUPT');
  });
}

test('a record of a newer version is refused as such', async (t) => {
  const parts = await fresh();
  await parts.catalog.create({ name: 'a', size: megabyte });
  await put(parts, 'disk/', '{"version":3}');
  await refused(t, parts.reopen(), 'TOO_NEW');
});
