/**
 * `npm run bench`: this target beside tgt (file-backed, rdwr, O_SYNC: durable on acknowledgement as
 * ours is) in one run on the same file system, with public tools, a round of each in turn.
 * Prints a Markdown table. Figures of shared machines move; ratios of the same round move less.
 */
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Peer, startPeer } from '../kit/peer.ts';
import { SeededRandom } from '../kit/random.ts';
import { runOk } from '../kit/run.ts';
import { makeDirectory, removeDirectory } from '../kit/temp.ts';
import { type Series, table } from './figures.ts';
import { writeRandomFile } from './fill.ts';
import { calibrate, type Measurement, measure, WORKLOADS, type Workload } from './workloads.ts';

const DEFAULT_ROUNDS = 7;
const DEFAULT_SECONDS = 2;
const LUN_BYTES = 2 ** 30;

const USAGE = `usage: npm run bench -- [options]
  --rounds N      rounds of every workload (default ${DEFAULT_ROUNDS})
  --seconds S     about how long one measurement takes (default ${DEFAULT_SECONDS})
  --only TEXT     workloads whose name has TEXT (repeatable)
Data goes below TMPDIR (${tmpdir()}): point it at the disk that is to be measured.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
      seconds: { type: 'string', default: String(DEFAULT_SECONDS) },
      only: { type: 'string', multiple: true },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  if (!(rounds >= 1 && seconds > 0)) throw new Error(USAGE);
  const only = values.only;
  const loads = WORKLOADS.filter(
    ({ name }) => only === undefined || only.some((text) => name.includes(text)),
  );
  if (loads.length === 0) throw new Error(`no workload has ${only?.join(' or ')} in its name`);
  const peers: Peer[] = [];
  try {
    for (const name of ['petal', 'tgt'] as const) {
      peers.push(await startPeer(name, { sizeBytes: LUN_BYTES, sync: true }));
    }
    await fill(peers);
    const [ours, theirs] = peers;
    if (ours === undefined || theirs === undefined) throw new Error('two peers were started');
    const series: Series[] = [];
    for (const load of loads) {
      series.push(await compare(load, ours, theirs, rounds, seconds));
      console.error(table(series).split('\n').at(-1));
    }
    console.log(`\n${rounds} rounds of about ${seconds} s each, in turn; medians.\n`);
    console.log(table(series));
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
  }
}

/** Random data over the whole of every LUN, written by the same tool. */
async function fill(peers: readonly Peer[]): Promise<void> {
  const directory = await makeDirectory('petal-bench-');
  try {
    const file = join(directory, 'fill');
    await writeRandomFile(file, LUN_BYTES, new SeededRandom(1));
    for (const peer of peers) {
      await runOk('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', file, peer.url]);
    }
    await rm(file);
  } finally {
    await removeDirectory(directory);
  }
}

async function compare(
  load: Workload,
  ours: Peer,
  theirs: Peer,
  rounds: number,
  seconds: number,
): Promise<Series> {
  const series = { load, ours: [] as Measurement[], theirs: [] as Measurement[] };
  const requests = {
    ours: await calibrate(ours, load, seconds),
    theirs: await calibrate(theirs, load, seconds),
  };
  for (let round = 0; round < rounds; round++) {
    // Who goes first alternates, so that neither always follows the other's writes.
    const order = round % 2 === 0 ? (['ours', 'theirs'] as const) : (['theirs', 'ours'] as const);
    for (const side of order) {
      const peer = side === 'ours' ? ours : theirs;
      series[side].push(await measure(peer, load, requests[side], seconds));
    }
  }
  return series;
}

await main();
