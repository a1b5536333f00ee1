/**
 * `npm run bench -- --neighbours`: what one host can do to another. A host reads 4 KiB at random, eight
 * at a time, first alone and then while
 *
 *   - another has asked for 64 MiB and fetches none of it,
 *   - a thousand connections are opened that never log in (from many addresses of loopback: there is a
 *     bound for each), and when the login timer ends them.
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
  /** p99 of the reader, microseconds. */
  p99(): Promise<number>;
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
      p99: async () => (await generator.measure(READER, { ...server, seconds })).p99Us,
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

async function strangers({ server, p99 }: Bench): Promise<Observation[]> {
  const before = await residentBytes(server.pid);
  const openedMs = performance.now();
  const crowd = new Crowd(server.port);
  const opening = crowd.open(STRANGERS);
  const openP99Us = await p99();
  await opening;
  const during = await residentBytes(server.pid);
  // Most of the reader's time is to lie around the moment in which the timer ends them.
  const leftMs = defaultLimits.loginTimeoutMs - 1000 - (performance.now() - openedMs);
  await sleep(Math.max(0, leftMs));
  const left = crowd.waiting;
  const endP99Us = await p99();
  await until('the login timer ends all strangers', 20_000, () => crowd.waiting === 0);
  if (left === 0) throw new Error('no stranger was waiting when the timer was due');
  await sleep(SETTLE_MS);
  const after = await residentBytes(server.pid);
  const memory = { before, during, after };
  return [
    { condition: 'strangers come', p99Us: openP99Us, ...memory },
    { condition: 'strangers are timed out', p99Us: endP99Us, ...memory },
  ] satisfies (Observation & { condition: Condition })[];
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

  /** Resolves when each has been connected or refused. */
  async open(count: number): Promise<void> {
    const settled: Promise<void>[] = [];
    for (let i = 0; i < count; i++) {
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
