/**
 * `npm run bench`: this target beside tgt (file-backed, rdwr, O_SYNC: durable on acknowledgement as
 * ours is) in one run on the same file system, with public tools, a round of each in turn.
 * Prints a Markdown table. Figures of shared machines move; ratios of the same round move less.
 * `--durable` is the same with our own load generator and goals (durable.ts).
 * `--ram` measures the target without a store instead (ram.ts), `--store` counts what the store does to its
 * disk (store.ts), `--write-back` what never reaches the log (write-back.ts), `--map` what a large map needs (map.ts),
 * `--neighbours` what one host can do to another (neighbours.ts), `--rpc` what a call between servers costs (rpc.ts).
 */
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startPeer } from '../kit/peer.ts';
import { SeededRandom } from '../kit/random.ts';
import { runOk } from '../kit/run.ts';
import { makeDirectory, removeDirectory } from '../kit/temp.ts';
import { compareDurable } from './durable.ts';
import { type Series, table } from './figures.ts';
import { writeRandomFile } from './fill.ts';
import { measureMap } from './map.ts';
import { measureNeighbours } from './neighbours.ts';
import { compareRam } from './ram.ts';
import { measureRpc } from './rpc.ts';
import { measureStore } from './store.ts';
import {
  calibrate,
  LUN_BYTES,
  Lun,
  type Measurement,
  measure,
  type Side,
  WORKLOADS,
  type Workload,
} from './workloads.ts';
import { measureWriteBack } from './write-back.ts';

const DEFAULT_ROUNDS = 7;
const DEFAULT_SECONDS = 2;

const USAGE = `usage: npm run bench -- [options]
  --rounds N      rounds of every workload (default ${DEFAULT_ROUNDS})
  --seconds S     about how long one measurement takes (default ${DEFAULT_SECONDS})
  --only TEXT     workloads whose name has TEXT (repeatable)
  --durable       durable writes and cached reads beside tgt with O_SYNC, with our load generator
  --ram           the target alone over memory, beside tgt over memory, with our load generator
  --store         what the store does to its disk, counted, at three sizes
  --write-back    what of a trace in which most blocks die young reaches the log
  --map           memory and disk calls of a map of 1 TiB of scattered blocks; takes 10 GiB below TMPDIR
  --neighbours    a host's latency while another floods or never reads
  --rpc           a remote 4 KiB read as a call between servers, beside bare messages, with TLS and without
Data goes below TMPDIR (${tmpdir()}): point it at the disk that is to be measured.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
      seconds: { type: 'string', default: String(DEFAULT_SECONDS) },
      only: { type: 'string', multiple: true },
      durable: { type: 'boolean', default: false },
      ram: { type: 'boolean', default: false },
      store: { type: 'boolean', default: false },
      map: { type: 'boolean', default: false },
      'write-back': { type: 'boolean', default: false },
      neighbours: { type: 'boolean', default: false },
      rpc: { type: 'boolean', default: false },
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
  if (values.durable) {
    console.log(await compareDurable({ rounds, seconds, only }));
    return;
  }
  if (values.ram) {
    console.log(await compareRam({ rounds, seconds, only }));
    return;
  }
  if (values.store) {
    console.log(await measureStore());
    return;
  }
  if (values['write-back']) {
    console.log(await measureWriteBack());
    return;
  }
  if (values.map) {
    console.log(await measureMap());
    return;
  }
  if (values.neighbours) {
    console.log(await measureNeighbours({ rounds, seconds }));
    return;
  }
  if (values.rpc) {
    console.log(await measureRpc({ rounds, seconds }));
    return;
  }
  const loads = WORKLOADS.filter(
    ({ name }) => only === undefined || only.some((text) => name.includes(text)),
  );
  if (loads.length === 0) throw new Error(`no workload has ${only?.join(' or ')} in its name`);
  const sides: Side[] = [];
  try {
    for (const name of ['petal', 'tgt'] as const) {
      const peer = await startPeer(name, { sizeBytes: LUN_BYTES.cold, sync: true });
      const hot = await peer.addLun(LUN_BYTES.hot).catch(async (error) => {
        await peer.stop();
        throw error;
      });
      sides.push({ peer, urls: { cold: peer.url, hot } });
    }
    await fill(sides);
    const [ours, theirs] = sides;
    if (ours === undefined || theirs === undefined) throw new Error('two sides were started');
    const series: Series[] = [];
    for (const load of loads) {
      series.push(await compare(load, ours, theirs, rounds, seconds));
      console.error(table(series).split('\n').at(-1));
    }
    console.log(`\n${rounds} rounds of about ${seconds} s each, in turn; medians.\n`);
    console.log(table(series));
  } finally {
    await Promise.all(sides.map(({ peer }) => peer.stop()));
  }
}

/** Random data over the whole of every LUN, written by the same tool. */
async function fill(sides: readonly Side[]): Promise<void> {
  const directory = await makeDirectory('petal-bench-');
  try {
    for (const lun of Object.values(Lun)) {
      const file = join(directory, lun);
      await writeRandomFile(file, LUN_BYTES[lun], new SeededRandom(1));
      for (const { urls } of sides) {
        await runOk('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', file, urls[lun]]);
      }
      await rm(file);
    }
  } finally {
    await removeDirectory(directory);
  }
}

async function compare(
  load: Workload,
  ours: Side,
  theirs: Side,
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
      const measured = side === 'ours' ? ours : theirs;
      series[side].push(await measure(measured, load, requests[side], seconds));
    }
  }
  return series;
}

await main();
