/**
 * What is exported is what is imported, in full and in increments, sealed or not; an increment goes only onto the
 * content that it goes on from; and an import that does not end well leaves nothing, whatever crashes.
 */
import test, { type ExecutionContext } from 'ava';
import { StorageError, type StorageErrorCode } from '#storage/base/errors.ts';
import { blockBytes } from '#storage/map/blocks.ts';
import type { Catalog } from '#storage/volume/catalog.ts';
import type { Imported } from '#storage/volume/import.ts';
import { OpenVolume } from '#storage/volume/open.ts';
import { exportFrom, type ImportTarget, importInto } from '#storage/volume/transfer.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { Crash, megabyte, Steps, World } from './kit.ts';

const still = async () => () => {};

class Site {
  readonly world: World;
  readonly catalog: Catalog;

  private constructor(world: World, catalog: Catalog) {
    this.world = world;
    this.catalog = catalog;
  }

  static async make(): Promise<Site> {
    const world = new World();
    return new Site(world, (await world.open(new Steps())).catalog);
  }

  volume(name: string): OpenVolume {
    return new OpenVolume(this.catalog.find(name)!, this.world.blocks, this.catalog);
  }

  write(name: string, block: number, ...fills: number[]): void {
    const data = Buffer.concat(fills.map((fill) => Buffer.alloc(blockBytes, fill)));
    this.volume(name).write(block * blockBytes, data, { complete: () => {} });
  }

  unmap(name: string, block: number, count: number): void {
    const done = { complete: () => {} };
    this.volume(name).unmap(block * blockBytes, count * blockBytes, done);
  }

  content(name: string): Buffer {
    const volume = this.volume(name);
    const into = Buffer.alloc(volume.record.size);
    if (!volume.readNow(0, into.length, into, 0)) throw new Error('cannot be read');
    return into;
  }

  async snapshot(disk: string, name: string): Promise<void> {
    await this.catalog.snapshots.create([this.catalog.find(disk)!.id], name);
  }

  async export(disk: string, name: string, from?: string): Promise<Buffer> {
    const id = (snapshot: string) =>
      this.catalog.snapshots.find(this.catalog.find(disk)!.id, snapshot)!.id;
    const base = from === undefined ? null : id(from);
    const parts: Uint8Array[] = [];
    for await (const part of exportFrom(this.catalog, this.world.blocks, id(name), base)) {
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  async import(bytes: Uint8Array, name: string, erasable = false): Promise<Imported> {
    return await importInto(this.catalog, still, inPieces(bytes), (begin): ImportTarget => {
      if (begin.base === null) return { made: { name, erasable } };
      return { disk: this.catalog.find(name)!.id };
    });
  }

  /** Spaces and names that nobody owns, and intents. */
  async leftovers(): Promise<string[]> {
    const owned = [...this.catalog.list(), ...this.catalog.snapshots.list()].map(({ ref }) => ref);
    const spaces = this.world.blocks.refs().filter((ref) => !owned.includes(ref));
    const { catalog, directory } = await this.world.open(new Steps());
    const intents = (await directory.list('intent/')).entries.map(({ key }) => key);
    await catalog.close();
    await directory.close();
    return [...spaces.map(String), ...intents];
  }
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 5000) yield bytes.subarray(at, at + 5000);
}

async function refused(t: ExecutionContext, call: Promise<unknown>, code: StorageErrorCode) {
  const error = await t.throwsAsync(call, { instanceOf: StorageError });
  t.is(error?.code, code, error?.message);
}

for (const sealed of [false, true]) {
  test(`full and then increments: the same content${sealed ? ', sealed on both sides' : ''}`, async (t) => {
    const random = new SeededRandom();
    t.log(`seed ${random.seed}`);
    const [here, there] = [await Site.make(), await Site.make()];
    await here.catalog.create({ name: 'a', size: megabyte, erasable: sealed });
    let base: string | undefined;
    for (let round = 0; round < 8; round++) {
      for (let change = 0; change < 6; change++) {
        const size = here.catalog.find('a')!.size / blockBytes;
        const count = random.between(1, 20);
        const at = random.below(size - count);
        if (random.chance(0.3)) here.unmap('a', at, count);
        // Some blocks of zeros, and some that are written as they are.
        else here.write('a', at, ...Array.from({ length: count }, () => random.below(4)));
      }
      if (round === 3) await here.catalog.resize(here.catalog.find('a')!.id, 2 * megabyte);
      if (round === 5) {
        await here.catalog.resize(here.catalog.find('a')!.id, megabyte / 2, { force: true });
      }
      const name = `s${round}`;
      await here.snapshot('a', name);
      const stream = await here.export('a', name, base);
      const { disk, snapshot } = await there.import(stream, 'b', sealed);
      t.is(snapshot.name, name);
      t.is(disk.size, here.catalog.find('a')!.size);
      t.is(Buffer.compare(there.content('b'), here.content('a')), 0, `round ${round}`);
      const full = await here.export('a', name);
      t.true(base === undefined || stream.length < full.length + 300, 'an increment is no larger');
      base = name;
    }
    t.deepEqual(await there.leftovers(), []);
    // And from there on to a third, out of what was imported.
    const third = await Site.make();
    await third.import(await there.export('b', 's6'), 'c');
    await third.import(await there.export('b', 's7', 's6'), 'c');
    t.is(Buffer.compare(third.content('c'), here.content('a')), 0);
  });
}

test('zeros and holes are not sent', async (t) => {
  const here = await Site.make();
  await here.catalog.create({ name: 'a', size: 8 * megabyte });
  here.write('a', 5, 1, 0, 0, 2);
  await here.snapshot('a', 's');
  t.true((await here.export('a', 's')).length < 3 * blockBytes);
});

/** Two sites, and of a disk of one of them a snapshot in full and what came until the next. */
async function grown() {
  const [here, there] = [await Site.make(), await Site.make()];
  await here.catalog.create({ name: 'a', size: megabyte });
  here.write('a', 0, 1, 2, 3);
  await here.snapshot('a', 's0');
  const full = await here.export('a', 's0');
  here.write('a', 1, 9);
  await here.snapshot('a', 's1');
  const increment = await here.export('a', 's1', 's0');
  return { here, there, full, increment };
}

test('an increment goes only onto the content that it goes on from', async (t) => {
  const { here, there, full, increment } = await grown();
  await refused(t, there.import(increment, 'b').catch(rethrow), 'INVALID');
  await there.catalog.create({ name: 'empty', size: megabyte });
  await refused(t, there.import(increment, 'empty'), 'INVALID');
  await there.import(full, 'b');
  await refused(t, there.import(full, 'b'), 'EXISTS');
  there.write('b', 7, 7);
  await refused(t, there.import(increment, 'b'), 'INVALID');
  there.unmap('b', 7, 1);
  await there.import(increment, 'b');
  await refused(t, there.import(increment, 'b'), 'INVALID');
  t.is(Buffer.compare(there.content('b'), here.content('a')), 0);
  t.deepEqual(await there.leftovers(), []);
});

/** `find(name)!` of a disk that is not there. */
function rethrow(error: unknown): never {
  if (error instanceof TypeError) throw new StorageError('INVALID', 'no such disk');
  throw error;
}

test('a base with the right id and another content is refused', async (t) => {
  const [here, there] = [await Site.make(), await Site.make()];
  await here.catalog.create({ name: 'a', size: megabyte });
  here.write('a', 0, 1, 2, 3);
  await here.snapshot('a', 's0');
  await there.import(await here.export('a', 's0'), 'b');
  here.write('a', 1, 9);
  await here.snapshot('a', 's1');
  const increment = await here.export('a', 's1', 's0');
  const { ref } = there.catalog.snapshots.list()[0]!;
  for (const space of [ref, there.catalog.find('b')!.ref]) {
    there.world.blocks.spaces.get(space)!.content.set(0, new Uint8Array(blockBytes).fill(8));
  }
  // As after a start that knows no digest any more.
  const kept = there.catalog.snapshots.list()[0]!;
  await there.catalog.snapshots.setDigest(kept.id, 'ab'.repeat(32));
  await refused(t, there.import(increment, 'b'), 'INVALID');
});

test('what is truncated, altered or interrupted leaves nothing', async (t) => {
  const { there, full, increment } = await grown();
  const spoiled = (bytes: Buffer, at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at]! ^= 1;
    return copy;
  };
  for (const [bytes, name] of [
    [full, 'b'],
    [increment, 'b'],
  ] as const) {
    const before = there.catalog.find('b') === null ? null : there.content('b');
    for (const at of [0, 20, 200, bytes.length - 60, bytes.length - 1]) {
      await refused(t, there.import(spoiled(bytes, at), name), 'CORRUPT');
      await refused(t, there.import(bytes.subarray(0, at), name), 'CORRUPT');
    }
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 300);
      throw new Error('the line went dead');
    }
    const call = importInto(there.catalog, still, broken(), (begin) =>
      begin.base === null ? { made: { name } } : { disk: there.catalog.find(name)!.id },
    );
    await t.throwsAsync(call, { message: 'the line went dead' });
    t.deepEqual(await there.leftovers(), []);
    t.is(there.catalog.snapshots.list().length, before === null ? 0 : 1);
    if (before !== null) t.is(Buffer.compare(there.content('b'), before), 0);
    await there.import(bytes, name);
  }
});

test('a snapshot is not deleted while it is exported, and can be when nobody reads on', async (t) => {
  const here = await Site.make();
  await here.catalog.create({ name: 'a', size: megabyte });
  here.write('a', 0, 1);
  await here.snapshot('a', 's');
  const { id } = here.catalog.snapshots.list()[0]!;
  const stream = exportFrom(here.catalog, here.world.blocks, id, null);
  await stream.next();
  await refused(t, here.catalog.snapshots.remove(id), 'IN_USE');
  await stream.return(undefined);
  await here.catalog.snapshots.remove(id);
});

test('a crash at any step of an import leaves all of it or nothing', async (t) => {
  const here = await Site.make();
  await here.catalog.create({ name: 'a', size: megabyte });
  here.write('a', 0, 1, 2, 3);
  await here.snapshot('a', 's0');
  const full = await here.export('a', 's0');
  const first = here.content('a');
  here.write('a', 1, 9);
  here.unmap('a', 0, 1);
  await here.catalog.resize(here.catalog.find('a')!.id, megabyte / 2, { force: true });
  await here.snapshot('a', 's1');
  const increment = await here.export('a', 's1', 's0');
  const second = here.content('a');
  let points = 0;
  for (const bytes of [full, increment]) {
    for (let at = 0, done = false; !done; at++) {
      for (const effect of [false, true]) {
        const world = new World();
        const opened = await world.open(new Steps());
        const target = (catalog: Catalog) => (begin: { base: unknown }) =>
          begin.base === null ? { made: { name: 'b' } } : { disk: catalog.find('b')!.id };
        if (bytes === increment) {
          await importInto(opened.catalog, still, inPieces(full), target(opened.catalog));
        }
        await opened.catalog.close();
        await opened.directory.close();
        const steps = new Steps();
        const doomed = await world.open(steps);
        steps.at = steps.taken + at;
        steps.effect = effect;
        const call = importInto(doomed.catalog, still, inPieces(bytes), target(doomed.catalog));
        done = await call.then(
          () => true,
          (error) => !(error instanceof Crash) && fail(error),
        );
        await doomed.directory.close();
        const { catalog, directory } = await world.open(new Steps());
        const disk = catalog.find('b');
        const names = catalog.snapshots.list().map(({ name }) => name);
        const what = `step ${at}, effect ${effect}`;
        if (disk === null) t.deepEqual(names, [], what);
        else {
          const content = Buffer.alloc(disk.size);
          new OpenVolume(disk, world.blocks, catalog).readNow(0, disk.size, content, 0);
          const wanted = names.includes('s1') ? second : first;
          t.is(Buffer.compare(content, wanted), 0, what);
          t.true(names.includes('s0'), what);
        }
        const owned = [...catalog.list(), ...catalog.snapshots.list()].map(({ ref }) => ref);
        t.deepEqual([...world.blocks.refs()].sort(), owned.sort(), what);
        t.deepEqual((await directory.list('intent/')).entries, [], what);
        points++;
      }
    }
  }
  t.log(`${points} crash points`);
  t.true(points > 20);
});

function fail(error: unknown): never {
  throw error;
}
