/**
 * A write of the disk that fails, whichever it is: nothing is acknowledged afterwards, what was is
 * there.
 */
import test from 'ava';
import * as software from '../../../storage/map/open.ts';
import { SimClock } from '../../sim/clock.ts';
import { observe } from '../../sim/crash-points.ts';
import { type CrashMode, SimDisk } from '../../sim/disk.ts';
import { SimRandom } from '../../sim/random.ts';
import { SmallStore } from '../../sim/small-store.ts';
import { Load, smallStore } from '../../sim/store-load.ts';

const size = 16 * 1024 * 1024;

/** False: the load ended before its write number `failWrite`. */
async function run(failWrite: number, mode: CrashMode): Promise<string | null | false> {
  const clock = new SimClock();
  const random = new SimRandom(11);
  const disk = new SimDisk({ clock, random, size, slowMs: 3 });
  await clock.until(software.formatBlocks(disk, { storeId: random.bytes(16), random }));
  const store = await clock.until(software.openBlocks({ disk, clock, random }, smallStore));
  const load = new Load(store, clock, disk, random);
  disk.failWrite = disk.writes + failWrite;
  await load.run(600);
  if (load.failures.length === 0) return false;
  const foreign = load.failures.find((failure) => !failure.startsWith('DISK_FAILED'));
  if (foreign !== undefined) return foreign;
  if (!store.stats().failed) return 'the store has not failed';
  const { acked } = load;
  const late = new Promise<Error | null>((complete) => store.flush({ complete }));
  if ((await clock.until(late)) === null) return 'a flush was acknowledged after the failure';
  const closed = await clock.until(
    store.close().then(
      () => null,
      (error) => error.code,
    ),
  );
  if (closed !== 'DISK_FAILED') return `close said ${closed}`;
  if (load.acked !== acked) return 'acknowledged after the failure';
  const again = new SimDisk({ clock, random, size, image: disk.crash(mode) });
  const seen = await clock.until(observe(software, clock, again, load.history));
  return load.history.judge(acked, load.history.issued, seen.exists, seen.stamp);
}

test('the n-th write fails, for every n', async (t) => {
  const modes: CrashMode[] = ['drop', 'keep', 'tear'];
  let failed = 0;
  for (let write = 1; ; write += 1) {
    const wrong = await run(write, modes[write % 3]!);
    if (wrong === false) break;
    failed += 1;
    t.is(wrong, null, `write ${write}`);
  }
  t.log(`${failed} writes`);
  t.true(failed > 100);
});

test('a write that fails while a store is opened refuses the store, and harms nothing', async (t) => {
  const first = new SmallStore(size);
  await first.format();
  await first.open();
  await first.until(first.blocks.create(1, 0));
  await first.until(first.write(1, 3, 5, 20));
  for (let write = 1; write <= 3; write += 1) {
    const second = first.again();
    second.disk.failWrite = write;
    await t.throwsAsync(second.open(), undefined, `write ${write}`);
    const third = second.again();
    await third.open();
    t.is(await third.read(1, 22), 5);
  }
});

test('after a failure what can be read is read', async (t) => {
  const small = new SmallStore(size);
  await small.format();
  await small.open();
  await small.until(small.blocks.create(1, 0));
  await small.until(small.write(1, 0, 5));
  small.disk.failWrite = small.disk.writes + 1;
  t.is((await small.until(small.write(1, 1, 6)))?.code, 'DISK_FAILED');
  t.is((await small.until(small.write(1, 2, 7)))?.code, 'DISK_FAILED');
  t.is(await small.read(1, 0), 5);
  t.is(small.blocks.stats().failed, true);
});
