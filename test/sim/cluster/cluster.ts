/**
 * A whole cluster from a seed: servers with their chunks, gateways, hosts, the Directory and the network, in one
 * thread. Faults come for a while, then they end, everything heals, and what is left is checked.
 */
import type { StorageError } from '#storage/base/errors.ts';
import { silentLog } from '#storage/base/log.ts';
import {
  type Configuration,
  decodeConfiguration,
  encodeConfiguration,
  groupOf,
} from '#storage/replica/configuration.ts';
import type { Times } from '#storage/replica/limits.ts';
import type { Replica } from '#storage/replica/replica.ts';
import { type Chunk, chunkOf, indexOf } from '#storage/replica/store.ts';
import type { Client } from '#storage/volume/client.ts';
import { SimClock } from '../clock.ts';
import { SimRandom } from '../random.ts';
import { SimChunks } from './chunk-store.ts';
import { SimGlobalState } from './directory.ts';
import { Gateway } from './gateway.ts';
import { blockBytes, type History, Host } from './initiator.ts';
import { SimNetwork } from './network.ts';
import { SimNode } from './node.ts';
import { judgeRegister } from './registers.ts';

export interface ClusterSoftware {
  readonly Replica: typeof Replica;
  readonly Client: typeof Client;
  readonly StorageError: typeof StorageError;
}

const blocksPerChunk = 4;
const chunks = 32;

interface Server {
  readonly name: string;
  readonly chunks: SimChunks;
  node: SimNode;
  replica: Replica;
}

export class Cluster {
  readonly world = new SimClock();
  readonly random: SimRandom;
  readonly network: SimNetwork;
  readonly global: SimGlobalState;
  readonly servers: Server[] = [];
  readonly gateways: Gateway[] = [];
  readonly hosts: Host[] = [];
  readonly histories: History[];
  readonly groups: readonly (readonly string[])[];
  removals = 0;
  admissions = 0;
  readonly violations: string[] = [];
  readonly #software: ClusterSoftware;
  readonly #names: readonly string[];
  readonly #times: Times;
  #processes = 0;
  #values = 0;
  #writing = true;

  constructor(
    software: ClusterSoftware,
    seed: number,
    servers = 2 + (seed % 2),
    times: Times | null = null,
  ) {
    this.#software = software;
    this.random = new SimRandom(seed);
    this.network = new SimNetwork(this.world, this.random, software.StorageError);
    this.global = new SimGlobalState(this.world, this.random, software.StorageError);
    this.#times = times ?? this.#pickTimes();
    this.#names = ['A', 'B', 'C'].slice(0, servers);
    const names = this.#names;
    const pairs = names.map((name, index) => [name, names[(index + 1) % names.length]!]);
    this.groups = names.length === 2 ? [pairs[0]!] : pairs;
    this.histories = Array.from({ length: chunks * blocksPerChunk }, () => ({
      writes: [],
      reads: [],
    }));
    for (const name of names) {
      const store = new SimChunks(`${name}0`, blocksPerChunk * blockBytes, this.random);
      const node = this.#node(name);
      this.servers.push({ name, chunks: store, node, replica: null as unknown as Replica });
    }
    for (const group of this.groups) {
      const insync = group.map((server) => ({ server, store: `${server}0` }));
      const value = encodeConfiguration({ version: 1, insync });
      this.global.commit([], [{ key: `group/${groupOf(group)}`, value }]);
    }
    this.#watchConfigurations();
    for (const server of this.servers) this.#boot(server);
    for (const name of ['G', 'H']) this.gateways.push(this.#gateway(name));
    const nextValue = (): number => {
      this.#values += 1;
      return this.#values;
    };
    const window = { at: 0 };
    const hosts = 2 + this.random.below(4);
    for (let host = 0; host < hosts; host += 1) {
      const { world, random, histories } = this;
      const gateways = () => this.gateways;
      this.hosts.push(
        new Host({ world, random, histories, gateways, window, most: 3, nextValue }, host),
      );
    }
  }

  /** Settings under which a rule that leans on one of them would be missed. */
  #pickTimes(): Times {
    const lease = [2000, 4000, 8000][this.random.below(3)]!;
    const suspect = [600, 1500][this.random.below(2)]!;
    return { lease, heartbeat: 300, suspect, lifetime: 2000 };
  }

  #node(name: string): SimNode {
    this.#processes += 1;
    // Clocks differ by half a per cent in rate and by anything in what they show.
    const rate = 1 + (this.random.below(11) - 5) / 1000;
    return new SimNode(name, this.world, rate, this.random.below(100_000));
  }

  readonly #order = (chunk: Chunk): readonly string[] => {
    const names = this.#names;
    const first = indexOf(chunk) % names.length;
    return [names[first]!, names[(first + 1) % names.length]!];
  };

  #boot(server: Server): void {
    const { node } = server;
    const store = server.chunks.open(node);
    server.replica = new this.#software.Replica(server.name, {
      ...{
        times: this.#times,
        clock: node.clock,
        log: silentLog,
        store,
        blockBytes,
        order: this.#order,
      },
      directory: this.global.client(node),
      peers: this.network.peers(node),
      incarnation: `${server.name}${this.#processes}`,
      chunks: (group) => store.chunks(group),
    });
    const { replica } = server;
    this.network.attach(node, (from, kind, call) => replica.handle(from, kind, call as never));
    for (const group of this.groups) {
      if (group.includes(server.name)) void replica.serve(group);
    }
  }

  #gateway(name: string): Gateway {
    const node = this.#node(name);
    this.network.attach(node, null);
    const client = new this.#software.Client(`${name}${this.#processes}`, {
      clock: node.clock,
      peers: this.network.peers(node),
      chunkBytes: blocksPerChunk * blockBytes,
      order: this.#order,
    });
    return new Gateway(node, client);
  }

  /** Versions only rise, and somebody is always in sync (replication.md, section 9, i). */
  #watchConfigurations(): void {
    const commit = this.global.commit.bind(this.global);
    this.global.commit = (compare, mutate) => {
      const before = mutate.map(({ key }) => this.#configurationAt(key));
      const revision = commit(compare, mutate);
      for (const [index, { key }] of mutate.entries()) {
        const [was, is] = [before[index]!, this.#configurationAt(key)];
        if (was.version >= is.version) this.violations.push(`${key}: the version did not rise`);
        if (is.insync.length < was.insync.length) this.removals += 1;
        if (is.insync.length > was.insync.length) this.admissions += 1;
      }
      return revision;
    };
  }

  #configurationAt(key: string): Configuration {
    return decodeConfiguration(key, this.global.peek(key)!.value);
  }

  configuration(group: readonly string[]): Configuration {
    return this.#configurationAt(`group/${groupOf(group)}`);
  }

  crash(server: Server): void {
    server.node.kill();
    server.replica.stop();
    server.chunks.crash();
  }

  restart(server: Server): void {
    server.node = this.#node(server.name);
    this.#boot(server);
  }

  crashGateway(index: number): void {
    const { node } = this.gateways[index]!;
    node.kill();
    this.gateways[index] = this.#gateway(node.name);
  }

  /** Whether its disks may be lost: in each of its groups somebody else in sync has everything. */
  expendable(server: Server): boolean {
    // A removal that it has sent already would make it the only one in sync.
    if (this.global.changes(server.name)) return false;
    return this.groups
      .filter((group) => group.includes(server.name))
      .every((group) =>
        this.configuration(group).insync.some(({ server: name, store }) => {
          const other = this.servers.find((each) => each.name === name)!;
          return other !== server && other.chunks.id === store;
        }),
      );
  }

  loseDisks(server: Server): void {
    this.crash(server);
    server.chunks.lose(`${server.name}${this.#processes}`);
    this.#processes += 1;
  }

  /** Let `ms` of the world's time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.world.now() + ms;
    let over = false;
    this.world.after(ms, () => {
      over = true;
    });
    for (let steps = 1; !over && this.world.now() <= end; steps += 1) {
      if (!this.world.step()) break;
      await tick();
      if (steps % 2000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Hosts work until `stop`. */
  start(): void {
    for (const host of this.hosts) void host.run(() => this.#writing);
  }

  stop(): void {
    this.#writing = false;
  }

  heal(): void {
    this.network.heal();
    this.network.dropped = 0;
    this.network.doubled = 0;
    this.network.slowMs = 0;
    this.global.heal();
    this.global.lost = 0;
    for (const gateway of this.gateways) gateway.node.thaw();
    for (const server of this.servers) {
      if (server.node.alive) server.node.thaw();
      else this.restart(server);
    }
  }

  /** All copies are in sync and everybody serves. */
  get whole(): boolean {
    return (
      this.groups.every((group) => this.configuration(group).insync.length === group.length) &&
      this.servers.every(({ replica }) =>
        replica.groups.every(({ member }) => member.stage === 'serving'),
      )
    );
  }

  /** Once more through a gateway, all of it; then the histories and the copies are looked at. */
  async check(): Promise<void> {
    for (let end = this.world.now() + 60_000; !this.whole; ) {
      if (this.world.now() > end) {
        this.violations.push(`not whole after a minute: ${this.describe()}`);
        return;
      }
      await this.pass(500);
    }
    await this.#readAll();
    for (const [block, { writes, reads }] of this.histories.entries()) {
      const wrong = judgeRegister(writes, reads);
      if (wrong !== null) this.violations.push(`block ${block}: ${wrong}`);
    }
    await this.pass(2000);
    this.#compareCopies();
  }

  async #readAll(): Promise<void> {
    const start = this.world.now();
    let read = 0;
    for (let index = 0; index < chunks; index += 1) {
      this.gateways[0]!.send((client) => {
        void client.read(0, index * blocksPerChunk * blockBytes, blocksPerChunk * blockBytes).then(
          (data) => {
            this.hosts[0]!.saw(index * blocksPerChunk, data, start);
            read += 1;
          },
          () => {},
        );
      });
    }
    await this.pass(8000);
    if (read < chunks) this.violations.push(`only ${read} of ${chunks} chunks can be read`);
  }

  /** Copies of a clean, quiet group are equal, records included (section 9, viii). */
  #compareCopies(): void {
    for (let index = 0; index < chunks; index += 1) {
      const chunk = chunkOf(0, index);
      const shown = this.#order(chunk).map((name) => {
        const held = this.servers.find((each) => each.name === name)!.chunks.content(chunk);
        if (held === undefined) return 'nothing';
        const records = [...held.executed].sort(([a], [b]) => (a < b ? -1 : 1));
        return JSON.stringify([held.number, [...held.data], held.busy, records]);
      });
      if (shown[0] !== shown[1]) {
        this.violations.push(`the copies of chunk ${index} differ: ${shown.join(' and ')}`);
      }
    }
  }

  describe(): string {
    const stages = this.servers.map(({ name, replica, node }) => {
      const groups = replica.groups.map(
        ({ member }) => `${member.group} ${member.stage} v${member.term.version}`,
      );
      return `${name}${node.alive ? '' : ' (dead)'}: ${groups.join(', ')}`;
    });
    const configurations = this.groups.map((group) => JSON.stringify(this.configuration(group)));
    return [...stages, ...configurations].join('; ');
  }
}

/** All microtasks have run: faster than a turn of the event loop. */
const tick = (): Promise<void> =>
  new Promise((resolve) => {
    process.nextTick(resolve);
  });
