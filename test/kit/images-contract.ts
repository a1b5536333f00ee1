/**
 * What every store with `Images` promises, as tests that each implementation runs: contents that are frozen, cut at
 * one point, cloned, reverted and dropped in any order, with exact accounts of who holds what alone.
 */
import type { ExecutionContext, TestFn } from 'ava';
import { StorageError, type StorageErrorCode } from '#storage/base/errors.ts';
import { blockBytes } from '#storage/map/blocks.ts';
import type { ImageBlocks } from '#storage/map/images.ts';
import { passed, RandomRun, read, unmap, write } from './images-model.ts';
import { SeededRandom } from './random.ts';

export interface ImagesWorld {
  readonly store: ImageBlocks;
  /** End without warning, and open what is on the disk. Absent: nothing survives. */
  reopen?(): Promise<ImageBlocks>;
  close(): Promise<void>;
}

/** A fresh store for at least so many blocks of data, and not for many times more. */
export type MakeImagesWorld = (blocks: number) => Promise<ImagesWorld>;

type T = ExecutionContext<unknown>;

async function refused(t: T, promise: Promise<unknown>, code: StorageErrorCode): Promise<void> {
  const error = await t.throwsAsync(promise, { instanceOf: StorageError });
  t.is(error?.code, code, error?.message);
}

/** All orders of a few things. */
function orders<V>(things: readonly V[]): V[][] {
  if (things.length <= 1) return [[...things]];
  return things.flatMap((first, at) =>
    orders(things.filter((_, index) => index !== at)).map((rest) => [first, ...rest]),
  );
}

export function imagesContract(test: TestFn<unknown>, name: string, make: MakeImagesWorld): void {
  const promise = (
    what: string,
    check: (t: T, store: ImageBlocks, world: ImagesWorld) => Promise<void>,
    blocks = 4096,
  ): void => {
    test(`${name}: ${what}`, async (t) => {
      const world = await make(blocks);
      try {
        await check(t, world.store, world);
      } finally {
        await world.close();
      }
    });
  };

  promise('a snapshot keeps what was completed, whatever comes later', async (t, store) => {
    await store.create(1, 0);
    await write(store, 1, 0, 1, 2, 3);
    await write(store, 1, 700, 4);
    await store.snapshot([{ of: 1, as: 2 }]);
    t.true(store.isFrozen(2));
    t.false(store.isFrozen(1));
    t.is(await write(store, 1, 1, 20), null);
    t.is(await write(store, 1, 5000, 21), null);
    t.is(await unmap(store, 1, 700, 1), null);
    t.deepEqual(await read(store, 2, 0, 4), [1, 2, 3, 0]);
    t.deepEqual(await read(store, 2, 700, 1), [4]);
    t.deepEqual(await read(store, 2, 5000, 1), [0]);
    t.deepEqual(await read(store, 1, 0, 4), [1, 20, 3, 0]);
    t.deepEqual(await read(store, 1, 700, 1), [0]);
    t.is(store.usage(2).mapped, 4);
    t.is(store.usage(1).mapped, 4);
  });

  promise('snapshots of several spaces are one cut through writes in order', async (t, store) => {
    for (const ref of [1, 2, 3]) await store.create(ref, 0);
    let writing = true;
    let stamp = 0;
    const writer = (async () => {
      while (writing) {
        stamp++;
        await write(store, (stamp % 3) + 1, stamp % 7, stamp);
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    })();
    for (let round = 0; round < 8; round++) {
      const before = stamp - 1;
      const as = [1, 2, 3].map((of) => ({ of, as: 10 + round * 3 + of }));
      await store.snapshot(as);
      const seen: number[] = [];
      for (const pair of as) seen.push(...(await read(store, pair.as, 0, 7)));
      const last = Math.max(...seen);
      t.true(last >= before, 'what was completed is in');
      // The writes up to the last one that is in, replayed: nothing before it may be missing.
      const wanted = [0, 1, 2].map(() => Array<number>(7).fill(0));
      for (let at = 1; at <= last; at++) wanted[at % 3]![at % 7] = at;
      t.deepEqual(seen, wanted.flat(), `round ${round}`);
    }
    writing = false;
    await writer;
  });

  promise('what is frozen refuses every change', async (t, store) => {
    await store.create(1, 0);
    await write(store, 1, 0, 1);
    await store.snapshot([{ of: 1, as: 2 }]);
    t.is((await write(store, 2, 0, 9))?.code, 'INVALID');
    t.is((await unmap(store, 2, 0, 1))?.code, 'INVALID');
    await refused(t, store.reserve(2, 1), 'INVALID');
    await refused(t, store.snapshot([{ of: 2, as: 3 }]), 'INVALID');
    await refused(t, store.revert(2, 2), 'INVALID');
    t.deepEqual(await read(store, 2, 0, 1), [1]);
  });

  promise('what cannot be done is refused and leaves nothing', async (t, store) => {
    await store.create(1, 0);
    await store.create(5, 0);
    await store.snapshot([{ of: 1, as: 2 }]);
    const pair = { of: 1, as: 3 };
    await refused(t, store.snapshot([pair, { of: 9, as: 4 }]), 'NOT_FOUND');
    await refused(t, store.snapshot([pair, { of: 5, as: 2 }]), 'EXISTS');
    await refused(t, store.snapshot([pair, { of: 5, as: 3 }]), 'INVALID');
    await refused(t, store.snapshot([pair, { of: 1, as: 4 }]), 'INVALID');
    await refused(t, store.snapshot([]), 'INVALID');
    await refused(t, store.snapshot([pair, { of: 2, as: 4 }]), 'INVALID');
    await refused(t, store.clone(9, 3, 0), 'NOT_FOUND');
    await refused(t, store.clone(1, 3, 0), 'INVALID');
    await refused(t, store.clone(2, 5, 0), 'EXISTS');
    await refused(t, store.revert(1, 9), 'NOT_FOUND');
    await refused(t, store.revert(9, 2), 'NOT_FOUND');
    await refused(t, store.revert(1, 5), 'INVALID');
    t.deepEqual([...store.refs()].sort(), [1, 2, 5]);
  });

  promise('a clone is as its origin and apart from it, at any depth', async (t, store) => {
    await store.create(1, 0);
    await write(store, 1, 0, 1, 2, 3, 4);
    const used = store.total().used;
    let from = 1;
    for (let depth = 1; depth <= 12; depth++) {
      await store.snapshot([{ of: from, as: 100 + depth }]);
      await store.clone(100 + depth, 200 + depth, 0);
      from = 200 + depth;
      t.is(store.usage(from).mapped, 4, 'a clone holds what it shares');
    }
    t.true(store.total().used - used <= 64 * blockBytes, 'no data is written');
    for (let depth = 1; depth <= 12; depth++)
      await write(store, 200 + depth, depth % 4, depth * 10);
    t.deepEqual(await read(store, 1, 0, 4), [1, 2, 3, 4]);
    for (let depth = 1; depth <= 12; depth++) {
      const wanted = [1, 2, 3, 4];
      t.deepEqual(await read(store, 100 + depth, 0, 4), wanted);
      wanted[depth % 4] = depth * 10;
      t.deepEqual(await read(store, 200 + depth, 0, 4), wanted);
    }
  });

  promise(
    'spaces are dropped in any order, and each gives back what it held alone',
    async (t, store) => {
      const all = orders([0, 1, 2, 3]);
      for (const [index, order] of all.entries()) {
        const [disk, old, snapshot, clone] = [1, 2, 3, 4].map((ref) => index * 10 + ref) as [
          number,
          number,
          number,
          number,
        ];
        await store.create(disk, 0);
        await write(store, disk, 0, 1, 2, 3, 4);
        await store.snapshot([{ of: disk, as: old }]);
        await write(store, disk, 0, 5);
        await store.snapshot([{ of: disk, as: snapshot }]);
        await store.clone(snapshot, clone, 0);
        await write(store, clone, 1, 6, 7);
        await write(store, disk, 3, 8);
        const holds: Record<number, number[]> = {
          [disk]: [5, 2, 3, 8],
          [old]: [1, 2, 3, 4],
          [snapshot]: [5, 2, 3, 4],
          [clone]: [5, 6, 7, 4],
        };
        const left = new Set([disk, old, snapshot, clone]);
        for (const which of order) {
          const gone = [disk, old, snapshot, clone][which]!;
          left.delete(gone);
          const elsewhere = new Set([...left].flatMap((ref) => holds[ref]!));
          const alone = holds[gone]!.filter((stamp) => !elsewhere.has(stamp)).length;
          t.is(await store.exclusive([gone]), alone, `order ${order}`);
          await store.drop(gone);
          for (const ref of left) t.deepEqual(await read(store, ref, 0, 4), holds[ref]!);
        }
      }
      t.deepEqual(store.refs(), []);
      t.is(store.total().used, 0);
    },
  );

  promise('a difference is never missed, and what is shared is passed over', async (t, store) => {
    const far = 2 ** 26;
    await store.create(1, 0);
    for (let at = 0; at < 8; at++) await write(store, 1, at * 1000, at + 1, at + 101);
    await write(store, 1, far, 500);
    await store.snapshot([{ of: 1, as: 2 }]);
    const same = await passed(store, 1, 2, far + 1);
    t.deepEqual(same.differing, []);
    t.true(same.calls <= 64, `${same.calls} calls over what is shared`);
    await store.clone(2, 3, 0);
    await write(store, 3, 2001, 900);
    await write(store, 1, 5, 901);
    await unmap(store, 1, far, 1);
    const found = await passed(store, 1, 3, far + 1);
    for (const block of [5, 2001, far]) t.true(found.differing.includes(block), `${block}`);
    t.deepEqual((await passed(store, 2, 1, 1000)).differing.includes(5), true);
    await refused(t, store.difference(1, 9, 0, 1), 'NOT_FOUND');
  });

  promise('a space goes back to what a snapshot holds, and on from there', async (t, store) => {
    await store.create(1, 0);
    await write(store, 1, 0, 1, 2, 3);
    await store.snapshot([{ of: 1, as: 2 }]);
    await write(store, 1, 1, 20, 30, 40);
    await unmap(store, 1, 0, 1);
    for (let round = 0; round < 2; round++) {
      await store.revert(1, 2);
      t.deepEqual(await read(store, 1, 0, 5), [1, 2, 3, 0, 0]);
      t.is(await store.exclusive([1]), 0, 'what it held alone is given back');
      t.is(store.usage(1).mapped, 3);
    }
    t.is(await write(store, 1, 2, 33), null);
    t.deepEqual(await read(store, 1, 0, 4), [1, 2, 33, 0]);
    t.deepEqual(await read(store, 2, 0, 4), [1, 2, 3, 0]);
    await store.drop(2);
    t.deepEqual(await read(store, 1, 0, 4), [1, 2, 33, 0]);
  });

  promise(
    'a promise of room holds for what is shared',
    async (t, store) => {
      const free = Math.floor(store.total().free / blockBytes);
      const half = Math.floor(free * 0.4);
      await store.create(1, half);
      for (let at = 0; at < half; at += 64) {
        const count = Math.min(64, half - at);
        await write(store, 1, at, ...Array.from({ length: count }, (_, index) => at + index + 1));
      }
      await store.snapshot([{ of: 1, as: 2 }]);
      t.is(store.usage(1).reserved, half);
      await store.create(5, 0);
      let full: StorageError | null = null;
      for (let at = 0; full === null && at < free; at += 16) {
        full = await write(store, 5, at, ...Array<number>(16).fill(7));
      }
      t.is(full?.code, 'NO_SPACE', 'thin writes stop before the promise');
      for (let at = 0; at < half; at += 16) {
        const count = Math.min(16, half - at);
        t.is(await write(store, 1, at, ...Array<number>(count).fill(9)), null, `block ${at}`);
      }
      await refused(t, store.snapshot([{ of: 1, as: 6 }]), 'NO_SPACE');
      await refused(t, store.clone(2, 7, free), 'NO_SPACE');
      t.false(store.refs().includes(6) || store.refs().includes(7));
      t.deepEqual(await read(store, 2, half - 1, 1), [half]);
    },
    2048,
  );

  promise('all of it is there after a crash', async (t, store, world) => {
    await store.create(1, 0);
    await write(store, 1, 0, 1, 2, 3);
    await store.snapshot([{ of: 1, as: 2 }]);
    await write(store, 1, 0, 10);
    await store.clone(2, 3, 0);
    await write(store, 3, 1, 20);
    await store.snapshot([
      { of: 1, as: 4 },
      { of: 3, as: 5 },
    ]);
    await write(store, 1, 2, 30);
    await store.revert(1, 2);
    await store.drop(5);
    const again = world.reopen === undefined ? store : await world.reopen();
    t.deepEqual([...again.refs()].sort(), [1, 2, 3, 4]);
    t.deepEqual(await read(again, 1, 0, 3), [1, 2, 3]);
    t.deepEqual(await read(again, 2, 0, 3), [1, 2, 3]);
    t.deepEqual(await read(again, 3, 0, 3), [1, 20, 3]);
    t.deepEqual(await read(again, 4, 0, 3), [10, 2, 3]);
    t.deepEqual(
      [1, 2, 3, 4].map((ref) => again.isFrozen(ref)),
      [false, true, false, true],
    );
    t.is(await again.exclusive([3]), 1);
    t.is(await again.exclusive([4]), 1);
    t.is(await again.exclusive([1, 2, 3, 4]), 5);
  });

  randomly(promise);
}

/** Any order of everything, held against tables of numbers. */
function randomly(
  promise: (
    what: string,
    check: (t: T, store: ImageBlocks, world: ImagesWorld) => Promise<void>,
  ) => void,
): void {
  promise('in any order, with crashes, it is as a plain model says', async (t, first, world) => {
    const random = new SeededRandom();
    t.log(`seed ${random.seed}`);
    const run = new RandomRun(t, first, random);
    for (let step = 0; step < 300; step++) {
      await run.step();
      if (world.reopen !== undefined && random.chance(0.02)) run.store = await world.reopen();
      if (step % 25 === 0) await run.check(`seed ${random.seed} step ${step}`);
    }
    await run.check(`seed ${random.seed}, end`);
  });
}
