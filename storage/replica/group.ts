/** One group on one of its servers: its parts, put together, and its heartbeats. */
import { Arrivals } from './arrivals.ts';
import { Copies } from './copies.ts';
import { Joining } from './joining.ts';
import { limits } from './limits.ts';
import { Locks } from './locks.ts';
import { Member, type MemberPorts, type Term } from './member.ts';
import type { CallOf, ReplyOf } from './messages.ts';
import { Reads } from './reads.ts';
import { Settling } from './settling.ts';
import type { Chunk } from './store.ts';
import { Writes } from './writes.ts';

export interface GroupPorts extends MemberPorts {
  /** Of this start of this server. */
  readonly incarnation: string;
  /** Bytes of a block: overtaking is remembered by block. */
  readonly blockBytes: number;
  /** Where the copies of a chunk lie, the first one first. */
  readonly order: (chunk: Chunk) => readonly string[];
  /** Chunks of this group that hold anything here. */
  readonly chunks: (group: string) => readonly Chunk[];
}

export class Group {
  readonly member: Member;
  readonly writes: Writes;
  readonly reads: Reads;
  readonly copies: Copies;
  readonly settling: Settling;
  readonly joining: Joining;
  readonly #locks = new Locks();

  constructor(name: string, group: string, servers: readonly string[], ports: GroupPorts) {
    const { incarnation, order } = ports;
    const member = new Member(name, group, servers, ports, {
      abandon: () => this.#abandon(),
      settle: (term) => this.settling.settle(term),
      resume: (term) => this.#resume(term),
      comeBack: (term) => void this.joining.comeBack(term),
    });
    this.member = member;
    const locks = this.#locks;
    const copies = new Copies(member);
    this.copies = copies;
    this.settling = new Settling(member, copies);
    this.joining = new Joining({
      ...{ member, locks, copies },
      writes: () => this.writes,
      all: () => ports.chunks(group),
    });
    this.writes = new Writes({
      ...{ member, locks, incarnation, order },
      arrivals: new Arrivals(ports.clock, ports.times.lifetime, ports.blockBytes),
      forward: (term, write) => this.joining.forward(term, write),
    });
    this.reads = new Reads({ member, locks, copies, order });
  }

  /** Resolves when the first configuration is known here. */
  async start(): Promise<void> {
    void this.#beats();
    await this.member.start();
  }

  stop(): void {
    this.member.stop();
  }

  #abandon(): void {
    this.writes.abandon();
    this.#locks.dispose();
    this.copies.forget();
    this.copies.joins(null);
  }

  #resume(term: Term): void {
    for (const other of term.others) void this.#beat(other);
    this.writes.resume(term);
  }

  async #beats(): Promise<void> {
    const { member } = this;
    while (member.stage !== 'stopped') {
      for (const other of member.term.others) void this.#beat(other);
      await member.pause(member.ports.times.heartbeat);
    }
  }

  async #beat(other: string): Promise<void> {
    const { member } = this;
    const { term } = member;
    const { clock, peers } = member.ports;
    const asked = clock.now();
    try {
      const call = { group: member.group, version: term.version };
      const reply = await peers.call(other, 'heartbeat', call, limits.callMs);
      member.heard(other);
      if (reply.granted && !term.ended) member.leases.hold(other, term.version, asked);
      await member.learn(reply.version);
    } catch {
      if (!term.ended && member.suspects(other)) await member.remove(term, other);
    }
  }

  async heartbeat(from: string, call: CallOf<'heartbeat'>): Promise<ReplyOf<'heartbeat'>> {
    const { member } = this;
    const granted = member.grants(from, call.version);
    if (call.version > member.term.version) void member.learn(call.version).catch(() => {});
    return { granted, version: member.term.version };
  }
}
