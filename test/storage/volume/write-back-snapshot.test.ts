/**
 * Snapshots with write-back on the real store: what was acknowledged before is in, what came later is
 * not, of several disks at one point, and a rollback leaves nothing behind in memory.
 */
import test from 'ava';
import { silentLog } from '#storage/base/log.ts';
import { ImagesWriteBack } from '#storage/volume/write-back-images.ts';
import { SmallStore } from '#test/sim/small-store.ts';
import { stamped, stampOf } from '#test/sim/store-history.ts';

class Bench {
  readonly small = new SmallStore(32 * 1024 * 1024, 5);
  cache!: ImagesWriteBack;

  async open(): Promise<this> {
    const { small } = this;
    await small.format();
    await small.open();
    const { clock } = small;
    this.cache = new ImagesWriteBack({ store: small.blocks, clock, log: silentLog }, 2 ** 20);
    for (const ref of [1, 2]) {
      await small.until(this.cache.create(ref, 0));
      await this.cache.setWriteBack(ref, true);
    }
    return this;
  }

  write(ref: number, block: number, stamp: number, durable = false): Promise<Error | null> {
    const data = stamped(1, block, stamp);
    return this.small.until(
      new Promise((complete) => this.cache.write(ref, block, data, { complete }, durable)),
    );
  }

  async read(ref: number, block: number, blocks: SmallStore['blocks'] | null = null) {
    const from = blocks ?? this.cache;
    const into = new Uint8Array(4096);
    const error = await this.small.until(
      new Promise<Error | null>((complete) => from.read(ref, block, 1, into, 0, { complete })),
    );
    return error === null ? stampOf(1, block, into) : error.message;
  }
}

test('what was acknowledged before is in, what comes later is not', async (t) => {
  const bench = await new Bench().open();
  const { small, cache } = bench;
  await bench.write(1, 5, 1);
  const made = cache.snapshot([{ of: 1, as: 9 }]);
  await small.until(made);
  await bench.write(1, 5, 2);
  t.is(await bench.read(9, 5), 1);
  t.is(await bench.read(1, 5), 2);
  t.true(cache.isFrozen(9));
  const after = small.again();
  await after.open();
  const into = new Uint8Array(4096);
  await after.until(new Promise((complete) => after.blocks.read(9, 5, 1, into, 0, { complete })));
  t.is(stampOf(1, 5, into), 1, 'after a crash too');
});

test('a durable write is never in a snapshot without what was acknowledged before it, on another disk', async (t) => {
  const bench = await new Bench().open();
  await bench.write(1, 5, 1);
  await bench.write(2, 6, 2, true);
  await bench.small.until(
    bench.cache.snapshot([
      { of: 1, as: 8 },
      { of: 2, as: 9 },
    ]),
  );
  t.is(await bench.read(8, 5), 1);
  t.is(await bench.read(9, 6), 2);
});

test('writes that come while a snapshot is made wait, are not in it, and are not lost', async (t) => {
  const bench = await new Bench().open();
  await bench.write(1, 5, 1);
  const made = bench.cache.snapshot([{ of: 1, as: 9 }]);
  const late: Promise<Error | null>[] = [];
  for (let stamp = 2; stamp < 40; stamp += 1) {
    late.push(bench.write(1, 5, stamp));
    await bench.small.until(Promise.resolve());
  }
  await bench.small.until(made);
  t.true((await bench.small.until(Promise.all(late))).every((error) => error === null));
  t.is(await bench.read(1, 5), 39);
  const cut = await bench.read(9, 5);
  t.true(typeof cut === 'number' && cut >= 1 && cut <= 39, `${cut}`);
});

test('after a rollback nothing of what was in memory is seen or written', async (t) => {
  const bench = await new Bench().open();
  await bench.write(1, 5, 1);
  await bench.small.until(bench.cache.snapshot([{ of: 1, as: 9 }]));
  await bench.write(1, 5, 2);
  await bench.write(1, 6, 3);
  await bench.small.until(bench.cache.revert(1, 9));
  t.is(await bench.read(1, 5), 1);
  t.is(await bench.read(1, 6), 0);
  await bench.small.until(bench.cache.settle([1]));
  t.is(await bench.read(1, 5, bench.small.blocks), 1);
});

test('spaces are compared with what is in memory', async (t) => {
  const bench = await new Bench().open();
  await bench.small.until(bench.cache.snapshot([{ of: 1, as: 9 }]));
  await bench.write(1, 5, 1);
  const found = await bench.small.until(bench.cache.difference(1, 9, 5, 1));
  t.true(found.differs);
  t.is(await bench.small.until(bench.cache.exclusive([1])), 1);
});
