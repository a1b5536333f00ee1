/**
 * A lone write costs one disk write; what comes while groups are under way is one group; told in
 * order.
 */
import test from 'ava';
import { limits } from '../../../storage/base/limits.ts';
import { SmallStore } from '../../sim/small-store.ts';

async function store(): Promise<SmallStore> {
  const small = new SmallStore(32 * 1024 * 1024, 3, undefined, 5);
  await small.format();
  await small.open();
  await small.until(small.blocks.create(1, 0));
  return small;
}

test('a lone write is one disk write, and no sync', async (t) => {
  const small = await store();
  const { writes, syncs } = small.disk;
  await small.until(small.write(1, 0, 1));
  t.is(small.disk.writes - writes, 1);
  t.is(small.disk.syncs, syncs);
});

test('all writes of one tick are one group', async (t) => {
  const small = await store();
  const { writes } = small.disk;
  await small.until(Promise.all([1, 2, 3, 4, 5].map((stamp) => small.write(1, stamp, stamp))));
  t.is(small.disk.writes - writes, 1);
});

test('what comes while a group is under way is the next group', async (t) => {
  const small = await store();
  const first = small.write(1, 0, 1);
  const { writes } = small.disk;
  small.clock.step();
  t.is(small.disk.writes - writes, 1);
  const rest = Array.from({ length: limits.groupEagerBlocks - 1 }, (_, each) =>
    small.write(1, each + 1, 2),
  );
  await small.until(Promise.all([first, ...rest]));
  t.is(small.disk.writes - writes, 2);
});

test('writes are told durable in the order in which they came, whatever the disk does', async (t) => {
  const small = await store();
  const told: number[] = [];
  const all = Array.from({ length: 400 }, async (_, each) => {
    await small.write(1, each * 3, each + 1, 1 + (each % 5));
    told.push(each);
  });
  await small.until(Promise.all(all));
  t.deepEqual(
    told,
    [...told].sort((a, b) => a - b),
  );
  t.true(small.blocks.stats().groups >= 7, 'several groups were under way');
});

test('a flush waits for what was accepted before it, and for nothing else', async (t) => {
  const small = await store();
  const flush = () => new Promise<unknown>((complete) => small.blocks.flush({ complete }));
  const order: string[] = [];
  const write = small.write(1, 0, 1).then(() => order.push('write'));
  const flushed = flush().then(() => order.push('flush'));
  await small.until(Promise.all([write, flushed]));
  t.deepEqual(order, ['write', 'flush']);
  const { writes } = small.disk;
  t.is(await flush(), null);
  t.is(small.disk.writes, writes);
});

test('a write larger than a segment, and larger than all buffers', async (t) => {
  const small = await store();
  const count = 3000;
  t.is(await small.until(small.write(1, 1, 4, count)), null);
  const after = small.again();
  await after.open();
  for (const block of [1, 255, 256, 1000, count]) t.is(await after.read(1, block), 4);
  t.is(after.blocks.usage(1).mapped, count);
});

test('hosts that write again when answered share one group, however they drift apart', async (t) => {
  const small = await store();
  const hosts = 16;
  const rounds = 20;
  const loop = async (host: number) => {
    for (let round = 1; round <= rounds; round += 1) {
      await small.write(1, host * 3, round);
      // Commands of one packet come together, others some turns of the event loop later.
      for (let turns = 0; turns < 2 + (host % 4) * 3; turns += 1) {
        await new Promise<void>((resolve) => small.clock.soon(resolve));
      }
    }
  };
  const { groups } = small.blocks.stats();
  await small.until(Promise.all(Array.from({ length: hosts }, (_, host) => loop(host))));
  const written = small.blocks.stats().groups - groups;
  t.true(written <= rounds + 10, `${written} groups for ${rounds} rounds of ${hosts} writes`);
});
