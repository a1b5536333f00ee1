/**
 * `npm run bench -- --ram`: the target by itself, over memory, beside tgt on a file in /dev/shm. Same
 * client, same LUN size, one side at a time, who goes first alternates.
 */

import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { serve } from '../kit/served.ts';
import { removeDirectory } from '../kit/temp.ts';
import { Tgt } from '../kit/tgt.ts';
import { loopback } from './bare.ts';
import { type Load, LoadGenerator } from './loadgen.ts';
import { type Goal, ratioTable } from './ratio-table.ts';
import { chosen, type GoalLoad, sideBySide } from './side-by-side.ts';

/** Fits neither into a processor's cache nor into one translation buffer; small enough for any machine. */
const LUN_MIB = 256;
/** A file system in memory on every Linux. */
const SHARED_MEMORY = '/dev/shm';

const KIB = 1024;

function random(name: string, load: Omit<Load, 'blockBytes'>, goal: Goal): GoalLoad {
  return { name, ours: { ...load, blockBytes: 4 * KIB }, ...goal };
}

function sequential(name: string, write: boolean, goal: Goal): GoalLoad {
  const blockBytes = 256 * KIB;
  const ours: Load = { engine: 'raw', write, sequential: true, blockBytes, depth: 8 };
  return { name, ours, ...goal };
}

const raw = { engine: 'raw', depth: 32 } as const;

export const RAM_LOADS: readonly GoalLoad[] = [
  random('4 KiB random reads, q32', raw, { rate: 8, processor: 8 }),
  random('4 KiB random reads, q32, libiscsi', { engine: 'libiscsi', depth: 32 }, {}),
  random('4 KiB random write-back writes, q32', { ...raw, write: true }, { rate: 6 }),
  sequential('256 KiB sequential reads, q8', false, { rate: 4 }),
  sequential('256 KiB sequential writes, q8', true, { rate: 2 }),
  random('4 KiB random reads, q1', { ...raw, depth: 1 }, { rate: 1.5 }),
  random('4 KiB random writes, q1', { ...raw, depth: 1, write: true }, { rate: 1.5 }),
  {
    ...random('4 KiB random reads, q32, both digests; tgt without', { ...raw, digests: true }, {}),
    theirs: { ...raw, blockBytes: 4 * KIB },
    rate: 1,
  },
];

interface RamSide {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<unknown>;
}

export async function compareRam(options: {
  readonly rounds: number;
  readonly seconds: number;
  readonly only: readonly string[] | undefined;
}): Promise<string> {
  const { rounds, only } = options;
  const loads = chosen(RAM_LOADS, only);
  const directory = await mkdtemp(join(SHARED_MEMORY, 'petal-bench-'));
  const started: RamSide[] = [];
  try {
    const generator = await LoadGenerator.build(directory);
    const ours = await startOurs();
    started.push(ours);
    const theirs = await startTheirs(directory);
    started.push(theirs);
    for (const { url } of started) await generator.fill(url);
    const sides = [ours, theirs].map(({ url, pid }) => ({ pid, url: () => url }));
    const series = await sideBySide(generator, [sides[0]!, sides[1]!], loads, options);
    const bound = only === undefined ? await loopback(directory, LUN_MIB, rounds) : null;
    return bound === null ? ratioTable(series) : `${ratioTable(series)}\n\n${bound}`;
  } finally {
    await Promise.all(started.map((side) => side.stop()));
    await removeDirectory(directory);
  }
}

function startOurs(): Promise<RamSide> {
  return serve([join(import.meta.dirname, 'ram-server.ts'), String(LUN_MIB)], process.cwd());
}

async function startTheirs(directory: string): Promise<RamSide> {
  return await Tgt.start({ sizeBytes: LUN_MIB * 2 ** 20, directory });
}
