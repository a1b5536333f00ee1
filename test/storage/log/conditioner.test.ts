/** Never written segments are made ready ahead of the log, and nothing that is used is touched. */
import test from 'ava';
import { realClock } from '../../../storage/base/clock.ts';
import { limits } from '../../../storage/base/limits.ts';
import { Conditioner } from '../../../storage/log/conditioner.ts';
import { SegmentState, Segments } from '../../../storage/log/segments.ts';
import { SmallStore } from '../../sim/small-store.ts';

const mib = 1024 * 1024;
/** Rests end at once: what is bounded is looked at, not the pace. */
const clock = { ...realClock, after: (_ms: number, fire: () => void) => realClock.after(0, fire) };

/** A disk that keeps what was written where; `hold` makes its syncs wait. */
function recorder(allocatesOnWrite = true) {
  const written: number[] = [];
  let release: () => void = () => {};
  const disk = {
    name: 'recorder',
    size: 400 * mib,
    allocatesOnWrite,
    read: async () => {},
    write: async (offset: number, data: readonly Uint8Array[]) => {
      for (const [index, part] of data.entries()) {
        if (part.length !== mib || part.some((byte) => byte !== 0)) throw new Error('not zeros');
        written.push(offset / mib + index);
      }
    },
    sync: () => new Promise<void>((resolve) => (release = resolve)),
    close: async () => {},
  };
  return { disk, written, release: () => release() };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('segments are nobody else’s until their zeros are durable, then they are taken first', async (t) => {
  const segments = new Segments(399, () => {});
  segments.settleAtOpen(new Set([1, 2, 5]), 5);
  const { disk, written, release } = recorder();
  const conditioner = new Conditioner(disk, segments, clock);
  t.is(segments.ready, 2, 'three and four were written before');
  conditioner.wake();
  await turn();
  const batch = [6, 7, 8, 9, 10, 11, 12, 13];
  t.deepEqual(written, batch);
  for (const segment of batch) t.is(segments.state(segment), SegmentState.open);
  t.deepEqual([segments.take(), segments.take(), segments.take()], [3, 4, 14]);
  const stopped = conditioner.stop();
  release();
  await stopped;
  t.deepEqual([segments.take(), segments.take()], [6, 7]);
  t.deepEqual(written, batch, 'it has stopped');
});

test('enough is made ready and no more', async (t) => {
  const segments = new Segments(399, () => {});
  segments.settleAtOpen(new Set(), 0);
  const { disk, written, release } = recorder();
  const conditioner = new Conditioner(disk, segments, clock);
  conditioner.wake();
  for (let round = 0; round < 100; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    release();
  }
  await conditioner.stop();
  t.is(written.length, limits.conditionedSegments);
  t.is(segments.ready, limits.conditionedSegments);
});

test('a disk whose first writes cost nothing extra is left alone', async (t) => {
  const segments = new Segments(399, () => {});
  segments.settleAtOpen(new Set(), 0);
  const { disk, written } = recorder(false);
  new Conditioner(disk, segments, clock).wake();
  await turn();
  t.deepEqual(written, []);
});

test('an opened store remembers which segments were made ready', async (t) => {
  const store = new SmallStore(128 * mib);
  await store.format();
  const first = await conditioned(store);
  const again = store.again();
  const second = await conditioned(again);
  t.true(first.size > 0);
  t.deepEqual(
    [...second].filter((segment) => first.has(segment)),
    [],
  );
});

/** Segments of which whole zeros are written while a store is open. */
async function conditioned(store: SmallStore): Promise<Set<number>> {
  store.disk.trace = [];
  await store.open();
  const ref = store.blocks.refs().length + 1;
  await store.until(store.blocks.create(ref, 0));
  for (let block = 0; block < 40; block += 1) await store.until(store.write(ref, block, 1));
  await store.until(store.blocks.close());
  const found = new Set<number>();
  for (const event of store.disk.trace) {
    if (event.kind !== 'write' || event.data.length < 256) continue;
    if (event.data.some((block) => block.some((byte) => byte !== 0))) continue;
    for (let at = 0; at < event.data.length; at += 256) found.add((event.block + at) / 256);
  }
  return found;
}
