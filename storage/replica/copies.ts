/**
 * The copy's side of writing: apply on top of the write before [H12], tell when durable, and know what is not
 * committed yet, so that no reader sees it here (replication.md, sections 2.3, 2.4 and 3c).
 */
import type { Member } from './member.ts';
import type { CallOf, ReplyOf } from './messages.ts';
import { compareNumbers, type WriteNumber } from './number.ts';
import type { Chunk, ChunkWrite } from './store.ts';

interface Uncommitted {
  readonly number: WriteNumber;
  readonly from: number;
  readonly to: number;
}

export class Copies {
  readonly #member: Member;
  readonly #uncommitted = new Map<Chunk, Uncommitted[]>();
  /** Number → its append: a write that comes again is durable when the first one is. */
  readonly #appending = new Map<string, Promise<void>>();
  /** The joining that forwards are taken for; null: none. */
  #session: number | null = null;
  /** Forwards and chunks that came for a joining: it lives. */
  received = 0;
  /** What was taken over in this joining, up to which number. */
  readonly #taken = new Map<Chunk, WriteNumber>();

  constructor(member: Member) {
    this.#member = member;
  }

  async replicate(call: CallOf<'replicate'>): Promise<ReplyOf<'replicate'>> {
    const member = this.#member;
    await member.learn(call.version);
    if (call.session === null && call.version === member.term.version) await member.serving();
    const { term } = member;
    if (call.version !== term.version) return member.redirect;
    if (call.session === null ? member.stage !== 'serving' : call.session !== this.#session) {
      return { kind: 'unready' };
    }
    const { store } = member.ports;
    const { chunk, number, previous } = call.write;
    const here = store.number(chunk);
    const key = `${chunk}/${number.version}.${number.counter}`;
    if (compareNumbers(number, here) > 0) {
      if (compareNumbers(previous, here) !== 0) return { kind: 'gap' };
      if (call.session === null) this.#note(call.write);
      else {
        this.#taken.set(chunk, number);
        this.received += 1;
      }
      const append = store.append(member.group, call.write);
      this.#appending.set(key, append);
      append.then(
        () => this.#appending.delete(key),
        () => member.leave(),
      );
    }
    try {
      await this.#appending.get(key);
    } catch {
      return { kind: 'unready' };
    }
    return term.ended ? member.redirect : { kind: 'done' };
  }

  #note({ chunk, number, offset, data }: ChunkWrite): void {
    const entry = { number, from: offset, to: offset + data.length };
    const entries = this.#uncommitted.get(chunk);
    if (entries === undefined) this.#uncommitted.set(chunk, [entry]);
    else entries.push(entry);
  }

  /** Whether something in bytes [from, to) of the chunk was applied here and not heard committed. */
  uncommitted(chunk: Chunk, from: number, to: number): boolean {
    const entries = this.#uncommitted.get(chunk);
    return entries?.some((entry) => entry.from < to && from < entry.to) ?? false;
  }

  async committed(call: CallOf<'committed'>): Promise<ReplyOf<'committed'>> {
    const member = this.#member;
    await member.learn(call.version);
    if (call.version !== member.term.version || member.stage !== 'serving') {
      return member.redirect;
    }
    for (const [chunk, number] of call.upTo) {
      const left = this.#uncommitted
        .get(chunk)
        ?.filter((entry) => compareNumbers(entry.number, number) > 0);
      if (left === undefined || left.length === 0) this.#uncommitted.delete(chunk);
      else this.#uncommitted.set(chunk, left);
      member.ports.store.settle(chunk, number);
    }
    return { kind: 'done' };
  }

  /** The copies are one: what was under way is either in all of them or in none. */
  forget(): void {
    this.#uncommitted.clear();
  }

  /** Forwards and whole chunks are taken for this joining from now on. */
  joins(session: number | null): void {
    this.#session = session;
    this.#taken.clear();
  }

  /**
   * A whole chunk for this joining. One that was overtaken by forwards on top of a later copy is not taken
   * again: numbers of before the joining count for nothing [H9].
   */
  async install(call: CallOf<'install'>): Promise<ReplyOf<'install'>> {
    const member = this.#member;
    const { term } = member;
    const { chunk, copy } = call;
    if (call.version !== term.version) return member.redirect;
    if (call.session !== this.#session) return { kind: 'unready' };
    this.received += 1;
    const taken = this.#taken.get(chunk);
    if (taken === undefined || compareNumbers(taken, copy.number) < 0) {
      this.#taken.set(chunk, copy.number);
      await member.ports.store.install(member.group, chunk, copy, false);
    }
    return term.ended ? { kind: 'unready' } : { kind: 'done' };
  }
}
