/**
 * A full store says so before anything is staged, overwrites for ever, and gives back what is
 * unmapped or dropped.
 */
import test from 'ava';
import { SmallStore } from '../../sim/small-store.ts';

const mib = 1024 * 1024;

async function fill(size: number, spread: number) {
  const small = new SmallStore(size);
  await small.format();
  await small.open();
  await small.until(small.blocks.create(1, 0));
  const model = new Map<number, number>();
  for (let full = false; !full; ) {
    const batch = Array.from({ length: 32 }, (_, index) => (model.size + index) * spread);
    const told = await small.until(Promise.all(batch.map((block) => small.write(1, block, 1))));
    told.forEach((error, index) => {
      if (error === null) model.set(batch[index]!, 1);
      else if (error.code !== 'NO_SPACE') throw error;
      else full = true;
    });
  }
  return { small, model };
}

/** Size, distance between the blocks, times its capacity that the store is overwritten. */
const cases: readonly [number, number, number][] = [
  [16 * mib, 1, 12],
  [32 * mib, 1, 5],
  [32 * mib, 7, 5],
  [32 * mib, 513, 8],
  [32 * mib, 262_144, 5],
];

for (const [size, spread, times] of cases) {
  test(`${size / mib} MiB, every ${spread}th block: full, then overwritten ${times} times`, async (t) => {
    const { small, model } = await fill(size, spread);
    const { capacity, used, reserved, free } = small.blocks.total();
    t.is(capacity - used - reserved, free);
    t.true(free <= 6 * 3 * 4096, `${free} bytes free and yet full`);
    if (spread === 1) t.is(capacity, model.size * 4096);
    const blocks = [...model.keys()];
    let stamp = 1;
    for (let done = 0; done < blocks.length * times; done += 32) {
      const batch = Array.from({ length: 32 }, () => blocks[small.random.below(blocks.length)]!);
      const told = batch.map((block) => {
        stamp += 1;
        model.set(block, stamp);
        return small.write(1, block, stamp);
      });
      const failed = (await small.until(Promise.all(told))).find((error) => error !== null);
      if (failed !== undefined) throw failed;
    }
    const after = small.again();
    await after.open();
    for (const which of [small, after]) {
      for (const [block, expected] of model) {
        const got = await which.read(1, block);
        if (got !== expected) t.fail(`block ${block} is ${got}, not ${expected}`);
      }
    }
    const stats = small.blocks.stats();
    t.log(
      `${model.size} blocks; cleaner ${stats.cleanerBlocks}, map ${stats.mapBlocks}, user ${stats.userBlocks}`,
    );
    t.is(await small.unmap(1, 0, blocks.length * spread), null);
    t.is(small.blocks.usage(1).mapped, 0);
    t.is(small.blocks.total().free, capacity);
    t.is(await small.until(small.write(1, 5, 7)), null);
  });
}

test('a space is dropped from a full store, for good, and its room is there again', async (t) => {
  const { small } = await fill(16 * mib, 1);
  await small.until(small.blocks.drop(1));
  t.is(small.blocks.total().used, 0);
  const after = small.again();
  await after.open();
  t.deepEqual(after.blocks.refs(), []);
  // What the drop had not given back when the crash came is given back now.
  await after.removed();
  t.is(after.blocks.total().used, 0);
});

test('a thick space is refused when it does not fit, and never meets NO_SPACE when it does', async (t) => {
  const small = new SmallStore(32 * mib);
  await small.format();
  await small.open();
  await t.throwsAsync(small.until(small.blocks.create(9, 100_000)), { code: 'NO_SPACE' });
  await small.until(small.blocks.create(1, 2000));
  await small.until(small.blocks.create(2, 0));
  await t.throwsAsync(small.until(small.blocks.create(2, 0)), { code: 'EXISTS' });
  for (let block = 0, full = false; !full; block += 64) {
    const error = await small.until(small.write(2, block, 1, 64));
    full = error !== null;
    if (full) t.is(error?.code, 'NO_SPACE');
  }
  for (let round = 1; round < 4; round += 1) {
    for (let block = 0; block < 2000; block += 50) {
      t.is(await small.until(small.write(1, block, round, 50)), null);
    }
  }
  await t.throwsAsync(small.until(small.blocks.reserve(1, 3000)), { code: 'NO_SPACE' });
  t.deepEqual(small.blocks.usage(1), { mapped: 2000, reserved: 2000 });
  await small.until(small.blocks.reserve(1, 0));
  const after = small.again();
  await after.open();
  t.deepEqual(after.blocks.usage(1), { mapped: 2000, reserved: 0 });
});

test('a refused write changes nothing', async (t) => {
  const { small, model } = await fill(16 * mib, 1);
  const last = model.size - 1;
  const error = await small.until(small.write(1, last, 99, 2));
  t.is(error?.code, 'NO_SPACE');
  t.is(await small.read(1, last), 1);
  t.is(await small.read(1, last + 1), 0);
});

for (const spread of [1, 513]) {
  test(`a full store, every ${spread}th block, survives crash after crash`, async (t) => {
    let { small, model } = await fill(16 * mib, spread);
    const blocks = [...model.keys()];
    const allowed = new Map<number, Set<number>>(blocks.map((block) => [block, new Set([1])]));
    let stamp = 1;
    for (let life = 0; life < 40; life += 1) {
      const refused: string[] = [];
      for (let each = 0; each < 40 + small.random.below(900); each += 1) {
        const block = blocks[small.random.below(blocks.length)]!;
        stamp += 1;
        const mine = stamp;
        allowed.get(block)!.add(mine);
        void small.write(1, block, mine).then((error) => {
          if (error !== null) refused.push(error.code);
          // What is older than an acknowledged write may not come back.
          else
            for (const old of allowed.get(block)!) if (old < mine) allowed.get(block)!.delete(old);
        });
        if (each % 8 === 0) {
          small.clock.step();
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      t.deepEqual(refused, [], `life ${life}`);
      const image = small.disk.crash(small.random.chance(0.5) ? 'tear' : 'drop');
      const may = new Map([...allowed].map(([block, stamps]) => [block, new Set(stamps)]));
      small = new SmallStore(16 * mib, life + 10, image);
      await small.open();
      for (const block of blocks) {
        const got = await small.read(1, block);
        if (!may.get(block)!.has(got as number)) t.fail(`life ${life}: block ${block} is ${got}`);
        allowed.set(block, new Set([got as number]));
      }
    }
  });
}
