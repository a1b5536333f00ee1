/**
 * A server's chunks in memory, with what a crash does to them: calls are durable in order, some time after they
 * were made, and a crash keeps all up to some point. A handle belongs to one process and dies with it.
 */
import { AssertionError } from 'node:assert';
import { nothingExecuted, withExecuted } from '#storage/replica/executed.ts';
import { compareNumbers, noNumber, type WriteNumber } from '#storage/replica/number.ts';
import type { Chunk, ChunkCopy, ChunkStore, ChunkWrite } from '#storage/replica/store.ts';
import type { SimRandom } from '../random.ts';
import type { SimNode } from './node.ts';

interface Held extends ChunkCopy {
  readonly busy: boolean;
  readonly group: string;
}

/** Never changed in place. */
interface State {
  readonly versions: ReadonlyMap<string, number>;
  readonly members: ReadonlySet<string>;
  readonly chunks: ReadonlyMap<Chunk, Held>;
  readonly stale: ReadonlyMap<string, ReadonlySet<Chunk>>;
}

const blank: State = {
  versions: new Map(),
  members: new Set(),
  chunks: new Map(),
  stale: new Map(),
};

export class SimChunks {
  readonly #random: SimRandom;
  readonly #chunkBytes: number;
  #id: string;
  #durable: State = blank;
  /** Made and not durable, in order: the state behind each. */
  #pending: State[] = [];
  #opened = 0;

  constructor(id: string, chunkBytes: number, random: SimRandom) {
    this.#id = id;
    this.#chunkBytes = chunkBytes;
    this.#random = random;
  }

  get id(): string {
    return this.#id;
  }

  /** The disks are replaced by empty ones. */
  lose(id: string): void {
    this.#id = id;
    this.#durable = blank;
    this.#pending = [];
  }

  /** What was not durable is there up to some point. */
  crash(): void {
    const kept = this.#random.below(this.#pending.length + 1);
    if (kept > 0) this.#durable = this.#pending[kept - 1]!;
    this.#pending = [];
  }

  /** What is durable, for checks from outside. */
  content(chunk: Chunk): Held | undefined {
    return this.#durable.chunks.get(chunk);
  }

  get state(): State {
    return this.#pending.at(-1) ?? this.#durable;
  }

  open(node: SimNode): ChunkStore & { chunks(group: string): Chunk[] } {
    this.#opened += 1;
    const mine = this.#opened;
    const change = (to: (state: State) => State): Promise<void> => {
      if (!node.alive || mine !== this.#opened) return new Promise(() => {});
      const after = to(this.state);
      this.#pending.push(after);
      return this.#whenDurable(node, after);
    };
    return new Handle(this, node, this.#chunkBytes, change, () => this.#flush(node));
  }

  #flush(node: SimNode): Promise<void> {
    const last = this.#pending.at(-1);
    return last === undefined ? Promise.resolve() : this.#whenDurable(node, last);
  }

  /** One sync makes everything before it durable as well. */
  #whenDurable(node: SimNode, state: State): Promise<void> {
    const delay = 0.1 + this.#random.below(30) / 10 + (this.#random.below(50) === 0 ? 30 : 0);
    return new Promise((resolve) => {
      node.clock.after(delay, () => {
        const at = this.#pending.indexOf(state);
        if (at >= 0) {
          this.#durable = state;
          this.#pending.splice(0, at + 1);
        }
        resolve();
      });
    });
  }
}

class Handle implements ChunkStore {
  readonly id: string;
  readonly #chunks: SimChunks;
  readonly #node: SimNode;
  readonly #chunkBytes: number;
  readonly #change: (to: (state: State) => State) => Promise<void>;
  readonly flush: () => Promise<void>;

  constructor(
    chunks: SimChunks,
    node: SimNode,
    chunkBytes: number,
    change: (to: (state: State) => State) => Promise<void>,
    flush: () => Promise<void>,
  ) {
    this.id = chunks.id;
    this.#chunks = chunks;
    this.#node = node;
    this.#chunkBytes = chunkBytes;
    this.#change = change;
    this.flush = flush;
  }

  wasMember(group: string): boolean {
    return this.#chunks.state.members.has(group);
  }

  setVersion(group: string, version: number, member: boolean): Promise<void> {
    return this.#change((state) => {
      if (version < (state.versions.get(group) ?? 0))
        throw new AssertionError({ message: 'a version never falls' });
      return {
        ...state,
        versions: new Map([...state.versions, [group, version]]),
        members: member ? new Set([...state.members, group]) : state.members,
      };
    });
  }

  #held(chunk: Chunk): Held {
    return (
      this.#chunks.state.chunks.get(chunk) ?? {
        number: noNumber,
        data: new Uint8Array(this.#chunkBytes),
        executed: nothingExecuted,
        busy: false,
        group: '',
      }
    );
  }

  number(chunk: Chunk): WriteNumber {
    return this.#held(chunk).number;
  }

  executed(chunk: Chunk) {
    return this.#held(chunk).executed;
  }

  read(chunk: Chunk, offset: number, length: number): Promise<Uint8Array> {
    const { data } = this.#held(chunk);
    return this.#soon(() => data.slice(offset, offset + length));
  }

  copy(chunk: Chunk): Promise<ChunkCopy> {
    const { number, data, executed } = this.#held(chunk);
    return this.#soon(() => ({ number, data, executed }));
  }

  #soon<T>(make: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#node.clock.after(0.1, () => resolve(make()));
    });
  }

  append(group: string, write: ChunkWrite): Promise<void> {
    const { chunk, number, previous, client, sequence, lowest, offset } = write;
    const held = this.#held(chunk);
    if (compareNumbers(previous, held.number) !== 0) {
      throw new AssertionError({ message: 'a write goes on top of the one before it' });
    }
    const data = held.data.slice();
    data.set(write.data, offset);
    const executed = withExecuted(held.executed, client, sequence, lowest);
    return this.#put(chunk, { number, data, executed, busy: true, group });
  }

  install(group: string, chunk: Chunk, copy: ChunkCopy, busy: boolean): Promise<void> {
    return this.#put(chunk, { ...copy, busy, group });
  }

  #put(chunk: Chunk, held: Held): Promise<void> {
    return this.#change((state) => ({
      ...state,
      chunks: new Map([...state.chunks, [chunk, held]]),
    }));
  }

  settle(chunk: Chunk, number: WriteNumber): void {
    const held = this.#held(chunk);
    if (!held.busy || compareNumbers(held.number, number) > 0) return;
    void this.#put(chunk, { ...held, busy: false });
  }

  busy(group: string): readonly Chunk[] {
    const all = [...this.#chunks.state.chunks];
    return all.filter(([, held]) => held.busy && held.group === group).map(([chunk]) => chunk);
  }

  chunks(group: string): Chunk[] {
    const all = [...this.#chunks.state.chunks];
    return all.filter(([, held]) => held.group === group).map(([chunk]) => chunk);
  }

  stale(group: string, server: string): ReadonlySet<Chunk> {
    return this.#chunks.state.stale.get(`${group} ${server}`) ?? new Set();
  }

  addStale(group: string, server: string, chunks: readonly Chunk[]): Promise<void> {
    const key = `${group} ${server}`;
    return this.#change((state) => {
      const marked = new Set([...(state.stale.get(key) ?? []), ...chunks]);
      return { ...state, stale: new Map([...state.stale, [key, marked]]) };
    });
  }

  dropStale(group: string, server: string): Promise<void> {
    return this.#change((state) => {
      const stale = new Map(state.stale);
      stale.delete(`${group} ${server}`);
      return { ...state, stale };
    });
  }
}
