/**
 * Looks for faults in a copy of storage/ (see `plant.ts`): `node finders.ts <open.ts of the copy>
 * <finder>` prints what it found as JSON.
 */

import { dirname, join } from 'node:path';
import { SimClock } from '../sim/clock.ts';
import { check, record } from '../sim/crash-points.ts';
import { SimDisk } from '../sim/disk.ts';
import { ImagesLoad } from '../sim/images-load.ts';
import { serverSoftware } from '../sim/machine.ts';
import { SimRandom } from '../sim/random.ts';
import { stamped, stampOf } from '../sim/store-history.ts';
import { type Software, smallStore } from '../sim/store-load.ts';
import { run } from '../sim/volume-run.ts';
import { WriteBackLoad, type WriteBackSoftware } from '../sim/write-back-load.ts';
import { arrayFinders } from './array-finders.ts';
import { findInCluster } from './cluster-finder.ts';
import { staleGroups } from './stale-groups.ts';

type Finder = (software: Software, directory: string) => Promise<string | null>;

const finders: Readonly<Record<string, Finder>> = {
  /** Crash points of a few short traces. */
  async crash(software) {
    for (const seed of [1, 2, 3, 4]) {
      const recording = await record(software, { seed, operations: 1200 }).catch(String);
      if (typeof recording === 'string') return recording;
      const options = { seed, every: 3, untilFound: true };
      const { violations } = await check(software, recording, options);
      if (violations.length > 0) return violations[0]!;
    }
    return null;
  },

  /** Every block of a small store with one bit turned over on disk. */
  async flip(software) {
    const clock = new SimClock();
    const random = new SimRandom(1);
    const size = 16 * 1024 * 1024;
    const disk = new SimDisk({ clock, random, size });
    await clock.until(software.formatBlocks(disk, { storeId: random.bytes(16), random }));
    const store = await clock.until(software.openBlocks({ disk, clock, random }, smallStore));
    await clock.until(store.create(1, 0));
    disk.trace = [];
    const write = new Promise((complete) => store.write(1, 0, stamped(1, 0, 1), { complete }));
    await clock.until(write);
    await clock.until(store.close());
    const group = disk.trace.find((event) => event.kind === 'write')!;
    const image = disk.crash('keep');
    const damaged = new SimDisk({ clock, random, size, image });
    damaged.flip(group.block + group.data.length - 1, 4097);
    const again = await clock.until(
      software.openBlocks({ disk: damaged, clock, random }, smallStore),
    );
    const into = new Uint8Array(4096);
    const read = new Promise<Error | null>((complete) =>
      again.read(1, 0, 1, into, 0, { complete }),
    );
    const error = await clock.until(read);
    if (error !== null) return null;
    return `a damaged block was read as good (stamp ${stampOf(1, 0, into)})`;
  },

  /** Crash points of a store that writes no checkpoint before it has to, its blocks dying young. */
  async reuse(software) {
    const options = { ...smallStore, checkpointBytes: 2 ** 40 };
    const recording = await record(software, {
      seed: 1,
      operations: 2500,
      options,
      focus: 0.1,
    }).catch(String);
    if (typeof recording === 'string') return recording;
    const { violations } = await check(software, recording, {
      seed: 1,
      every: 19,
      untilFound: true,
    });
    return violations[0] ?? null;
  },

  /** The table of segments by itself: a block dies while a checkpoint is under way. */
  async segments(_software, directory) {
    const module = await import(join(directory, '..', 'log', 'segments.ts'));
    const { Segments, SegmentState } = module as typeof import('../../storage/log/segments.ts');
    const segments = new Segments(20, () => {});
    const free = (): string =>
      [1, 2].filter((each) => segments.state(each) === SegmentState.free).join();
    const [here, there] = [1 * 256 + 2, 2 * 256 + 2];
    segments.born(here);
    segments.born(there);
    segments.settleAtOpen(new Set([1, 2]), 20);
    segments.beginCheckpoint([]);
    segments.dies(here);
    segments.dies(there, true);
    segments.completeCheckpoint();
    const after = free();
    segments.beginCheckpoint([]);
    segments.completeCheckpoint();
    const both = `${after} then ${free()}`;
    return both === '2 then 1,2' ? null : `free were ${both}`;
  },

  /** Write-back at crashes. */
  async 'write-back'(software, directory) {
    const module = await import(join(directory, '..', 'volume', 'write-back.ts'));
    const { WriteBack } = module as Pick<WriteBackSoftware, 'WriteBack'>;
    // The first two meet a crash between a flush and what it should have waited for.
    for (const seed of [19, 32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
      const load = new WriteBackLoad({ ...software, WriteBack }, seed);
      await load.run(8, 250);
      if (load.wrong.length > 0) return `seed ${seed}: ${load.wrong[0]}`;
    }
    return null;
  },

  /** The cache by itself: an address is used for something else. */
  async cache(_software, directory) {
    const module = await import(join(directory, '..', 'log', 'cache.ts'));
    const { BlockCache } = module as typeof import('../../storage/log/cache.ts');
    const cache = new BlockCache(2 ** 20);
    const into = new Uint8Array(4096);
    for (const content of [1, 2]) {
      cache.forget(256, 256);
      cache.insert(300, new Uint8Array(4096).fill(content), 0);
      cache.copy(300, into, 0);
      if (into[0] !== content) return `the content was ${into[0]}, not ${content}`;
    }
    return null;
  },

  /** Snapshots, clones, rollbacks and removals against a model. */
  async images(software) {
    for (const seed of [1, 2, 3]) {
      const load = new ImagesLoad({ seed, operations: 400, software });
      const found = await load.run().then(
        () => null,
        (error: Error) => error.message,
      );
      if (found !== null) return found;
    }
    return null;
  },

  /** The same where the cleaner is never idle. */
  async garbage(software) {
    for (const seed of [1, 2, 3, 4]) {
      const options = { operations: 500, size: 18 * 1024 * 1024, most: 800 };
      const found = await new ImagesLoad({ seed, software, ...options }).run().then(
        () => null,
        (error: Error) => error.message,
      );
      if (found !== null) return found;
    }
    return null;
  },

  /** Everything that is done to volumes, on disks of which some are lost, against a plain model. */
  async volumes(_software, directory) {
    const software = await serverSoftware(join(directory, '..'));
    for (const seed of [1, 3, 5, 7, 8, 10]) {
      const { failure } = await run({ software, seed, most: 3000, crashEvery: 3, shrinkMs: 0 });
      if (failure !== null) return failure;
    }
    return null;
  },

  /** Servers that replicate, under faults. */
  cluster(_software, directory) {
    return findInCluster(join(directory, '..'));
  },

  'stale groups': staleGroups,

  ...arrayFinders,
};

if (process.argv[2] !== undefined) {
  const software = (await import(process.argv[2])) as Software;
  const how = await finders[process.argv[3]!]!(software, dirname(process.argv[2]));
  process.stdout.write(JSON.stringify({ found: how !== null, how: how ?? '' }));
}
