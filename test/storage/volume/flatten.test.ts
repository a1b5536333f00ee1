/**
 * A clone is flattened in the background, at the pace that was set, over writes of hosts, and from where it was after
 * a death; at the end it shares nothing with its origin and holds what it held.
 */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { silentLog } from '#storage/base/log.ts';
import { blockBytes } from '#storage/map/blocks.ts';
import type { Catalog } from '#storage/volume/catalog.ts';
import { Flattener } from '#storage/volume/flatten.ts';
import { OpenVolume } from '#storage/volume/open.ts';
import { fill, megabyte, Steps, World } from './kit.ts';

const pace = megabyte;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const settle = async (): Promise<void> => {
  for (let turns = 0; turns < 20; turns++) await turn();
};

class Bed {
  readonly world: World;
  catalog!: Catalog;
  volume!: OpenVolume;
  flattener!: Flattener;

  constructor(world: World) {
    this.world = world;
  }

  static async make(blocks: number): Promise<Bed> {
    const bed = new Bed(new World());
    const { catalog, directory } = await bed.world.open(new Steps());
    const disk = await catalog.create({ name: 'a', size: 16 * megabyte });
    fill(bed.world, disk.ref, 0, blocks);
    const [base] = await catalog.snapshots.create([disk.id], 'base');
    await catalog.clone(base!.id, { name: 'b' });
    await catalog.close();
    await directory.close();
    await bed.open();
    return bed;
  }

  async open(): Promise<void> {
    const { world } = this;
    const { catalog } = await world.open(new Steps());
    this.catalog = catalog;
    this.volume = new OpenVolume(this.clone, world.blocks, catalog);
    catalog.listen((change, record) => {
      if (change === 'updated' && record.name === 'b') this.volume.update(record);
    });
    const host = () => this.volume.raw;
    const { blocks, clock } = world;
    this.flattener = new Flattener({ catalog, blocks, clock, log: silentLog, host });
  }

  get clone() {
    return this.catalog.find('b')!;
  }

  get position(): number | null {
    return this.flattener.progress(this.clone)?.position ?? null;
  }

  async alone(): Promise<number> {
    return await this.world.blocks.exclusive([this.clone.ref]);
  }

  async pass(ms: number): Promise<void> {
    this.world.clock.advance(ms);
    await settle();
  }
}

test('it goes at its pace, and at the end shares nothing and has no origin', async (t) => {
  const bed = await Bed.make(1024);
  t.is(await bed.alone(), 0);
  t.true(await bed.flattener.start(bed.clone.id, pace));
  await settle();
  for (let second = 0; second < 4; second++) {
    t.true((await bed.alone()) <= (second + 1) * 256 + 64, `after ${second} s`);
    t.not(bed.clone.origin, undefined);
    for (let step = 0; step < 8; step++) await bed.pass(125);
  }
  for (let step = 0; step < 40 && bed.position !== null; step++) await bed.pass(250);
  t.is(bed.position, null);
  t.is(await bed.alone(), 1024);
  t.is(bed.clone.origin, undefined);
  const into = Buffer.alloc(1024 * blockBytes);
  t.true(bed.volume.readNow(0, into.length, into, 0));
  t.true(into.every((byte) => byte === 0xab));
  t.false(await bed.flattener.start(bed.clone.id, pace), 'nothing is left to do');
});

test('what hosts write and unmap meanwhile stays', async (t) => {
  const bed = await Bed.make(512);
  await bed.flattener.start(bed.clone.id, pace);
  const done = { complete: (error: StorageError | null) => t.is(error, null) };
  for (let at = 0; bed.position !== null; at++) {
    bed.volume.write(at * 3 * blockBytes, Buffer.alloc(blockBytes, 7), done);
    bed.volume.unmap((at * 3 + 1) * blockBytes, blockBytes, done);
    await bed.pass(40);
    if (at === 100) break;
  }
  for (let step = 0; step < 100 && bed.position !== null; step++) await bed.pass(250);
  const into = Buffer.alloc(300 * blockBytes);
  t.true(bed.volume.readNow(0, into.length, into, 0));
  for (let at = 0; at < 50; at++) {
    const bytes = [0, 1, 2].map((index) => into[(at * 3 + index) * blockBytes]);
    t.deepEqual(bytes, [7, 0, 0xab], `block ${at * 3}`);
  }
  t.is(await bed.alone(), bed.world.blocks.usage(bed.clone.ref).mapped);
});

test('a death loses at most what was not noted, and it goes on by itself', async (t) => {
  const bed = await Bed.make(2048);
  await bed.catalog.setFlatten(bed.clone.id, { next: 1024, bytesPerSecond: pace });
  await bed.open();
  t.is(bed.position, 1024 * blockBytes);
  for (let step = 0; step < 100 && bed.position !== null; step++) await bed.pass(250);
  t.is(bed.clone.flatten, undefined);
  t.is(await bed.alone(), 1024, 'not from the start');
});

test('it can be stopped and started again, and a closing store waits for it', async (t) => {
  const bed = await Bed.make(2048);
  await bed.flattener.start(bed.clone.id, pace);
  await bed.pass(300);
  const cancelled = bed.flattener.cancel(bed.clone.id);
  await bed.pass(1000);
  await cancelled;
  t.is(bed.position, null);
  const copied = await bed.alone();
  t.true(copied > 0 && copied < 2048);
  t.not(bed.clone.origin, undefined);
  await bed.flattener.start(bed.clone.id, pace);
  const closed = bed.flattener.close();
  await bed.pass(1000);
  await closed;
  t.true((await bed.alone()) < 2048);
  t.not(bed.clone.flatten, undefined, 'and the next start goes on');
});

test('a store that has no room for the copy refuses at once', async (t) => {
  const bed = await Bed.make(3000);
  const error = await t.throwsAsync(bed.flattener.start(bed.clone.id, pace), {
    instanceOf: StorageError,
  });
  t.is(error?.code, 'NO_SPACE');
  t.is(bed.clone.flatten, undefined);
});

test('a disk that fails stops it, with the reason', async (t) => {
  const bed = await Bed.make(1024);
  await bed.flattener.start(bed.clone.id, pace);
  bed.world.blocks.failure = new StorageError('DISK_FAILED', 'the disk is dead');
  await bed.pass(1000);
  t.is(bed.flattener.progress(bed.clone)?.stopped, 'the disk is dead');
});
