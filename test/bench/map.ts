/**
 * `npm run bench -- --map`: a map of 1 TiB of blocks written in an order of chance, used with the memory
 * of a default configuration. The store is made first (map-build.ts), then opened and used by two
 * processes one behind the other (map-use.ts), the second of which recovers from the end of the first.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { runOk } from '../kit/run.ts';
import { makeDirectory, removeDirectory } from '../kit/temp.ts';
import { buildMap, storeBytesFor } from './map-build.ts';
import type { Phase, Use } from './map-use.ts';
import { highWater } from './memory.ts';

const use = join(import.meta.dirname, 'map-use.ts');
const useTimeoutMs = 30 * 60_000;

export interface MapOptions {
  /** The store has 2^bits blocks; 28: 1 TiB. */
  readonly bits: number;
  /** Lookups, and overwrites, of each process. */
  readonly operations: number;
  readonly seed: number;
}

export const wholeMap: MapOptions = { bits: 28, operations: 200_000, seed: 1 };

export interface MapUse {
  readonly buildSeconds: number;
  /** Most that was ever resident in this process, which makes the store, in MiB. */
  readonly buildMiB: number;
  /** Of the file: what is on disk, and how long it is. */
  readonly allocated: { readonly built: number; readonly used: number };
  readonly size: number;
  readonly runs: readonly Use[];
}

export async function useMap({ bits, operations, seed }: MapOptions): Promise<MapUse> {
  const directory = await makeDirectory('petal-bench-');
  const file = join(directory, 'store');
  const allocated = (): number => statSync(file).blocks * 512;
  try {
    const started = performance.now();
    await buildMap(file, bits);
    const buildSeconds = (performance.now() - started) / 1000;
    const buildMiB = highWater();
    const built = allocated();
    const runs: Use[] = [];
    for (const run of [0, 1]) {
      const args = [use, file, String(bits), String(operations), String(seed + run)];
      const { stdout } = await runOk(process.execPath, args, { timeoutMs: useTimeoutMs });
      runs.push(JSON.parse(stdout));
    }
    const size = storeBytesFor(2 ** bits);
    return { buildSeconds, buildMiB, allocated: { built, used: allocated() }, size, runs };
  } finally {
    await removeDirectory(directory);
  }
}

export async function measureMap(options = wholeMap): Promise<string> {
  const { buildSeconds, buildMiB, allocated, size, runs } = await useMap(options);
  const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
  const cells = (
    name: string,
    { seconds, reads, writes, bytesWritten, peakMiB, endMiB }: Phase,
    count: number,
  ): string => {
    const each = (calls: number): string =>
      count === 1 ? String(calls) : (calls / count).toFixed(2);
    const rate = count === 1 ? '–' : Math.round(count / seconds).toLocaleString('en-US');
    const written = `${Math.round(bytesWritten / 2 ** 20)} MiB`;
    return `| ${name} | ${seconds.toFixed(1)} s | ${rate} | ${each(reads)} | ${each(writes)} | ${written} | ${endMiB} | ${peakMiB} |`;
  };
  const { operations, bits, seed } = options;
  const lines = [
    `2^${bits} blocks of 4 KiB, seed ${seed}; made in ${Math.round(buildSeconds)} s with ${buildMiB} MiB resident at most; the file is ${gib(size)} GiB long and has ` +
      `${gib(allocated.built)} GiB on disk, ${gib(allocated.used)} GiB when both had used it.`,
    '',
    '| | time | a second | reads | writes | written | RSS at its end, MiB | its peak, MiB |',
    '| --- | --: | --: | --: | --: | --: | --: | --: |',
  ];
  for (const [index, { open, lookups, overwrites, reads }] of runs.entries()) {
    lines.push(
      cells(index === 0 ? 'open' : 'open after a crash', open, 1),
      cells(`${operations.toLocaleString('en-US')} lookups`, lookups, operations),
      cells(`${operations.toLocaleString('en-US')} overwrites`, overwrites, operations),
      cells('reads of what was overwritten', reads, Math.min(2000, operations)),
    );
  }
  const highest = Math.max(...runs.map(({ highWaterMiB }) => highWaterMiB));
  lines.push('', `Most that was ever resident: ${highest} MiB.`);
  return lines.join('\n');
}
