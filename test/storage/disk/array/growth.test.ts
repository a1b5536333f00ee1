/** Disks come and go under a load: the store grows and shrinks with them, and nothing is lost. */

import { join } from 'node:path';
import test from 'ava';
import type { StorageError } from '#storage/base/errors.ts';
import { StorageServer } from '#storage/server.ts';
import { until } from '#test/kit/process.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';
import { Bed } from './kit.ts';

const mebibyte = 2 ** 20;
const patience = 60_000;

/** A disk of a real store, written and read beside a plain model, some blocks at a time. */
class Model {
  readonly #server: StorageServer;
  readonly #id: string;
  readonly #stamps = new Map<number, number>();
  readonly #random = new SeededRandom(5);
  #stop = false;
  writes = 0;
  errors: StorageError[] = [];

  constructor(server: StorageServer, id: string) {
    this.#server = server;
    this.#id = id;
  }

  /** Until `stop`: one write after the other. */
  async load(): Promise<void> {
    while (!this.#stop) {
      const block = this.#random.below(2000);
      const data = Buffer.alloc(16 * 4096, this.writes % 251);
      const error = await this.#call(block, data);
      if (error !== null) this.errors.push(error);
      for (let index = 0; index < 16; index += 1)
        this.#stamps.set(block + index, this.writes % 251);
      this.writes += 1;
    }
  }

  stop(): void {
    this.#stop = true;
  }

  #call(block: number, data: Buffer): Promise<StorageError | null> {
    return new Promise((complete) =>
      this.#server.volume(this.#id).write(block * 4096, data, { complete }),
    );
  }

  /** Blocks that do not hold what was written last. */
  async wrong(server = this.#server): Promise<number> {
    let wrong = 0;
    for (const [block, stamp] of this.#stamps) {
      const into = Buffer.alloc(4096);
      const error = await new Promise<StorageError | null>((complete) =>
        server.volume(this.#id).read(block * 4096, 4096, into, 0, { complete }),
      );
      if (error !== null || into.some((byte) => byte !== stamp)) wrong += 1;
    }
    return wrong;
  }
}

test('disks are added, drained and removed while a host writes', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = (name: string): string => join(directory, name);
  const options = {
    paths: [path('a'), path('b'), path('c')],
    layout: { layout: 'parity', columns: 2 },
    size: 96 * mebibyte,
    cacheBytes: 16 * mebibyte,
  } as const;
  const server = await StorageServer.open(options);
  const { id } = await server.catalog.create({ name: 'x', size: 64 * mebibyte });
  const model = new Model(server, id);
  const loading = model.load();
  const small = server.status().capacity;
  const still = (): Promise<void> =>
    until('all has moved', patience, () => {
      const { moving, waiting } = server.disks()!;
      return moving === null && waiting === 0;
    });

  await server.addDisk(path('d'));
  await still();
  const large = server.status().capacity;
  t.true(large > small * 1.2, `${small} became ${large}`);
  await server.drainDisk(path('a'));
  await still();
  t.is(server.disks()!.disks.find((disk) => disk.path === path('a'))?.state, 'empty');
  t.true(server.status().capacity < large);
  await server.removeDisk(path('a'));
  t.deepEqual(
    server
      .disks()!
      .disks.map((disk) => disk.path)
      .sort(),
    ['b', 'c', 'd'].map(path),
  );
  await server.addDisk(path('e'), { replaces: path('b') });
  await still();
  await until('the replaced disk to leave', patience, () => server.disks()!.disks.length === 3);

  model.stop();
  await loading;
  t.true(model.writes > 50, `${model.writes} writes`);
  t.deepEqual(model.errors, []);
  t.is(await model.wrong(), 0);
  await server.close();

  // The old disks are not of the store any more; where the new ones are was remembered.
  const again = await StorageServer.open({ ...options, remembered: [path('d'), path('e')] });
  t.is(again.disks()!.state, 'ok');
  t.is(await model.wrong(again), 0);
  await again.close();
});

test('a full store takes more once a disk is added', async (t) => {
  const bed = await Bed.made('mirrored', 2);
  const store = bed.store!;
  bed.array!.members.onChange(() => store.resize(bed.array!.size));
  let block = 0;
  while ((await bed.put(block, 64, 1)) === null) block += 64;
  t.is(await bed.put(block, 64, 1), 'NO_SPACE');
  const { capacity } = store.total();
  await bed.until(bed.addDisk(null));
  await bed.until(bed.settled());
  t.true(store.total().capacity > capacity * 1.3);
  const more = Math.floor((store.total().free / 4096) * 0.9);
  for (let at = 0; at < more; at += 64) t.is(await bed.put(block + at, 64, 1), null);
  t.deepEqual(await bed.wrong(200, 1), []);
  // Any one disk may be lost, and what the new one has is there after a crash.
  const again = await bed.again([1]);
  t.deepEqual(await again.wrong(block, 1), []);
});

test('a store does not shrink below what it holds', async (t) => {
  const bed = await Bed.made('mirrored', 3);
  const store = bed.store!;
  let block = 0;
  while ((await bed.put(block, 64, 1)) === null) block += 64;
  const { capacity } = store.total();
  t.throws(() => store.resize(16 * mebibyte), { message: /would not fit|has been where/ });
  t.is(store.total().capacity, capacity);
});
