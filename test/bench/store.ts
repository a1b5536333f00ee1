/**
 * `npm run bench -- --store`: what the store does to its disk, counted, at 1, 10 and 100 times the size.
 * Counts do not depend on the machine.
 */

import {
  type BlocksOptions,
  formatBlocks,
  openBlocks,
  type Store,
} from '../../storage/map/open.ts';
import { SimClock } from '../sim/clock.ts';
import { CountingDisk, type DiskCounts } from '../sim/counting-disk.ts';
import { SimRandom } from '../sim/random.ts';

const blockBytes = 4096;
const mib = 2 ** 20;
/** Live data of the smallest store. */
const smallest = 256 * mib;
const scales = [1, 10, 100] as const;

/** Small enough for the largest store to be far above it. */
const options: BlocksOptions = {
  cacheBytes: 1 * mib,
  recentBytes: 8 * mib,
  mapBytes: 8 * mib,
  checkpointBytes: 64 * mib,
};

const pattern = new Uint8Array(blockBytes).fill(0x5a);

class Bench {
  readonly clock = new SimClock();
  readonly random = new SimRandom(1);
  readonly disk: CountingDisk;
  store!: Store;

  constructor(bytes: number) {
    this.disk = new CountingDisk(Math.ceil((bytes * 1.6 + 64 * mib) / mib) * mib, pattern);
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.clock.until(promise);
  }

  async format(): Promise<void> {
    const { disk, random } = this;
    await this.until(formatBlocks(disk, { storeId: random.bytes(16), random }));
    await this.open();
  }

  /** On what is on disk, whatever was open. */
  async open(): Promise<void> {
    const { disk, clock, random } = this;
    this.store = await this.until(openBlocks({ disk, clock, random }, options));
  }

  async reopen(): Promise<void> {
    await this.until(this.store.close());
    await this.open();
  }

  async write(ref: number, block: number, count: number): Promise<void> {
    const data = new Uint8Array(count * blockBytes);
    for (let at = 0; at < count; at += 1) data.set(pattern, at * blockBytes);
    const done = new Promise<Error | null>((complete) => {
      this.store.write(ref, block, data, { complete });
    });
    const error = await this.until(done);
    if (error !== null) throw error;
  }

  async fill(ref: number, bytes: number): Promise<void> {
    await this.until(this.store.create(ref, 0));
    for (let block = 0; block < bytes / blockBytes; block += 250) {
      await this.write(ref, block, Math.min(250, bytes / blockBytes - block));
    }
  }

  async read(ref: number, block: number): Promise<void> {
    const into = new Uint8Array(blockBytes);
    const done = new Promise<Error | null>((complete) => {
      this.store.read(ref, block, 1, into, 0, { complete });
    });
    const error = await this.until(done);
    if (error !== null || Buffer.compare(into, pattern) !== 0)
      throw error ?? new Error('other data');
  }
}

/**
 * Of 50,000 blocks every fourth is overwritten, then the segments that had them are cleaned. What garbage filling
 * the store has made is cleaned away before.
 */
async function cleaning(bench: Bench): Promise<DiskCounts & { segments: number }> {
  for (let round = 0; round < 8; round += 1) await bench.until(bench.store.clean(1000));
  for (let block = 0; block < 50_000; block += 4) await bench.write(1, block, 1);
  await bench.reopen();
  bench.disk.take();
  const segments = await bench.until(bench.store.clean(160));
  return { ...bench.disk.take(), segments };
}

/** 2 000 writes behind a checkpoint, then the power fails. */
async function recovery(bench: Bench): Promise<DiskCounts> {
  await bench.reopen();
  for (let count = 0; count < 2000; count += 1) await bench.write(1, (count * 7) % 16_000, 1);
  bench.disk.take();
  await bench.open();
  return bench.disk.take();
}

async function snapshot(bench: Bench): Promise<DiskCounts> {
  bench.disk.take();
  await bench.until(bench.store.snapshot([{ of: 1, as: 1000 }]));
  return bench.disk.take();
}

async function clone(bench: Bench): Promise<DiskCounts> {
  bench.disk.take();
  await bench.until(bench.store.clone(1000, 1001, 0));
  return bench.disk.take();
}

/** 64 reads of blocks that are not in memory, of the disk and of its oldest snapshot, after `epochs` of them. */
async function reads(epochs: number): Promise<{ disk: DiskCounts; oldest: DiskCounts }> {
  const bench = new Bench(smallest);
  await bench.format();
  await bench.fill(1, smallest);
  for (let epoch = 1; epoch <= epochs; epoch += 1) {
    await bench.until(bench.store.snapshot([{ of: 1, as: 1 + epoch }]));
    await bench.write(1, (epoch * 31) % 16_000, 1);
  }
  const measure = async (ref: number): Promise<DiskCounts> => {
    await bench.reopen();
    bench.disk.take();
    for (let each = 0; each < 64; each += 1) await bench.read(ref, each * 256 + 17);
    return bench.disk.take();
  };
  return { disk: await measure(1), oldest: await measure(2) };
}

const row = (name: string, cells: readonly string[]): string =>
  `| ${name} | ${cells.join(' | ')} |`;
const calls = (counts: DiskCounts): string =>
  `${counts.reads} reads, ${kib(counts.bytesRead)}; ${counts.writes} writes, ${kib(counts.bytesWritten)}`;
const kib = (bytes: number): string => `${Math.round(bytes / 1024).toLocaleString('en-US')} KiB`;

export async function measureStore(): Promise<string> {
  const columns: string[][] = [];
  for (const scale of scales) {
    const bench = new Bench(smallest * scale);
    await bench.format();
    await bench.fill(1, smallest * scale);
    const cleaned = await cleaning(bench);
    const recovered = await recovery(bench);
    const frozen = await snapshot(bench);
    const cloned = await clone(bench);
    columns.push([
      `${cleaned.segments} segments: ${calls(cleaned)}`,
      calls(recovered),
      calls(frozen),
      calls(cloned),
    ]);
    console.error(`${scale}×: ${columns.at(-1)!.join('; ')}`);
  }
  const names = [
    'cleaning the same garbage',
    'recovery, 2,000 writes behind a checkpoint',
    'a snapshot',
    'a clone',
  ];
  const lines = [
    row(
      '',
      scales.map((scale) => `${(smallest * scale) / mib} MiB live`),
    ),
    row(
      '---',
      scales.map(() => '---'),
    ),
    ...names.map((name, index) =>
      row(
        name,
        columns.map((column) => column[index]!),
      ),
    ),
  ];
  const [one, many] = [await reads(1), await reads(500)];
  lines.push(
    '',
    row('64 reads from disk', ['1 epoch', '500 epochs']),
    row('---', ['---', '---']),
    row('of the disk', [calls(one.disk), calls(many.disk)]),
    row('of its oldest snapshot', [calls(one.oldest), calls(many.oldest)]),
  );
  return lines.join('\n');
}
