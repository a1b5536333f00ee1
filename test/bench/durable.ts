/**
 * `npm run bench -- --durable`: the whole stack, every write durable when acknowledged, beside tgt with
 * O_SYNC; same file system, same span, our own load generator for both (a common client is most of what
 * a cached read costs). One connection and four. `hot` fits into our default cache, `cold` does not; both
 * fit into the page cache, from which tgt reads.
 */
import { startPeer } from '../kit/peer.ts';
import { makeDirectory, removeDirectory } from '../kit/temp.ts';
import { synced } from './bare.ts';
import { type Load, LoadGenerator } from './loadgen.ts';
import { type Goal, ratioTable } from './ratio-table.ts';
import { chosen, type GoalLoad, type LoadedSide, type Rounds, sideBySide } from './side-by-side.ts';
import { LUN_BYTES, Lun } from './workloads.ts';

const KIB = 1024;
const SPAN_MIB = LUN_BYTES.cold / 2 ** 20;

interface DurableLoad extends GoalLoad {
  readonly lun: Lun;
}

function load(name: string, lun: Lun, shape: Omit<Load, 'engine'>, goal: Goal): DurableLoad {
  return { name, lun, ours: { engine: 'raw', ...shape }, ...goal };
}

const small = { blockBytes: 4 * KIB } as const;
const large = { blockBytes: 256 * KIB, sequential: true, depth: 8 } as const;
const four = { connections: 4 } as const;
const write = { write: true } as const;

/** Reads first: what stands in a log, and in memory, depends on who wrote last. */
export const DURABLE_LOADS: readonly DurableLoad[] = [
  load('4 KiB random reads, q32, in cache', Lun.hot, { ...small, depth: 32 }, { rate: 6 }),
  load('4 KiB random reads, q32, four times the cache', Lun.cold, { ...small, depth: 32 }, {}),
  load('256 KiB sequential reads, q8, four times the cache', Lun.cold, large, {}),
  load('256 KiB sequential durable writes, q8', Lun.cold, { ...large, ...write }, { rate: 2 }),
  load(
    '4 KiB random durable writes, q32',
    Lun.cold,
    { ...small, ...write, depth: 32 },
    { rate: 3 },
  ),
  load(
    '4 KiB random durable writes, q32, four connections',
    Lun.cold,
    { ...small, ...write, ...four, depth: 32 },
    { rate: 5 },
  ),
  load('4 KiB random durable writes, q1', Lun.cold, { ...small, ...write, depth: 1 }, { rate: 1 }),
  load(
    '4 KiB random durable writes, q1, four connections',
    Lun.cold,
    { ...small, ...write, ...four, depth: 1 },
    { rate: 1 },
  ),
];

export async function compareDurable(
  options: Rounds & { readonly only: readonly string[] | undefined },
): Promise<string> {
  const loads = chosen(DURABLE_LOADS, options.only);
  const directory = await makeDirectory('petal-bench-');
  const stops: (() => Promise<void>)[] = [];
  try {
    const generator = await LoadGenerator.build(directory);
    const sides: LoadedSide[] = [];
    for (const name of ['petal', 'tgt'] as const) {
      const peer = await startPeer(name, { sizeBytes: LUN_BYTES.cold, sync: true });
      stops.push(() => peer.stop());
      const urls = { cold: peer.url, hot: await peer.addLun(LUN_BYTES.hot) };
      for (const url of Object.values(urls)) await generator.fill(url);
      // What was written last need not be what the caches hold.
      await generator.readOnce(urls.hot);
      sides.push({ pid: peer.pid, url: (wanted) => urls[(wanted as DurableLoad).lun] });
    }
    const series = await sideBySide(generator, [sides[0]!, sides[1]!], loads, options);
    const bound =
      options.only === undefined ? await synced(directory, SPAN_MIB, options.rounds) : '';
    return `${ratioTable(series)}\n\n${bound}`.trim();
  } finally {
    for (const stop of stops) await stop();
    await removeDirectory(directory);
  }
}
