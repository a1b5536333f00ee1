/**
 * After the disk has failed nothing is acknowledged, a flush says so, and what is only in memory is not
 * shown: an error, never old data.
 */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { Bench } from './write-back-kit.ts';

function failed(): Bench {
  const bench = new Bench();
  bench.write(1, 1);
  bench.flush();
  bench.write(1, 2);
  bench.write(2, 2);
  bench.store.failure = new StorageError('DISK_FAILED', 'the disk failed');
  return bench;
}

test('found by a flush', (t) => {
  const bench = failed();
  t.is(bench.flush().error?.code, 'DISK_FAILED');
  t.is(bench.flush().error?.code, 'DISK_FAILED');
});

test('found by time', (t) => {
  const bench = failed();
  bench.clock.advance(31_000);
  t.is(bench.write(1, 3).error?.code, 'DISK_FAILED');
  t.is(bench.unmap(1, 1).error?.code, 'DISK_FAILED');
  t.is(bench.flush().error?.code, 'DISK_FAILED');
});

test('found by a write', (t) => {
  const bench = failed();
  t.is(bench.write(9, 9).error?.code, 'DISK_FAILED');
  t.is(bench.write(2, 9).error?.code, 'DISK_FAILED');
});

test('blocks that are only in memory are not shown, others are', (t) => {
  const bench = failed();
  bench.flush();
  t.is(bench.read(1), 'DISK_FAILED');
  t.is(bench.read(2), 'DISK_FAILED');
  t.false(bench.cache.readNow(1, 1, 1, new Uint8Array(4096), 0));
  t.is(bench.read(3), 0);
});

test('switching off, the power and closing say so as well', async (t) => {
  const bench = failed();
  await t.throwsAsync(bench.cache.setWriteBack(1, false), { code: 'DISK_FAILED' });
  await t.throwsAsync(bench.cache.suspend(), { code: 'DISK_FAILED' });
  await t.throwsAsync(bench.cache.close(), { code: 'DISK_FAILED' });
});
