/**
 * One server's part in one group: which configuration it knows, whether it may serve under it, and how the
 * configuration changes (replication.md, sections 1, 2.6, 2.7, 4 and 5).
 *
 *   starting ── bump ──▶ settling ── busy sets exchanged ──▶ serving ⇄ admitting
 *      │                    ▲                                  │
 *      └── not in sync ─▶ out ── admitted ─┘ ◀── removed ──────┘
 *
 * Every new version is a new `Term`. What was begun in one looks, after each await, whether it has ended.
 */
import assert from 'node:assert/strict';
import { type Clock, pause } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { Serial } from '../base/serial.ts';
import type { Directory } from '../cluster/directory.ts';
import {
  type Configuration,
  changeConfiguration,
  type Registered,
  readConfiguration,
} from './configuration.ts';
import { Leases } from './leases.ts';
import { limits, type Times } from './limits.ts';
import type { Peers, Redirect } from './messages.ts';
import type { ChunkStore } from './store.ts';

export interface MemberPorts {
  readonly clock: Clock;
  readonly directory: Directory;
  readonly peers: Peers;
  readonly store: ChunkStore;
  readonly log: Log;
  readonly times: Times;
}

export type Stage = 'starting' | 'out' | 'settling' | 'serving' | 'admitting' | 'stopped';

/** One version of the configuration as one member sees it. */
export interface Term {
  readonly configuration: Configuration;
  readonly version: number;
  /** Whether this server, with this store, is in sync. */
  readonly member: boolean;
  /** The others in sync. */
  readonly others: readonly string[];
  /** Servers of the group that are not. */
  readonly out: readonly string[];
  ended: boolean;
}

/** What the parts of a group do when the configuration changes. */
export interface Parts {
  /** This server is out: what it was doing has never happened. */
  abandon(): void;
  /** Take over what is newer elsewhere; resolves to false when the term ended meanwhile. */
  settle(term: Term): Promise<boolean>;
  /** Writes in flight are taken up again under the new version. */
  resume(term: Term): void;
  /** This server is out and wants back in. */
  comeBack(term: Term): void;
}

export class Member {
  readonly name: string;
  readonly group: string;
  readonly servers: readonly string[];
  readonly ports: MemberPorts;
  readonly leases: Leases;
  readonly #parts: Parts;
  readonly #adopting = new Serial();
  readonly #changing = new Serial();
  readonly #removing = new Set<string>();
  readonly #heard = new Map<string, number>();
  #term: Term;
  #stage: Stage = 'starting';
  #waiting: (() => void)[] = [];
  /** When this server became the coordinator of the chunks whose primary each server is. */
  readonly #became = new Map<string, number>();
  #coordinates: ReadonlySet<string> = new Set();

  constructor(
    name: string,
    group: string,
    servers: readonly string[],
    ports: MemberPorts,
    parts: Parts,
  ) {
    assert(servers.includes(name));
    this.name = name;
    this.group = group;
    this.servers = servers;
    this.ports = ports;
    this.#parts = parts;
    this.leases = new Leases(
      ports.clock,
      ports.times.lease,
      servers.filter((server) => server !== name),
    );
    this.#term = this.#termOf({ version: 0, insync: [] });
  }

  get term(): Term {
    return this.#term;
  }

  get stage(): Stage {
    return this.#stage;
  }

  #termOf(configuration: Configuration): Term {
    const { insync, version } = configuration;
    const servers = insync.map(({ server }) => server);
    const { store } = this.ports;
    return {
      configuration,
      version,
      member: insync.some((each) => each.server === this.name && each.store === store.id),
      others: servers.filter((server) => server !== this.name),
      out: this.servers.filter((server) => !servers.includes(server)),
      ended: false,
    };
  }

  /** For somebody who knows another configuration. */
  get redirect(): Redirect {
    return { kind: 'redirect', configuration: this.#term.configuration };
  }

  /** The first in sync of the order in which a chunk's copies lie. */
  coordinator(order: readonly string[]): string | null {
    const { insync } = this.#term.configuration;
    return order.find((server) => insync.some((each) => each.server === server)) ?? null;
  }

  /** Since when this server coordinates the chunks whose first copy lies on `primary`. */
  became(primary: string): number {
    return this.#became.get(primary) ?? Number.POSITIVE_INFINITY;
  }

  /** Bump, so that every older message is void [H4, H5], or learn that one is out. */
  async start(): Promise<void> {
    while (this.#stage === 'starting') {
      try {
        const registered = await this.#read();
        const { configuration } = registered;
        if (!this.#termOf(configuration).member) await this.#adopt(configuration);
        else await this.#change(registered, raised(configuration));
      } catch (error) {
        this.ports.log.warn({ group: this.group, error }, 'no configuration yet');
        await this.pause(limits.retryMs);
      }
    }
  }

  stop(): void {
    this.#term.ended = true;
    this.#stage = 'stopped';
    this.#parts.abandon();
    this.#wake();
  }

  pause(ms: number): Promise<void> {
    return pause(this.ports.clock, ms);
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Resolves when the stage or the term changes, or after `ms`. */
  changed(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.ports.clock.after(ms, resolve);
      this.#waiting.push(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Resolves to the term under which this server serves, or to null when that takes too long. */
  async serving(ms = limits.readyMs): Promise<Term | null> {
    const { clock } = this.ports;
    for (const end = clock.now() + ms; this.#stage !== 'serving'; ) {
      if (this.#stage === 'out' || this.#stage === 'stopped' || clock.now() >= end) return null;
      await this.changed(end - clock.now());
    }
    return this.#term;
  }

  /**
   * Whether an answer may leave now: this server serves, under the same term, and nobody outside can hold a
   * lease that it granted [H3].
   */
  mayAnswer(term: Term): boolean {
    return !term.ended && this.#stage === 'serving' && this.leases.binding(term.out) === 0;
  }

  /** Wait until no server that is out can hold a lease of ours. */
  async quiet(term: Term): Promise<void> {
    for (let ms = this.leases.binding(term.out); ms > 0 && !term.ended; ) {
      await this.pause(ms);
      ms = this.leases.binding(term.out);
    }
  }

  /** Somebody knows a later version: look it up. */
  async learn(version: number): Promise<void> {
    if (version <= this.#term.version || this.#stage === 'starting') return;
    await this.refresh();
  }

  async refresh(): Promise<void> {
    if (this.#stage === 'starting' || this.#stage === 'stopped') return;
    const { configuration } = await this.#read();
    await this.#adopt(configuration);
  }

  #read(): Promise<Registered> {
    return readConfiguration(this.ports.directory, this.group);
  }

  /** From now on this version holds here; resolves when it does, durably. */
  #adopt(configuration: Configuration): Promise<void> {
    return this.#adopting.run(async () => {
      const first = this.#stage === 'starting';
      if (this.#stage === 'stopped') return;
      if (configuration.version <= this.#term.version) return;
      const before = this.#term;
      before.ended = true;
      const term = this.#termOf(configuration);
      this.#term = term;
      this.#stage = 'settling';
      this.#removing.clear();
      this.leases.drop();
      for (const server of term.others) this.#heard.set(server, this.ports.clock.now());
      if (!term.member) this.#parts.abandon();
      this.#takeOver(term);
      const { store } = this.ports;
      await store.setVersion(this.group, term.version, term.member);
      if (this.#isStopped()) return;
      if (!term.member) {
        this.#stage = 'out';
        this.#parts.comeBack(term);
      } else {
        // What is busy is missing from all that are out [H7], durably before anything is answered.
        for (const server of term.out) {
          await store.addStale(this.group, server, store.busy(this.group));
        }
        const admitted = !first && !before.member;
        const marked = admitted ? this.servers : term.others;
        void this.#serve(term, marked);
      }
      this.#wake();
    });
  }

  #isStopped(): boolean {
    return this.#stage === 'stopped';
  }

  #takeOver(term: Term): void {
    const now = new Set(this.servers.filter((primary) => this.#isCoordinatorFor(primary, term)));
    for (const primary of now) {
      if (!this.#coordinates.has(primary)) this.#became.set(primary, this.ports.clock.now());
    }
    for (const primary of this.servers) if (!now.has(primary)) this.#became.delete(primary);
    this.#coordinates = now;
  }

  #isCoordinatorFor(primary: string, term: Term): boolean {
    if (!term.member) return false;
    return primary === this.name || !term.others.includes(primary);
  }

  /** The copies are made one, then this server serves. Marks of those in sync are of the past. */
  async #serve(term: Term, marked: readonly string[]): Promise<void> {
    if (term.others.length > 0 && !(await this.#parts.settle(term))) return;
    if (term.ended) return;
    try {
      for (const server of marked) {
        if (!term.out.includes(server)) await this.ports.store.dropStale(this.group, server);
      }
    } catch {
      return; // The store has failed: nothing is served.
    }
    if (term.ended) return;
    this.#stage = 'serving';
    this.#parts.resume(term);
    this.#wake();
  }

  /** A heartbeat of `server` came: whether it gets a lease [H1]. */
  grants(server: string, version: number): boolean {
    const { member, others, version: known } = this.#term;
    const between = this.#stage !== 'starting' && this.#stage !== 'stopped' && version === known;
    if (!between || !member || !others.includes(server) || this.#removing.has(server)) return false;
    this.leases.grant(server);
    return true;
  }

  heard(server: string): void {
    this.#heard.set(server, this.ports.clock.now());
  }

  /** Nothing came from it for so long that its removal should be tried. */
  suspects(server: string): boolean {
    const now = this.ports.clock.now();
    return now - (this.#heard.get(server) ?? now) > this.ports.times.suspect;
  }

  /** Take `server` out of sync; resolves when it is, or when this term has ended some other way. */
  async remove(term: Term, server: string): Promise<void> {
    if (term.ended || !term.member || this.#removing.has(server)) return;
    this.#removing.add(server);
    const { version, configuration } = term;
    const insync = configuration.insync.filter((each) => each.server !== server);
    if (insync.length > 0) await this.#changeFrom(term, { version: version + 1, insync });
    // It was not removed: a lease may be granted again.
    if (!term.ended) this.#removing.delete(server);
  }

  /** Take `server` into sync. From the sending until the outcome is known nothing is answered [H6]. */
  async admit(term: Term, server: string, store: string): Promise<void> {
    assert(this.#stage === 'serving' && !term.ended);
    this.#stage = 'admitting';
    const insync = [...term.configuration.insync, { server, store }];
    await this.#changeFrom(term, { version: term.version + 1, insync });
    if (!term.ended && this.#stage === 'admitting') this.#stage = 'serving';
    this.#wake();
  }

  /** This server's store failed: say so, if another remains, and serve no more. */
  async leave(): Promise<void> {
    if (this.#term.others.length > 0) await this.remove(this.#term, this.name);
    this.stop();
  }

  async #changeFrom(term: Term, to: Configuration): Promise<void> {
    try {
      const registered = await this.#read();
      if (registered.configuration.version !== term.version) {
        await this.#adopt(registered.configuration);
        return;
      }
      if (!term.ended) await this.#change(registered, to);
    } catch (error) {
      this.ports.log.warn({ group: this.group, error }, 'the configuration was not changed');
    }
  }

  /** One change; when it resolves its outcome is known and holds here, or it did not take place. */
  #change(registered: Registered, to: Configuration): Promise<void> {
    return this.#changing.run(async () => {
      const { directory } = this.ports;
      try {
        await changeConfiguration(directory, this.group, registered, to);
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        if (error.code === 'UNKNOWN_OUTCOME')
          await this.#settleUnknown(registered.configuration.version);
        else if (error.code === 'CONFLICT') await this.#adopt((await this.#read()).configuration);
        else throw error;
        return;
      }
      await this.#adopt(to);
    });
  }

  /**
   * It may have taken effect or do so later. Once a later version is known it cannot any more, and what holds is
   * known: a bump sees to that, and until then nothing is answered [H3, H6].
   */
  async #settleUnknown(from: number): Promise<void> {
    if (this.#term.version <= from && this.#stage !== 'starting') {
      this.#stage = 'settling';
      this.#term.ended = true;
    }
    while (this.#term.version <= from && !this.#isStopped()) {
      try {
        const registered = await this.#read();
        let to = registered.configuration;
        if (this.#termOf(to).member) {
          to = raised(to);
          await changeConfiguration(this.ports.directory, this.group, registered, to);
        }
        await this.#adopt(to);
      } catch {
        await this.pause(limits.retryMs);
      }
    }
  }
}

function raised(configuration: Configuration): Configuration {
  return { ...configuration, version: configuration.version + 1 };
}
