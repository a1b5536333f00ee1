/**
 * What a read shows is durable: nobody sees a value that a crash takes back (design, invariant 3).
 */
import test from 'ava';
import type { StorageError } from '../../../storage/base/errors.ts';
import { SmallStore } from '../../sim/small-store.ts';
import { stampOf } from '../../sim/store-history.ts';

const size = 32 * 1024 * 1024;

async function withBlock(): Promise<SmallStore> {
  const store = new SmallStore(size);
  await store.format();
  await store.open();
  await store.until(store.blocks.create(1, 0));
  await store.until(store.write(1, 5, 1));
  return store;
}

/** What a store opened after a crash right now, with all unsynced writes lost, holds. */
async function afterCrash(store: SmallStore): Promise<number | string> {
  const again = store.again();
  await again.open();
  return again.read(1, 5);
}

test('a read that meets a write in flight ends when that is durable', async (t) => {
  const store = await withBlock();
  const written = store.write(1, 5, 2);
  t.false(store.blocks.readNow(1, 5, 1, new Uint8Array(4096), 0), 'not without waiting');
  t.is(await store.read(1, 5), 2);
  t.is(await afterCrash(store), 2);
  t.is(await store.until(written), null);
  t.true(store.blocks.readNow(1, 5, 1, new Uint8Array(4096), 0));
});

test('a read that meets an unmap in flight ends when that is durable', async (t) => {
  const store = await withBlock();
  const unmapped = new Promise<StorageError | null>((complete) =>
    store.blocks.unmap(1, 5, 1, { complete }),
  );
  t.false(store.blocks.readNow(1, 5, 1, new Uint8Array(4096), 0));
  t.is(await store.read(1, 5), 0);
  t.is(await afterCrash(store), 0);
  t.is(await store.until(unmapped), null);
});

test('a read beside a write in flight does not wait for it', async (t) => {
  const store = await withBlock();
  const written = store.write(1, 6, 2);
  const into = new Uint8Array(4096);
  t.true(store.blocks.readNow(1, 5, 1, into, 0));
  t.is(stampOf(1, 5, into), 1);
  await store.until(written);
});

test('after a failed write nobody is shown what it wrote, and the rest is readable', async (t) => {
  const store = await withBlock();
  await store.until(store.write(1, 7, 3));
  store.disk.failWrite = store.disk.writes + 1;
  const error = await store.until(store.write(1, 5, 2));
  t.is(error?.code, 'DISK_FAILED');
  t.is(await store.read(1, 5), 'DISK_FAILED');
  t.is(await store.read(1, 7), 3);
  t.is(await afterCrash(store), 1);
});
