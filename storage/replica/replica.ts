/** The replicating part of a server: its groups, and who may ask them what. */
import assert from 'node:assert/strict';
import { StorageError } from '../base/errors.ts';
import { groupOf } from './configuration.ts';
import { Group, type GroupPorts } from './group.ts';
import { checkTimes } from './limits.ts';
import type { CallOf, Kind, ReplyOf } from './messages.ts';

export class Replica {
  readonly #name: string;
  readonly #ports: GroupPorts;
  readonly #groups = new Map<string, Group>();

  constructor(name: string, ports: GroupPorts) {
    checkTimes(ports.times);
    this.#name = name;
    this.#ports = ports;
  }

  /** This server holds copies together with the others of `servers`. */
  async serve(servers: readonly string[]): Promise<void> {
    const name = groupOf(servers);
    assert(!this.#groups.has(name));
    const group = new Group(this.#name, name, servers, this.#ports);
    this.#groups.set(name, group);
    await group.start();
  }

  get groups(): readonly Group[] {
    return [...this.#groups.values()];
  }

  stop(): void {
    for (const group of this.#groups.values()) group.stop();
  }

  /** INVALID: no such group here, or none of yours. BUSY: the Directory does not answer. */
  async handle<K extends Kind>(from: string, kind: K, call: CallOf<K>): Promise<ReplyOf<K>> {
    if (kind === 'clock') {
      const { clock, incarnation } = this.#ports;
      return { now: clock.now(), incarnation } as ReplyOf<K>;
    }
    const handler = handlers[kind as Exclude<K, 'clock'>] as unknown as Handler<K>;
    const name = (call as { readonly group: string }).group;
    const group = this.#groups.get(name);
    if (group === undefined) throw new StorageError('INVALID', `there is no group ${name} here`);
    if (!open.has(kind) && !group.member.servers.includes(from)) {
      throw new StorageError('INVALID', `${from} is not of group ${name}`);
    }
    return handler(group, from, call);
  }
}

type Handler<K extends Kind> = (group: Group, from: string, call: CallOf<K>) => Promise<ReplyOf<K>>;

/** What gateways ask; all else is between the servers of a group. */
const open: ReadonlySet<Kind> = new Set<Kind>(['write', 'read']);

const handlers: { readonly [K in Exclude<Kind, 'clock'>]: Handler<K> } = {
  write: (group, _from, call) => group.writes.write(call),
  read: (group, _from, call) => group.reads.read(call),
  replicate: (group, _from, call) => group.copies.replicate(call),
  committed: (group, _from, call) => group.copies.committed(call),
  heartbeat: (group, from, call) => group.heartbeat(from, call),
  exchange: (group, _from, call) => group.settling.exchange(call),
  fetch: (group, _from, call) => group.settling.fetch(call),
  settled: (group, _from, call) => group.settling.settled(call),
  join: (group, from, call) => group.joining.join(from, call),
  install: (group, _from, call) => group.copies.install(call),
};
