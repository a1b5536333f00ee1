/** Two or more servers' links for tests, over TLS on loopback or over a simulated network. */
import { type Clock, realClock } from '#storage/base/clock.ts';
import { silentLog } from '#storage/base/log.ts';
import { realRandom } from '#storage/base/random.ts';
import { bytes, record, safe, text, u32 } from '#storage/rpc/codec.ts';
import { kind } from '#storage/rpc/kind.ts';
import { Links } from '#storage/rpc/links.ts';
import type { Transport } from '#storage/rpc/transport.ts';
import type { Versions } from '#storage/rpc/versions.ts';
import { SimClock } from '#test/sim/clock.ts';
import { SimNetwork } from '#test/sim/network.ts';
import { SimRandom } from '#test/sim/random.ts';

/** Kinds for tests: an echo, one that came with version 2, and one that nobody serves. */
export const testKinds = {
  echo: kind(1, {
    since: 1,
    idempotent: true,
    request: record({ number: safe, name: text(64), reply: u32 }),
    response: record({ number: safe, by: text(64) }),
    replyBytes: ({ reply }) => reply,
  }),
  late: kind(2, {
    since: 2,
    idempotent: true,
    request: record({ what: bytes(16) }),
    response: record({}),
  }),
  unserved: kind(3, {
    since: 1,
    idempotent: true,
    request: record({}),
    response: record({}),
  }),
} as const;
export type TestLinks = Links<typeof testKinds>;

export interface LinksSetup {
  readonly self: string;
  readonly transport: Transport;
  readonly clock?: Clock;
  readonly random?: { bytes(length: number): Uint8Array };
  readonly versions?: Versions;
  readonly addressOf: (id: string) => string | null;
}

export function testLinks(setup: LinksSetup): TestLinks {
  return new Links({
    clock: realClock,
    random: realRandom,
    log: silentLog,
    table: testKinds,
    versions: { least: 1, most: 2 },
    ...setup,
  });
}

/** A simulated network with servers that answer an echo with their name. */
export class SimServers {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly network: SimNetwork;
  readonly members: string[];
  readonly links: Record<string, TestLinks> = {};
  /** What was asked of whom, in order. */
  readonly heard: { at: string; from: string; number: number }[] = [];

  constructor(seed: number | undefined, ...members: string[]) {
    this.random = new SimRandom(seed);
    this.network = new SimNetwork(this.clock, this.random);
    this.members = members;
  }

  static async start(seed: number | undefined, ...members: string[]): Promise<SimServers> {
    const servers = new SimServers(seed, ...members);
    for (const name of members) await servers.boot(name);
    return servers;
  }

  async boot(self: string, versions?: Versions): Promise<TestLinks> {
    const { transport, clock } = this.network.node(self);
    const links = testLinks({
      self,
      transport,
      clock,
      random: this.random,
      ...(versions === undefined ? {} : { versions }),
      addressOf: (id) => (this.members.includes(id) ? id : null),
    });
    links.serve('echo', ({ peer, body }) => {
      this.heard.push({ at: self, from: peer, number: body.number });
      return { body: { number: body.number, by: self }, payload: new Uint8Array(body.reply) };
    });
    links.serve('late', () => ({ body: {} }));
    this.links[self] = links;
    await this.clock.until(links.listen(self));
    return links;
  }
}

export const echo = (number: number, reply = 0) => ({ number, name: 'n', reply });
