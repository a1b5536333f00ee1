/** A simulated cluster of two servers for single stories. */
import { groupOf } from '#storage/replica/configuration.ts';
import { defaultTimes } from '#storage/replica/limits.ts';
import { Cluster } from '#test/sim/cluster/cluster.ts';
import { blockBytes } from '#test/sim/cluster/initiator.ts';
import { software } from '#test/sim/cluster/run.ts';

export class Story {
  readonly cluster: Cluster;

  constructor(seed: number, servers = 2) {
    this.cluster = new Cluster(software, seed, servers, defaultTimes);
  }

  async begin(): Promise<this> {
    while (!this.cluster.whole) await this.cluster.pass(100);
    return this;
  }

  server(name: string) {
    return this.cluster.servers.find((server) => server.name === name)!;
  }

  async insync(...names: string[]): Promise<void> {
    const group = this.cluster.groups[0]!;
    const there = () =>
      groupOf(this.cluster.configuration(group).insync.map((each) => each.server));
    while (there() !== groupOf(names)) await this.cluster.pass(100);
  }

  /** Through one of the gateways; null: no answer within `ms` of the world. */
  async write(block: number, value: number, gateway = 0, ms = 8000): Promise<string | null> {
    const data = new Uint8Array(blockBytes).fill(value);
    return await this.#ask(gateway, ms, (client, stamp) =>
      client.write(0, block * blockBytes, data, stamp),
    );
  }

  /** As a host does that is told BUSY: again. The answer of the last try. */
  async writeAgain(block: number, value: number, gateway = 0): Promise<string | null> {
    for (let tries = 0; tries < 5; tries += 1) {
      if ((await this.write(block, value, gateway)) === 'good') return 'good';
    }
    return null;
  }

  async read(block: number, gateway = 0, ms = 8000): Promise<number | null> {
    const data = await this.#ask(gateway, ms, (client) =>
      client.read(0, block * blockBytes, blockBytes).catch(() => null),
    );
    return data === null ? null : data[0]!;
  }

  async #ask<T>(
    gateway: number,
    ms: number,
    work: (
      client: Parameters<Parameters<Cluster['gateways'][number]['send']>[0]>[0],
      stamp: { low: number; high: number },
    ) => Promise<T>,
  ): Promise<T | null> {
    const { world, gateways } = this.cluster;
    let answer: T | null = null;
    let ended = false;
    gateways[gateway]!.send((client, stamp) => {
      void work(client, stamp).then((result) => {
        answer = result;
        ended = true;
      });
    });
    for (const end = world.now() + ms; !ended && world.now() < end; ) await this.cluster.pass(10);
    return answer;
  }
}
