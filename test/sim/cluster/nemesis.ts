/** What goes wrong in a simulated cluster, and how often it did. */
import type { Cluster } from './cluster.ts';
import type { SimNode } from './node.ts';

export type FaultKind =
  | 'crash'
  | 'powerLoss'
  | 'freeze'
  | 'freezeGateway'
  | 'crashGateway'
  | 'crashWithGateways'
  | 'cut'
  | 'cutOneWay'
  | 'crashBehindCut'
  | 'loss'
  | 'doubled'
  | 'slow'
  | 'directoryAway'
  | 'directoryAwayForAll'
  | 'directoryLost'
  | 'disksLost';

/** As often as they stand here. */
const kinds: readonly FaultKind[] = [
  ...(['crash', 'crash', 'crash', 'powerLoss', 'powerLoss', 'freeze', 'freeze'] as const),
  ...(['freezeGateway', 'freezeGateway', 'freezeGateway', 'crashGateway'] as const),
  ...(['crashWithGateways', 'crashWithGateways', 'crashWithGateways'] as const),
  ...([
    'cut',
    'cut',
    'cutOneWay',
    'cutOneWay',
    'crashBehindCut',
    'crashBehindCut',
    'loss',
    'doubled',
    'slow',
    'slow',
  ] as const),
  ...(['directoryAway', 'directoryAwayForAll', 'directoryLost', 'disksLost'] as const),
];

export class Nemesis {
  readonly counts = new Map<FaultKind, number>();
  readonly #cluster: Cluster;
  /** Each seed leaves some out, so that the others meet (swarm testing, Groce et al., 2012). */
  readonly #kinds: readonly FaultKind[];
  /** Up to so long between two. */
  readonly #gapMs: number;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    const { random } = cluster;
    const without = new Set(kinds.filter(() => random.below(4) === 0));
    const left = kinds.filter((kind) => !without.has(kind));
    // Something must take a server out of sync.
    this.#kinds = [...left, 'crash'];
    this.#gapMs = [200, 800, 2000][random.below(3)]!;
  }

  get faults(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** One fault after the other, some at once, for `ms`. */
  async rage(ms: number): Promise<void> {
    const { world, random } = this.#cluster;
    for (const end = world.now() + ms; world.now() < end; ) {
      const kind = this.#kinds[random.below(this.#kinds.length)]!;
      if (this.#strike(kind)) this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      await this.#cluster.pass(20 + random.below(this.#gapMs));
    }
  }

  /** A server is away for long. */
  async outage(): Promise<void> {
    const { servers, random } = this.#cluster;
    const server = servers[random.below(servers.length)]!;
    if (server.node.alive) this.#cluster.crash(server);
    this.counts.set('crash', (this.counts.get('crash') ?? 0) + 1);
    await this.#cluster.pass(5000);
    if (!server.node.alive) this.#cluster.restart(server);
  }

  /** Short ones are no failures, long ones are. */
  #span(): number {
    const { random } = this.#cluster;
    return random.below(3) === 0 ? random.below(6000) : random.below(600);
  }

  #strike(kind: FaultKind): boolean {
    const { random, servers, network, global, world, gateways } = this.#cluster;
    const server = servers[random.below(servers.length)]!;
    const gateway = gateways[random.below(gateways.length)]!;
    const others = [...servers.filter((each) => each !== server).map(({ name }) => name), 'G', 'H'];
    const other = others[random.below(others.length)]!;
    const later = (undo: () => void): boolean => {
      world.after(this.#span(), undo);
      return true;
    };
    switch (kind) {
      case 'crash':
        return this.#crash(() => this.#cluster.crash(server), server);
      case 'powerLoss':
        for (const each of servers) this.#crash(() => this.#cluster.crash(each), each);
        return true;
      case 'disksLost':
        if (!this.#cluster.expendable(server)) return false;
        return this.#crash(() => this.#cluster.loseDisks(server), server);
      case 'freeze':
        return freeze(server.node, later);
      case 'freezeGateway':
        return freeze(gateway.node, later);
      case 'crashGateway':
        this.#cluster.crashGateway(random.below(gateways.length));
        return true;
      case 'crashWithGateways':
        // Nobody is left to send again what was half done.
        for (const index of gateways.keys()) this.#cluster.crashGateway(index);
        if (random.below(3) > 0) return this.#crash(() => this.#cluster.crash(server), server);
        for (const each of servers) this.#crash(() => this.#cluster.crash(each), each);
        return true;
      case 'cut':
        network.cut(other, server.name);
        network.cut(server.name, other);
        return later(() => network.heal());
      case 'crashBehindCut':
        return this.#crashBehindCut(server);
      case 'cutOneWay':
        if (random.below(2) === 0) network.cut(other, server.name);
        else network.cut(server.name, other);
        return later(() => network.heal());
      case 'loss':
        network.dropped = random.below(300);
        return later(() => {
          network.dropped = 0;
        });
      case 'doubled':
        network.doubled = random.below(500);
        return later(() => {
          network.doubled = 0;
        });
      case 'slow':
        network.slowMs = random.below(3000);
        return later(() => {
          network.slowMs = 0;
        });
      case 'directoryAway':
        global.cut(server.name);
        return later(() => global.heal());
      case 'directoryAwayForAll':
        global.cut('*');
        return later(() => global.heal());
      case 'directoryLost':
        global.lost = random.below(700);
        return later(() => {
          global.lost = 0;
        });
    }
  }

  /** A server restarts soon, and cannot talk to the others, who go on serving what they may. */
  #crashBehindCut(server: Cluster['servers'][number]): boolean {
    const { servers, network, global, world, random } = this.#cluster;
    // Sometimes they do not hear of it from the Directory either.
    const deaf = random.below(2) === 0;
    for (const { name } of servers) {
      network.cut(name, server.name);
      network.cut(server.name, name);
      if (deaf && name !== server.name) global.cut(name);
    }
    world.after(2000 + random.below(6000), () => {
      network.heal();
      global.heal();
    });
    return this.#crash(() => this.#cluster.crash(server), server, random.below(300));
  }

  #crash(strike: () => void, server: Cluster['servers'][number], awayMs = this.#span()): boolean {
    if (!server.node.alive) return false;
    strike();
    this.#cluster.world.after(awayMs, () => {
      if (!server.node.alive) this.#cluster.restart(server);
    });
    return true;
  }
}

function freeze(node: SimNode, later: (undo: () => void) => boolean): boolean {
  if (node.clock.frozen) return false;
  node.freeze();
  return later(() => node.thaw());
}
