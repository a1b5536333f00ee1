/**
 * Coming back (replication.md, section 5). The server that is out asks to join; the coordinator gives it chunk by
 * chunk what it has not got, forwards new writes meanwhile, and admits it when it has everything.
 */
import type { Copies } from './copies.ts';
import { limits } from './limits.ts';
import type { Locks } from './locks.ts';
import type { Member, Term } from './member.ts';
import type { CallOf, ReplyOf } from './messages.ts';
import type { Chunk, ChunkWrite } from './store.ts';
import type { Writes } from './writes.ts';

/** At the coordinator. */
interface Session {
  readonly number: number;
  readonly term: Term;
  readonly server: string;
  readonly store: string;
  /** What it has not got, or may have got wrong: its content counts as absent. */
  readonly missing: Set<Chunk>;
  /** Forwards without an answer yet. */
  unsettled: number;
  /** It does not answer any more, or has begun anew. */
  ended: boolean;
}

export interface JoiningPorts {
  readonly member: Member;
  readonly locks: Locks;
  readonly writes: () => Writes;
  readonly copies: Copies;
  /** Every chunk that the group has here: what a server with empty disks lacks. */
  readonly all: () => readonly Chunk[];
}

export class Joining {
  readonly #ports: JoiningPorts;
  #session: Session | null = null;
  #numbers = 0;

  constructor(ports: JoiningPorts) {
    this.#ports = ports;
  }

  /** Somebody who is out asks. */
  async join(from: string, call: CallOf<'join'>): Promise<ReplyOf<'join'>> {
    const { member, writes, all } = this.#ports;
    await member.learn(call.version);
    const { term } = member;
    if (call.version !== term.version) return member.redirect;
    // In sync with another store: what it had is gone, and the configuration does not know yet.
    const synced = term.configuration.insync.find(({ server }) => server === from);
    if (synced !== undefined && synced.store !== call.store) void member.remove(term, from);
    if (!term.out.includes(from) || !member.mayAnswer(term)) return { kind: 'unready' };
    const { store } = member.ports;
    const busy = [...store.busy(member.group), ...writes().chunks];
    const lacking = call.busy === null ? all() : [...call.busy, ...busy];
    this.#numbers += 1;
    // Above those of every earlier term and start.
    const number = term.version * 2 ** 20 + this.#numbers;
    if (this.#session !== null) this.#session.ended = true;
    // Whatever comes from now on is forwarded; what was before is in the set.
    const missing = new Set([...store.stale(member.group, from), ...lacking]);
    const session: Session = {
      ...{ number, term, server: from, store: call.store, missing },
      ...{ unsettled: 0, ended: false },
    };
    this.#session = session;
    try {
      await store.addStale(member.group, from, lacking);
    } catch {
      return { kind: 'unready' };
    }
    if (!this.#lives(session)) return { kind: 'unready' };
    void this.#fill(session);
    return { kind: 'joining', session: number };
  }

  #lives(session: Session): boolean {
    return !session.ended && !session.term.ended && this.#session === session;
  }

  /** A new write, for whoever is joining; a chunk whose forward fails is missing again. */
  forward(term: Term, write: ChunkWrite): void {
    const session = this.#session;
    if (session === null || !this.#lives(session) || session.missing.has(write.chunk)) return;
    session.unsettled += 1;
    void this.#send(session, term, write).then((good) => {
      session.unsettled -= 1;
      if (!good) session.missing.add(write.chunk);
    });
  }

  async #send(session: Session, term: Term, write: ChunkWrite): Promise<boolean> {
    const { member } = this.#ports;
    const { peers } = member.ports;
    const call = { group: member.group, version: term.version, write, session: session.number };
    try {
      const reply = await peers.call(session.server, 'replicate', call, limits.callMs);
      return reply.kind === 'done';
    } catch {
      return false;
    }
  }

  async #fill(session: Session): Promise<void> {
    const { member } = this.#ports;
    for (let failures = 0; this.#lives(session); ) {
      const [chunk] = session.missing;
      if (chunk !== undefined) {
        if (await this.#give(session, chunk)) {
          failures = 0;
          continue;
        }
        failures += 1;
        // It asks again when it is back.
        if (failures > limits.joinFailures) session.ended = true;
        await member.pause(limits.retryMs);
      } else if (session.unsettled > 0) {
        await member.pause(limits.committedMs);
      } else {
        await this.#admit(session);
      }
    }
  }

  /** One chunk, under its lock, so that forwards come on top of it. */
  async #give(session: Session, chunk: Chunk): Promise<boolean> {
    const { member, locks } = this.#ports;
    const lock = await locks.acquire(chunk, 0, Number.POSITIVE_INFINITY, true);
    if (lock === null) return false;
    try {
      if (!this.#lives(session)) return false;
      const copy = await member.ports.store.copy(chunk);
      const { term, number } = session;
      const call = { group: member.group, version: term.version, session: number, chunk, copy };
      const reply = await member.ports.peers.call(session.server, 'install', call, limits.callMs);
      if (reply.kind !== 'done') return false;
      session.missing.delete(chunk);
      return true;
    } catch {
      return false;
    } finally {
      lock.release();
    }
  }

  /** With nothing in flight and nothing missing; new writes wait. */
  async #admit(session: Session): Promise<void> {
    const { member, writes } = this.#ports;
    await writes().hold();
    try {
      while (this.#lives(session) && session.unsettled > 0) await member.pause(limits.committedMs);
      if (!this.#lives(session) || session.missing.size > 0) return;
      if (!member.mayAnswer(session.term)) return;
      await member.admit(session.term, session.server, session.store);
    } finally {
      writes().release();
    }
    // The Directory did not answer: not at once again.
    if (this.#lives(session)) await member.pause(limits.retryMs);
  }

  /** This server is out: ask whoever is in until one takes it, and again when nothing comes of it. */
  async comeBack(term: Term): Promise<void> {
    const { member, copies } = this.#ports;
    const { store, peers } = member.ports;
    copies.joins(null);
    while (!term.ended) {
      for (const { server } of term.configuration.insync) {
        if (term.ended || server === member.name) continue;
        const busy = store.wasMember(member.group) ? store.busy(member.group) : null;
        const call = { group: member.group, version: term.version, store: store.id, busy };
        try {
          const reply = await peers.call(server, 'join', call, limits.callMs);
          if (term.ended) return;
          if (reply.kind === 'redirect') await member.learn(reply.configuration.version);
          else if (reply.kind === 'joining') copies.joins(reply.session);
        } catch {
          // It is not there; later.
        }
      }
      await this.#waits(term);
    }
  }

  /** A joining shows by what comes in; when nothing did for a while it is dead. */
  async #waits(term: Term): Promise<void> {
    const { member, copies } = this.#ports;
    for (let seen = -1; !term.ended && seen !== copies.received; ) {
      seen = copies.received;
      await member.pause(member.ports.times.suspect);
      await member.refresh().catch(() => {});
    }
  }
}
