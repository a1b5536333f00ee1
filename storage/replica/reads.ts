/**
 * Reading (replication.md, section 3): any copy in sync, under leases of all others in sync, unless a write to the
 * range is not committed; what was true before an await is looked at again behind the last one.
 */
import type { Copies } from './copies.ts';
import { limits } from './limits.ts';
import type { Locks } from './locks.ts';
import type { Member, Term } from './member.ts';
import type { ReadCall, ReplyOf } from './messages.ts';
import type { Chunk } from './store.ts';

type ReadReply = ReplyOf<'read'>;

export interface ReadsPorts {
  readonly member: Member;
  readonly locks: Locks;
  readonly copies: Copies;
  readonly order: (chunk: Chunk) => readonly string[];
}

export class Reads {
  readonly #ports: ReadsPorts;

  constructor(ports: ReadsPorts) {
    this.#ports = ports;
  }

  async read(call: ReadCall): Promise<ReadReply> {
    const { member, order } = this.#ports;
    const term = await member.serving();
    if (term === null)
      return member.stage === 'out' ? this.#ports.member.redirect : { kind: 'unready' };
    if (call.version !== term.version || !term.member) return this.#ports.member.redirect;
    if (!(await this.#leased(term))) return { kind: 'unready' };
    await member.quiet(term);
    if (term.ended) return { kind: 'unready' };
    if (member.coordinator(order(call.chunk)) === member.name) return this.#locked(call, term);
    return this.#beside(call, term);
  }

  /** Leases of all others in sync; right after a change they need a heartbeat to come. */
  async #leased(term: Term): Promise<boolean> {
    const { member } = this.#ports;
    const { clock } = member.ports;
    const end = clock.now() + limits.readyMs;
    while (!term.ended && !member.leases.valid(term.others, term.version)) {
      if (clock.now() >= end) return false;
      await member.changed(limits.retryMs);
    }
    return !term.ended;
  }

  /** At the coordinator: behind the writes to the range. */
  async #locked(call: ReadCall, term: Term): Promise<ReadReply> {
    const { chunk, offset, length } = call;
    const lock = await this.#ports.locks.acquire(chunk, offset, offset + length, false);
    if (lock === null) return this.#ports.member.redirect;
    try {
      return await this.#answer(call, term);
    } finally {
      lock.release();
    }
  }

  /** At another copy: forwarded while a write to the range is not known to be committed. */
  async #beside(call: ReadCall, term: Term): Promise<ReadReply> {
    const { copies } = this.#ports;
    const { chunk, offset, length } = call;
    if (!copies.uncommitted(chunk, offset, offset + length)) {
      const reply = await this.#answer(call, term);
      if (!copies.uncommitted(chunk, offset, offset + length)) return reply;
    }
    return this.#forward(call);
  }

  async #forward(call: ReadCall): Promise<ReadReply> {
    const { member, order } = this.#ports;
    const coordinator = member.coordinator(order(call.chunk));
    if (coordinator === null || coordinator === member.name) return { kind: 'unready' };
    try {
      return await member.ports.peers.call(coordinator, 'read', call, limits.callMs);
    } catch {
      return { kind: 'unready' };
    }
  }

  async #answer(call: ReadCall, term: Term): Promise<ReadReply> {
    const { member } = this.#ports;
    const { chunk, offset, length } = call;
    const data = await member.ports.store.read(chunk, offset, length);
    const leased = member.leases.valid(term.others, term.version);
    return leased && member.mayAnswer(term) ? { kind: 'data', data } : { kind: 'unready' };
  }
}
