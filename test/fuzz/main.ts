/**
 * Fuzzes the target: mutated PDUs and CDBs from a seed, in memory and, a share of them, over sockets.
 *
 *   npm run fuzz -- [--cases N] [--seed S] [--sockets SHARE]
 *   npm run fuzz -- --seed S --round R          one round again, the same
 *   npm run fuzz -- --seed S --socket-round R   one round over sockets again
 *
 * Ends with 1 at the first failure, and says how to play it again.
 */
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { CASES_PER_ROUND, emptyTally, runRound } from './round.ts';
import { runSocketRound } from './sockets.ts';

/** Above what it had after the first rounds, while everything is small: 256 MiB is a leak. */
const RSS_GROWTH_MAX = 256 * 1024 * 1024;
const WARM_ROUNDS = 2000;
const SHOW_EVERY_MS = 10_000;
const MEBIBYTE = 1024 * 1024;

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    sockets: { type: 'string', default: '0.02' },
    round: { type: 'string' },
    'socket-round': { type: 'string' },
  },
});

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`--${name} ${text}`);
  return value;
}

function part(name: string, text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 1)) throw new RangeError(`--${name} ${text} is not in 0…1`);
  return value;
}

const seed = whole('seed', values.seed);
const wanted = whole('cases', values.cases);
const share = part('sockets', values.sockets);
const tally = emptyTally();
const inSockets = emptyTally();
/** Word 0: the round that runs; 1: counts up with each, so that one that hangs is seen; 2: sockets. */
const progress = new Int32Array(new SharedArrayBuffer(12));
const watchdog = new Worker(new URL('./watchdog.ts', import.meta.url), {
  workerData: { progress, seed },
});
watchdog.unref();

let round = 0;
let overSockets = false;

async function one(): Promise<void> {
  Atomics.store(progress, 0, round);
  Atomics.store(progress, 2, overSockets ? 1 : 0);
  Atomics.add(progress, 1, 1);
  if (overSockets) await runSocketRound(seed, round, inSockets);
  else runRound(seed, round, tally);
}

async function many(): Promise<void> {
  const started = performance.now();
  let shown = started;
  let rssAtFirst = 0;
  for (; tally.cases + inSockets.cases < wanted; round++) {
    overSockets = Math.floor(round * share) !== Math.floor((round + 1) * share);
    await one();
    if (round === WARM_ROUNDS) rssAtFirst = process.memoryUsage.rss();
    const now = performance.now();
    if (now - shown < SHOW_EVERY_MS) continue;
    shown = now;
    const rss = process.memoryUsage.rss();
    console.log(`${tally.cases + inSockets.cases} cases, ${Math.round(rss / MEBIBYTE)} MiB`);
    if (rssAtFirst !== 0 && rss - rssAtFirst > RSS_GROWTH_MAX) {
      throw new Error(`memory grew from ${rssAtFirst} to ${rss} bytes`);
    }
  }
  const seconds = (performance.now() - started) / 1000;
  const all = tally.cases + inSockets.cases;
  console.log(
    `${all} cases (${inSockets.cases} over sockets) in ${round} rounds, seed ${seed}: ` +
      `${tally.answers + inSockets.answers} answers, ${tally.good + inSockets.good} GOOD, ${tally.entered + inSockets.entered} logins, ` +
      `${Math.round(all / seconds)} cases/s, ${Math.round(process.memoryUsage.rss() / MEBIBYTE)} MiB`,
  );
}

try {
  const again = values['socket-round'] ?? values.round;
  if (again !== undefined) {
    overSockets = values['socket-round'] !== undefined;
    round = whole('round', again);
    await one();
    console.log(`round ${round}: ${CASES_PER_ROUND} cases, no failure`);
  } else await many();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  const which = overSockets ? 'socket-round' : 'round';
  console.error(`again: npm run fuzz -- --seed ${seed} --${which} ${round}`);
  process.exit(1);
}
