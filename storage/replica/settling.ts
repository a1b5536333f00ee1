/**
 * Making the copies one under a new version (replication.md, section 5, "a restart while still in sync"): the
 * members exchange what is busy; of each busy chunk the higher number is taken, with its records. Any choice
 * would be legal, since nothing uncommitted was ever shown; but it must be one.
 */
import type { Copies } from './copies.ts';
import { limits } from './limits.ts';
import type { Member, Term } from './member.ts';
import type { CallOf, Redirect, ReplyOf, Unready } from './messages.ts';
import { compareNumbers, type WriteNumber } from './number.ts';
import type { Chunk } from './store.ts';

interface Progress {
  readonly term: Term;
  /** All that was newer elsewhere is here, and all that is here is durable: a reader may see it elsewhere. */
  readonly taken: Promise<boolean>;
}

export class Settling {
  readonly #member: Member;
  readonly #copies: Copies;
  #progress: Progress | null = null;

  constructor(member: Member, copies: Copies) {
    this.#member = member;
    this.#copies = copies;
  }

  /** False: the term ended meanwhile. */
  async settle(term: Term): Promise<boolean> {
    this.#copies.joins(null);
    const taken = this.#takeFromAll(term);
    this.#progress = { term, taken };
    if (!(await taken)) return false;
    for (const other of term.others) {
      const done = await this.#ask(term, other, 'settled', () => true);
      if (done === null) return false;
    }
    if (term.ended) return false;
    // Every member has the same, durably: nothing is busy until the next write.
    const { store } = this.#member.ports;
    for (const chunk of store.busy(this.#member.group)) store.settle(chunk, store.number(chunk));
    this.#copies.forget();
    return true;
  }

  async #takeFromAll(term: Term): Promise<boolean> {
    for (const other of term.others) {
      const chunks = await this.#ask(term, other, 'exchange', (reply) =>
        reply.kind === 'busy' ? reply.chunks : null,
      );
      if (chunks === null) return false;
      for (const [chunk, number] of chunks) {
        if (!(await this.#take(term, other, chunk, number))) return false;
      }
    }
    await this.#member.ports.store.flush();
    return !term.ended;
  }

  async #take(term: Term, other: string, chunk: Chunk, number: WriteNumber): Promise<boolean> {
    const { store, peers } = this.#member.ports;
    const { group } = this.#member;
    while (!term.ended) {
      if (compareNumbers(number, store.number(chunk)) <= 0) return true;
      try {
        const call = { group, version: term.version, chunk };
        const reply = await peers.call(other, 'fetch', call, limits.callMs);
        if (term.ended) return false;
        if (reply.kind === 'copy') {
          await store.install(group, chunk, reply.copy, true);
          return !term.ended;
        }
      } catch {
        if (this.#member.suspects(other)) await this.#member.remove(term, other);
      }
      await this.#member.pause(limits.retryMs);
    }
    return false;
  }

  /** Until it answers what is wanted; null: the term ended. One that never does is removed. */
  async #ask<K extends 'exchange' | 'settled', T>(
    term: Term,
    other: string,
    kind: K,
    wanted: (reply: ReplyOf<K>) => T | null,
  ): Promise<T | null> {
    const member = this.#member;
    const call = { group: member.group, version: term.version };
    while (!term.ended) {
      try {
        const reply = await member.ports.peers.call(other, kind, call, limits.callMs);
        if (term.ended) return null;
        const result = wanted(reply);
        if (reply.kind === 'redirect') await member.learn(reply.configuration.version);
        else if (reply.kind !== 'unready' && result !== null) return result;
      } catch {
        // No answer; its heartbeats tell whether it is there.
      }
      if (term.ended) return null;
      if (member.suspects(other)) await member.remove(term, other);
      await member.pause(limits.retryMs);
    }
    return null;
  }

  /** Progress under the version of the call, or why there is none. */
  async #at(call: CallOf<'exchange'>): Promise<Progress | Redirect | Unready> {
    const member = this.#member;
    await member.learn(call.version);
    const { term } = member;
    if (term.version !== call.version) return member.redirect;
    const progress = this.#progress;
    return progress === null || progress.term !== term ? { kind: 'unready' } : progress;
  }

  async exchange(call: CallOf<'exchange'>): Promise<ReplyOf<'exchange'>> {
    const progress = await this.#at(call);
    if ('kind' in progress) return progress;
    const { store } = this.#member.ports;
    const chunks = store
      .busy(this.#member.group)
      .map((chunk) => [chunk, store.number(chunk)] as const);
    return { kind: 'busy', chunks };
  }

  async settled(call: CallOf<'settled'>): Promise<ReplyOf<'settled'>> {
    const progress = await this.#at(call);
    if ('kind' in progress) return progress;
    return (await progress.taken) ? { kind: 'done' } : { kind: 'unready' };
  }

  async fetch(call: CallOf<'fetch'>): Promise<ReplyOf<'fetch'>> {
    const progress = await this.#at(call);
    if ('kind' in progress) return progress;
    const copy = await this.#member.ports.store.copy(call.chunk);
    return progress.term.ended ? { kind: 'unready' } : { kind: 'copy', copy };
  }
}
