/**
 * `npm run bench -- --write-back`: what of a trace in which most blocks die young reaches the log, with
 * write-back and without, counted in blocks and disk writes; the time that it took beside. The trace
 * has a clock of its own, so minutes of it take seconds; the store is a real one in a file.
 */
import { performance } from 'node:perf_hooks';
import { realRandom } from '#storage/base/random.ts';
import type { Done } from '#storage/map/blocks.ts';
import { StorageServer } from '#storage/server.ts';
import type { Volume } from '#storage/volume/volume.ts';
import { makeDirectory, removeDirectory } from '../kit/temp.ts';
import { ManualClock } from '../sim/manual-clock.ts';
import { makeTrace, type TraceEvent, youngDeaths } from './write-back-trace.ts';

const BLOCK = 4096;
const DEPTH = 32;
const trace = { seed: 1, seconds: 300, rate: 1000, span: 524_288 } as const;

export interface Result {
  readonly received: number;
  /** User blocks in the log, and all that was written there, headers and map included. */
  readonly logged: number;
  readonly all: number;
  readonly syncs: number;
  readonly seconds: number;
}

export async function measureWriteBack(): Promise<string> {
  const events = makeTrace(trace);
  const young = `${(youngDeaths(events) * 100).toFixed(1)} %`;
  const through = await play(events, false);
  const back = await play(events, true);
  const rows = [
    ['write-through (WCE=0)', through],
    ['write-back (WCE=1)', back],
  ] as const;
  return [
    `A trace of ${trace.seconds} s, seed ${trace.seed}: ${through.received} blocks written, ${young} of them dead within 30 s.`,
    '',
    '| | blocks received | user blocks in the log | received over logged | all blocks in the log | durable disk writes | time |',
    '| --- | --: | --: | --: | --: | --: | --: |',
    ...rows.map(([name, r]) => {
      const ratio = (r.received / r.logged).toFixed(2);
      return `| ${name} | ${r.received} | ${r.logged} | ${ratio} | ${r.all} | ${r.syncs} | ${r.seconds.toFixed(1)} s |`;
    }),
  ].join('\n');
}

/** On a store of its own; all of it is durable at the end. */
async function play(events: readonly TraceEvent[], writeBack: boolean): Promise<Result> {
  const directory = await makeDirectory('petal-bench-');
  const clock = new ManualClock();
  try {
    const size = 4 * 2 ** 30;
    const server = await StorageServer.open({
      paths: [directory],
      size,
      clock,
      random: realRandom,
    });
    const { id } = await server.catalog.create({ name: 'a', size: trace.span * BLOCK });
    if (writeBack) await server.setWriteBack(id, true);
    const before = server.status().stats;
    const start = performance.now();
    const received = await run(events, server.volume(id), clock);
    const seconds = (performance.now() - start) / 1000;
    const { stats } = server.status();
    await server.close();
    const logged = stats.userBlocks - before.userBlocks;
    const overhead = stats.headerBlocks + stats.mapBlocks + stats.cleanerBlocks;
    const was = before.headerBlocks + before.mapBlocks + before.cleanerBlocks;
    return {
      received,
      logged,
      all: logged + overhead - was,
      syncs: stats.syncs - before.syncs,
      seconds,
    };
  } finally {
    await removeDirectory(directory);
  }
}

/** At a fixed depth, as fast as it goes; returns the blocks written. */
async function run(
  events: readonly TraceEvent[],
  volume: Volume,
  clock: ManualClock,
): Promise<number> {
  const data = Buffer.alloc(8 * BLOCK, 0x5a);
  let [inFlight, received, now] = [0, 0, 0];
  let failure: Error | null = null;
  let wake: () => void = () => {};
  const done: Done = {
    complete: (error) => {
      inFlight -= 1;
      failure ??= error;
      wake();
    },
  };
  for (const { atMs, kind, block, count } of events) {
    if (atMs > now) {
      clock.advance(atMs - now);
      now = atMs;
      // What became due gets its turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    while (inFlight >= DEPTH)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    inFlight += 1;
    if (kind === 'unmap') volume.unmap(block * BLOCK, count * BLOCK, done);
    else {
      received += count;
      volume.write(block * BLOCK, data.subarray(0, count * BLOCK), done);
    }
  }
  inFlight += 1;
  volume.flush(done);
  while (inFlight > 0)
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  if (failure !== null) throw failure;
  return received;
}
