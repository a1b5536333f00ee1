/**
 * `npm run bench -- --neighbours`: what one host can do to another. A host reads 4 KiB at random, eight
 * at a time, first alone and then while
 *
 *   - another has asked for 64 MiB and fetches none of it,
 *   - a thousand connections that never log in are opened (from many addresses of loopback: there is a
 *     bound for each), at once or evenly over the time of the measurement, and when the login timer ends
 *     them.
 *
 * Figures are of one server process over a RAM disk: 99th percentile of the latency against that of the
 * same round alone, and the server's resident memory before, during and after.
 */

import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { defaultLimits } from '../../target/index.ts';
import * as cdbs from '../kit/cdb.ts';
import { Initiator } from '../kit/initiator.ts';
import { residentBytes, sleep, until } from '../kit/process.ts';
import { type Served, serve } from '../kit/served.ts';
import { makeDirectory, removeDirectory } from '../kit/temp.ts';
import { type Load, LoadGenerator } from './loadgen.ts';
import { type Condition, neighbourTable, type Visit } from './neighbour-table.ts';

const LUN_MIB = 256;
const READER: Load = { engine: 'raw', blockBytes: 4096, depth: 8 };

/** What the slow host asks for: 64 reads of 1 MiB. */
const SLOW_READS = 64;
const SLOW_READ_BYTES = 2 ** 20;
const SECTOR_BYTES = 512;

const STRANGERS = 1000;
/** Below the bound on logins that wait from one address. */
const STRANGERS_PER_ADDRESS = 50;

/** Memory that was freed is given back a little later: collector and allocator take their time. */
const SETTLE_MS = 1500;

interface Bench {
  readonly server: Served;
  /** How long one measurement takes. */
  readonly seconds: number;
  /** p99 of the reader, microseconds; its session stands for `warmUpS` before that is measured. */
  p99(warmUpS?: number): Promise<number>;
}

export async function measureNeighbours(options: {
  readonly rounds: number;
  readonly seconds: number;
}): Promise<string> {
  const { rounds, seconds } = options;
  const directory = await makeDirectory('petal-bench-');
  const program = join(import.meta.dirname, 'ram-server.ts');
  const server = await serve([program, String(LUN_MIB)], process.cwd());
  const visits: Visit[] = [];
  try {
    const generator = await LoadGenerator.build(directory);
    await generator.fill(server.url);
    const bench: Bench = {
      server,
      seconds,
      p99: async (warmUpS = 0.5) =>
        (await generator.measure(READER, { ...server, seconds, warmUpS })).p99Us,
    };
    await bench.p99();
    for (let round = 0; round < rounds; round++) {
      const conditions = [alone, slowReader, strangers];
      // Who comes first alternates.
      if (round % 2 === 1) conditions.reverse();
      for (const condition of conditions) {
        for (const visit of await condition(bench)) {
          visits.push({ ...visit, round });
          console.error(`${round + 1}: ${JSON.stringify(visit)}`);
        }
      }
    }
  } finally {
    await server.stop('SIGKILL');
    await removeDirectory(directory);
  }
  return neighbourTable(visits);
}

type Observation = Omit<Visit, 'round'>;

async function alone({ server, p99 }: Bench): Promise<Observation[]> {
  const before = await residentBytes(server.pid);
  const p99Us = await p99();
  const during = await residentBytes(server.pid);
  await sleep(SETTLE_MS);
  const after = await residentBytes(server.pid);
  return [{ condition: 'alone', p99Us, before, during, after }];
}

async function slowReader({ server, p99 }: Bench): Promise<Observation[]> {
  const before = await residentBytes(server.pid);
  const { port, target } = server;
  const initiator = await Initiator.login({ port, target, initiator: 'iqn.2026-11.internal:slow' });
  await initiator.settle();
  initiator.wire.socket.pause();
  const sectors = SLOW_READ_BYTES / SECTOR_BYTES;
  for (let i = 0; i < SLOW_READS; i++) {
    const cdb = cdbs.read16(i * sectors, sectors);
    // It ends when the connection is closed below, and not well.
    initiator.command(cdb, { expectIn: SLOW_READ_BYTES }).catch(() => {});
  }
  const p99Us = await p99();
  const during = await residentBytes(server.pid);
  initiator.wire.close();
  await sleep(SETTLE_MS);
  const after = await residentBytes(server.pid);
  return [{ condition: 'slow reader', p99Us, before, during, after }];
}

/** The reader is logged in before they come: while too many logins wait, there is room for no other. */
const LOGIN_MS = 700;

async function strangers(bench: Bench): Promise<Observation[]> {
  return [
    await strangersCome(bench, '1,000 strangers come, evenly', bench.seconds),
    await strangersCome(bench, '1,000 strangers come at once', 0),
    await strangersAreTimedOut(bench),
  ];
}

async function strangersCome(
  { server, p99 }: Bench,
  condition: Condition,
  overS: number,
): Promise<Observation> {
  const before = await residentBytes(server.pid);
  const crowd = new Crowd(server.port);
  const measured = p99(LOGIN_MS / 1000);
  await sleep(LOGIN_MS);
  await crowd.open(STRANGERS, overS);
  if (crowd.waiting === 0) throw new Error('no stranger was let wait');
  const p99Us = await measured;
  const during = await residentBytes(server.pid);
  crowd.close();
  await sleep(SETTLE_MS);
  const after = await residentBytes(server.pid);
  return { condition, p99Us, before, during, after };
}

async function strangersAreTimedOut({ server, p99 }: Bench): Promise<Observation> {
  const before = await residentBytes(server.pid);
  const crowd = new Crowd(server.port);
  // What is measured lies around the moment in which the timer ends them.
  const measured = p99((LOGIN_MS + defaultLimits.loginTimeoutMs - 500) / 1000);
  await sleep(LOGIN_MS);
  await crowd.open(STRANGERS, 0);
  const during = await residentBytes(server.pid);
  const p99Us = await measured;
  await until('the login timer ends all strangers', 20_000, () => crowd.waiting === 0);
  await sleep(SETTLE_MS);
  const after = await residentBytes(server.pid);
  return { condition: '1,000 strangers are timed out', p99Us, before, during, after };
}

/** Connections that say nothing. */
class Crowd {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();

  constructor(port: number) {
    this.#port = port;
  }

  /** Those that the server has not closed. */
  get waiting(): number {
    return this.#sockets.size;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Over so many seconds. Resolves when each has been connected or refused. */
  async open(count: number, overS: number): Promise<void> {
    const settled: Promise<void>[] = [];
    const begun = performance.now();
    for (let i = 0; i < count; i++) {
      const dueMs = begun + (i / count) * overS * 1000;
      if (dueMs > performance.now()) await sleep(dueMs - performance.now());
      const localAddress = `127.0.0.${2 + Math.floor(i / STRANGERS_PER_ADDRESS)}`;
      const socket = connect({ host: '127.0.0.1', port: this.#port, localAddress });
      this.#sockets.add(socket);
      settled.push(
        new Promise((resolve) => {
          socket.once('connect', () => resolve());
          // A reset is how a server that has enough of them says so.
          socket.on('error', () => {});
          socket.once('close', () => {
            this.#sockets.delete(socket);
            resolve();
          });
        }),
      );
      socket.resume();
    }
    await Promise.all(settled);
  }
}
