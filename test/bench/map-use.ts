/**
 * Uses a store of `map-build.ts` in a process of its own and tells in a line of JSON what that took:
 * opening it, looking up and overwriting blocks by chance. It ends without closing the store, so
 * that the next one recovers.
 *
 *   node map-use.ts FILE BITS OPERATIONS SEED
 */
import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { realClock as clock } from '../../storage/base/clock.ts';
import { realRandom as random } from '../../storage/base/random.ts';
import type { Disk } from '../../storage/disk/disk.ts';
import { openBlocks, type Store } from '../../storage/map/open.ts';
import { SeededRandom } from '../kit/random.ts';
import { stamped, stampOf } from '../sim/store-history.ts';
import { mappedRef, openSparse, storeBytesFor } from './map-build.ts';
import { highWater } from './memory.ts';

const depth = 32;
const sampleMs = 20;
/** Overwritten blocks that are read back. */
const readBack = 2000;

export interface Phase {
  readonly seconds: number;
  /** Disk calls. */
  readonly reads: number;
  readonly writes: number;
  readonly bytesWritten: number;
  /** Most that was resident, and what was at the end, in MiB. */
  readonly peakMiB: number;
  readonly endMiB: number;
}

export interface Use {
  readonly open: Phase;
  readonly lookups: Phase;
  readonly overwrites: Phase;
  /** Of overwritten blocks. */
  readonly reads: Phase;
  readonly checkpoints: number;
  /** Most that was ever resident, as the kernel has it, in MiB. */
  readonly highWaterMiB: number;
}

class Counted implements Disk {
  readonly name: string;
  readonly size: number;
  readonly allocatesOnWrite: boolean;
  readonly #disk: Disk;
  reads = 0;
  writes = 0;
  bytesWritten = 0;

  constructor(disk: Disk) {
    this.#disk = disk;
    this.name = disk.name;
    this.size = disk.size;
    this.allocatesOnWrite = disk.allocatesOnWrite;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    this.reads += 1;
    return this.#disk.read(offset, into);
  }

  write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    this.writes += 1;
    for (const part of data) this.bytesWritten += part.length;
    return this.#disk.write(offset, data, durable);
  }

  sync(): Promise<void> {
    return this.#disk.sync();
  }

  close(): Promise<void> {
    return this.#disk.close();
  }
}

const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20);

async function phase(disk: Counted, work: () => Promise<void>): Promise<Phase> {
  const before = { reads: disk.reads, writes: disk.writes, bytesWritten: disk.bytesWritten };
  const started = performance.now();
  let peak = process.memoryUsage.rss();
  const sample = (): void => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  const sampler = setInterval(sample, sampleMs);
  await work();
  clearInterval(sampler);
  sample();
  return {
    seconds: (performance.now() - started) / 1000,
    reads: disk.reads - before.reads,
    writes: disk.writes - before.writes,
    bytesWritten: disk.bytesWritten - before.bytesWritten,
    peakMiB: mebibytes(peak),
    endMiB: mebibytes(process.memoryUsage.rss()),
  };
}

/** `work` so many times, `depth` at once. */
async function repeated(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next);
    }
  };
  await Promise.all(Array.from({ length: depth }, worker));
}

function overwrite(store: Store, block: number, stamp: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const complete = (error: Error | null): void => (error === null ? resolve() : reject(error));
    store.write(mappedRef, block, stamped(mappedRef, block, stamp), { complete });
  });
}

function read(store: Store, block: number): Promise<number> {
  const into = new Uint8Array(4096);
  return new Promise((resolve, reject) => {
    store.read(mappedRef, block, 1, into, 0, {
      complete: (error) =>
        error === null ? resolve(stampOf(mappedRef, block, into)) : reject(error),
    });
  });
}

async function main(path: string, bits: number, operations: number, seed: number): Promise<void> {
  const disk = new Counted(openSparse(path, storeBytesFor(2 ** bits)));
  const chance = new SeededRandom(seed);
  const anyBlock = (): number => chance.below(2 ** bits);
  let store!: Store;
  const open = await phase(disk, async () => {
    store = await openBlocks({ disk, clock, random }, {});
  });
  assert.equal(store.usage(mappedRef).mapped, 2 ** bits);
  const lookups = await phase(disk, () =>
    repeated(operations, async () => {
      const { mapped } = await store.extent(mappedRef, anyBlock(), 1);
      assert(mapped, 'every block is mapped');
    }),
  );
  const written = new Map<number, number>();
  const overwrites = await phase(disk, () =>
    repeated(operations, async (stamp) => {
      const block = anyBlock();
      written.set(block, stamp);
      await overwrite(store, block, stamp);
    }),
  );
  assert.equal(store.usage(mappedRef).mapped, 2 ** bits);
  const some = [...written].slice(0, readBack);
  const reads = await phase(disk, () =>
    repeated(some.length, async (index) => {
      const [block, stamp] = some[index - 1]!;
      assert.equal(await read(store, block), stamp);
    }),
  );
  const { checkpoints } = store.stats();
  const highWaterMiB = highWater();
  const use: Use = { open, lookups, overwrites, reads, checkpoints, highWaterMiB };
  writeSync(1, `${JSON.stringify(use)}\n`);
  process.exit(0);
}

const [path, bits, operations, seed] = process.argv.slice(2);
await main(path!, Number(bits), Number(operations), Number(seed));
