/**
 * `npm run bench -- --rpc`: what a remote 4 KiB read costs as a call between servers, beside bare
 * messages over the same channel, with and without TLS. Two processes, one connection each, loopback.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { realClock } from '#storage/base/clock.ts';
import { silentLog } from '#storage/base/log.ts';
import { realRandom } from '#storage/base/random.ts';
import { Links } from '#storage/rpc/links.ts';
import { kinds, protocol } from '#storage/rpc/messages.ts';
import { tcpTransport } from '#storage/rpc/tcp.ts';
import { TlsTransport } from '#storage/rpc/tls.ts';
import type { Transport } from '#storage/rpc/transport.ts';
import { TestCluster } from '../kit/certificates.ts';
import { median } from './figures.ts';
import type { Addresses } from './rpc-server.ts';

type Usage = ReturnType<typeof process.cpuUsage>;

interface Side {
  readonly name: string;
  readonly transport: 'tls' | 'tcp';
  /** Ask once; `answered` is called when the block is there. */
  ask(answered: () => void): void;
}

interface Figure {
  readonly rate: number;
  readonly clientUs: number;
  readonly serverUs: number;
}

export async function measureRpc(options: { rounds: number; seconds: number }): Promise<string> {
  const cluster = await TestCluster.make('bench');
  const server = fork(join(import.meta.dirname, 'rpc-server.ts'));
  try {
    server.send(await cluster.credentials('server'));
    const [addresses] = (await once(server, 'message')) as [{ tls: Addresses; tcp: Addresses }];
    const mine = await cluster.credentials('client');
    const tls = new TlsTransport(realClock, mine, () => null);
    const sides = [
      ...(await sidesOver('tls', tls, addresses.tls)),
      ...(await sidesOver('tcp', tcpTransport(realClock), addresses.tcp)),
    ];
    const lines: string[] = [];
    for (const depth of [1, 16]) {
      lines.push(...(await compare(sides, depth, server, options)));
    }
    const about = `${options.rounds} rounds of ${options.seconds} s, in turn; medians. A ratio is to the bare`;
    return `${about} question over the same transport in the same round.\n\n${header}\n${lines.join('\n')}`;
  } finally {
    server.disconnect();
  }
}

const header = [
  '| depth | 4 KiB | calls/s | against the bare question: median (range) | CPU µs/call, client : server | CPU, both: ratio |',
  '| --: | --- | --: | --: | --: | --: |',
].join('\n');

async function sidesOver(
  kind: 'tls' | 'tcp',
  transport: Transport,
  { calls, bare }: Addresses,
): Promise<Side[]> {
  const links = new Links({
    clock: realClock,
    random: realRandom,
    log: silentLog,
    transport,
    table: kinds,
    versions: protocol,
    self: 'client',
    addressOf: () => calls,
  });
  const body = {
    group: 'a+b',
    version: 7,
    disk: 3,
    offset: 4096,
    length: 4096,
    epoch: null,
    forwarded: false,
  };
  const call = (answered: () => void): void => {
    links.call('server', 'read', body, { deadlineMs: 10_000 }).then(answered, fail);
  };
  const request = Buffer.alloc(96, 1);
  const block = Buffer.alloc(4096, 1);
  return [
    {
      name: 'bare: 96 B there, 4 KiB back',
      transport: kind,
      ask: await asker(transport, bare, request),
    },
    {
      name: 'bare: 4 KiB there and back',
      transport: kind,
      ask: await asker(transport, bare, block),
    },
    { name: 'a read as a call', transport: kind, ask: call },
  ];
}

function fail(error: unknown): never {
  throw error;
}

/** Messages without an envelope: answers come in the order of the questions. */
async function asker(
  transport: Transport,
  address: string,
  question: Buffer,
): Promise<Side['ask']> {
  const waiting: (() => void)[] = [];
  const channel = await transport.connect(address, {
    message: () => waiting.shift()!(),
    drained: () => {},
    closed: () => {}, // Then nothing is answered any more, and the bench does not end.
  });
  return (answered) => {
    waiting.push(answered);
    channel.send(question);
  };
}

async function compare(
  sides: readonly Side[],
  depth: number,
  server: ChildProcess,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<string[]> {
  const figures = new Map<Side, Figure[]>(sides.map((side) => [side, []]));
  for (const side of sides) await measure(side, depth, server, Math.min(seconds, 0.5)); // Warm.
  for (let round = 0; round < rounds; round += 1) {
    // Who goes first alternates.
    const order = round % 2 === 0 ? sides : [...sides].reverse();
    for (const side of order) {
      figures.get(side)!.push(await measure(side, depth, server, seconds));
    }
  }
  return sides.map((side) => {
    const bare = figures.get(sides.find(({ transport }) => transport === side.transport)!)!;
    const own = figures.get(side)!;
    const of = (pick: (figure: Figure) => number): number => median(own.map(pick));
    const slower = own.map(({ rate }, round) => bare[round]!.rate / rate);
    const cpu = (figure: Figure): number => figure.clientUs + figure.serverUs;
    const dearer = median(own.map((figure, round) => cpu(figure) / cpu(bare[round]!)));
    const range = `${Math.min(...slower).toFixed(2)}–${Math.max(...slower).toFixed(2)}`;
    return (
      `| ${depth} | ${side.transport}, ${side.name} | ${Math.round(of(({ rate }) => rate)).toLocaleString('en-US')} | ` +
      `${median(slower).toFixed(2)}× (${range}) | ` +
      `${of(({ clientUs }) => clientUs).toFixed(1)} : ${of(({ serverUs }) => serverUs).toFixed(1)} | ${dearer.toFixed(2)}× |`
    );
  });
}

async function measure(
  side: Side,
  depth: number,
  server: ChildProcess,
  seconds: number,
): Promise<Figure> {
  const before = await usage(server);
  const mine = process.cpuUsage();
  const began = performance.now();
  const end = began + seconds * 1000;
  let count = 0;
  await new Promise<void>((resolve) => {
    let going = depth;
    const answered = (): void => {
      count += 1;
      if (performance.now() < end) side.ask(answered);
      else {
        going -= 1;
        if (going === 0) resolve();
      }
    };
    for (let index = 0; index < depth; index += 1) side.ask(answered);
  });
  const took = performance.now() - began;
  const own = process.cpuUsage(mine);
  const after = await usage(server);
  return {
    rate: (count / took) * 1000,
    clientUs: (own.user + own.system) / count,
    serverUs: (after.user + after.system - before.user - before.system) / count,
  };
}

async function usage(server: ChildProcess): Promise<Usage> {
  server.send('usage');
  const [told] = (await once(server, 'message')) as [Usage];
  return told;
}
