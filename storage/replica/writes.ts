/**
 * Writing, at the coordinator (replication.md, section 2): lock, append here, replicate to the others in sync,
 * and answer when all have it under the version that holds.
 */
import type { Arrivals } from './arrivals.ts';
import { judge } from './executed.ts';
import { limits } from './limits.ts';
import type { Locks } from './locks.ts';
import type { Member, Term } from './member.ts';
import type { ReplyOf, WriteCall } from './messages.ts';
import { compareNumbers, nextNumber, type WriteNumber } from './number.ts';
import type { Chunk, ChunkWrite } from './store.ts';

type WriteReply = ReplyOf<'write'>;

/** A write in flight. */
export interface Operation {
  readonly write: ChunkWrite;
  /** Durable here. */
  local: boolean;
  /** Others that have it durably. */
  readonly held: Set<string>;
  /** Settles once: committed, or never will be by this server. */
  readonly end: Promise<boolean>;
  readonly finish: (committed: boolean) => void;
}

export interface WritesPorts {
  readonly member: Member;
  readonly locks: Locks;
  readonly arrivals: Arrivals;
  /** Of this start of this server: stamps were made for it. */
  readonly incarnation: string;
  /** Where the copies of a chunk lie, the first one first. */
  readonly order: (chunk: Chunk) => readonly string[];
  /** While somebody joins, what he gets of a write; its outcome is looked at before he is admitted. */
  readonly forward: (term: Term, write: ChunkWrite) => void;
}

export class Writes {
  readonly #ports: WritesPorts;
  /** In the order of their numbers. */
  readonly #inFlight = new Map<Chunk, Operation[]>();
  /** So many want nothing new to begin. */
  #holds = 0;
  #idle: (() => void)[] = [];
  /** Server → chunk → committed, not told yet. */
  readonly #untold = new Map<string, Map<Chunk, WriteNumber>>();
  #telling = false;
  /** Stale marks that are being made durable. */
  readonly #marking = new Map<string, Promise<void>>();

  constructor(ports: WritesPorts) {
    this.#ports = ports;
  }

  /** Chunks with a write in flight. */
  get chunks(): readonly Chunk[] {
    return [...this.#inFlight.keys()];
  }

  get #operations(): readonly Operation[] {
    return [...this.#inFlight.values()].flat();
  }

  async write(call: WriteCall): Promise<WriteReply> {
    const { member, locks } = this.#ports;
    const term = await member.serving();
    if (term === null) return this.#elsewhere();
    if (!this.#coordinates(call, term)) return this.#ports.member.redirect;
    const early = await this.#known(call);
    if (early !== null) return early;
    const end = call.offset + call.data.length;
    const lock = await locks.acquire(call.chunk, call.offset, end, true);
    if (lock === null) return this.#ports.member.redirect;
    try {
      const known = await this.#known(call);
      if (known !== null) return known;
      // What was true before the wait need not be now; from here on nothing is waited for.
      const now = await member.serving();
      if (now === null) return this.#elsewhere();
      if (this.#holds > 0) return { kind: 'unready' };
      if (!this.#coordinates(call, now)) return this.#ports.member.redirect;
      const refusal = this.#refusal(call);
      if (refusal !== null) return refusal;
      return await this.#execute(call, now);
    } finally {
      lock.release();
    }
  }

  #elsewhere(): WriteReply {
    return this.#ports.member.stage === 'out' ? this.#ports.member.redirect : { kind: 'unready' };
  }

  #coordinates(call: WriteCall, term: Term): boolean {
    const { member, order } = this.#ports;
    return call.version === term.version && member.coordinator(order(call.chunk)) === member.name;
  }

  /** A write that was executed already is answered as then, one in flight is waited for [H13]. */
  async #known({ chunk, client, sequence }: WriteCall): Promise<WriteReply | null> {
    const operation = this.#inFlight
      .get(chunk)
      ?.find(({ write }) => write.client === client && write.sequence === sequence);
    if (operation !== undefined) {
      return (await operation.end) ? { kind: 'done' } : this.#ports.member.redirect;
    }
    const { store } = this.#ports.member.ports;
    const verdict = judge(store.executed(chunk), client, sequence);
    if (verdict === 'new') return null;
    if (verdict === 'too old') return { kind: 'refused', why: 'too old' };
    return (await this.#answerable()) ? { kind: 'done' } : { kind: 'unready' };
  }

  async #answerable(): Promise<boolean> {
    const { member } = this.#ports;
    const term = await member.serving();
    if (term === null) return false;
    await member.quiet(term);
    return member.mayAnswer(term);
  }

  #refusal(call: WriteCall): WriteReply | null {
    const { arrivals, incarnation, order, member } = this.#ports;
    const { chunk, offset, data, arrival } = call;
    const became = member.became(order(chunk)[0]!);
    if (call.incarnation !== incarnation || arrivals.expired(arrival, became)) {
      return { kind: 'refused', why: 'expired' };
    }
    const overtaken = arrivals.overtaken(chunk, offset, data.length, arrival);
    return overtaken ? { kind: 'refused', why: 'overtaken' } : null;
  }

  async #execute(call: WriteCall, term: Term): Promise<WriteReply> {
    const { arrivals, member, forward } = this.#ports;
    const { chunk, offset, data, client, sequence, lowest } = call;
    const previous = member.ports.store.number(chunk);
    const number = nextNumber(term.version, previous);
    const write = { chunk, number, previous, client, sequence, lowest, offset, data };
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const operation: Operation = {
      ...{ write, local: false, held: new Set<string>(), end: promise },
      finish: resolve,
    };
    const queue = this.#inFlight.get(chunk);
    if (queue === undefined) this.#inFlight.set(chunk, [operation]);
    else queue.push(operation);
    arrivals.applied(chunk, offset, data.length, call.arrival);
    member.ports.store.append(member.group, write).then(
      () => {
        operation.local = true;
        void this.#look(operation);
      },
      () => void member.leave(),
    );
    for (const other of term.others) void this.#replicate(operation, other, term);
    if (term.others.length === 0) forward(term, write);
    return (await promise) ? { kind: 'done' } : this.#ports.member.redirect;
  }

  /** Until it has the write, or this term has ended. */
  async #replicate(operation: Operation, other: string, term: Term): Promise<void> {
    const { member } = this.#ports;
    const { peers } = member.ports;
    const { write } = operation;
    while (!term.ended && !operation.held.has(other)) {
      const call = { group: member.group, version: term.version, write, session: null };
      try {
        const reply = await peers.call(other, 'replicate', call, limits.callMs);
        if (term.ended) return;
        if (reply.kind === 'done') {
          operation.held.add(other);
          void this.#look(operation);
          return;
        }
        if (reply.kind === 'redirect') await member.learn(reply.configuration.version);
      } catch {
        // No answer: whether it is gone is for its heartbeats to tell.
      }
      if (term.ended) return;
      if (member.suspects(other)) await member.remove(term, other);
      await member.pause(limits.retryMs);
    }
  }

  /** Whether it can be answered by now. */
  async #look(operation: Operation): Promise<void> {
    const { member } = this.#ports;
    const { term } = member;
    const { write } = operation;
    if (term.ended || !operation.local || member.stage === 'settling') return;
    if (!term.others.every((other) => operation.held.has(other))) return;
    try {
      for (const server of term.out) await this.#mark(server, write.chunk);
    } catch {
      return; // The store has failed, and says so where it was written to.
    }
    await member.quiet(term);
    if (!member.mayAnswer(term) || !this.#remove(operation)) return;
    operation.finish(true);
    this.#committed(write, term);
  }

  /** Durably stale for a server that is out; once for all writes of the chunk. */
  async #mark(server: string, chunk: Chunk): Promise<void> {
    const { group, ports } = this.#ports.member;
    const key = `${server}/${chunk}`;
    const marking = this.#marking.get(key);
    if (marking !== undefined) await marking;
    else if (!ports.store.stale(group, server).has(chunk)) {
      const marked = ports.store.addStale(group, server, [chunk]);
      this.#marking.set(key, marked);
      await marked.finally(() => this.#marking.delete(key));
    }
  }

  #remove(operation: Operation): boolean {
    const { chunk } = operation.write;
    const queue = this.#inFlight.get(chunk);
    const at = queue?.indexOf(operation) ?? -1;
    if (queue === undefined || at < 0) return false;
    queue.splice(at, 1);
    if (queue.length === 0) this.#inFlight.delete(chunk);
    if (this.#inFlight.size === 0) for (const idle of this.#idle.splice(0)) idle();
    return true;
  }

  /** All that is in flight has ended, and nothing new begins until `release`. */
  async hold(): Promise<void> {
    this.#holds += 1;
    if (this.#inFlight.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  release(): void {
    this.#holds -= 1;
    for (const operation of this.#operations) void this.#look(operation);
  }

  /** This server is out: nothing that it began will be answered by it [H11]. */
  abandon(): void {
    const all = this.#operations;
    this.#inFlight.clear();
    this.#untold.clear();
    for (const operation of all) operation.finish(false);
    for (const idle of this.#idle.splice(0)) idle();
  }

  /** Under a new version: what the others got while the copies were made one counts. */
  resume(term: Term): void {
    this.#untold.clear();
    for (const operation of this.#operations) {
      operation.held.clear();
      for (const other of term.others) void this.#replicate(operation, other, term);
      void this.#look(operation);
    }
  }

  /** Everything up to it, in its chunk: writes of one chunk are applied in order everywhere. */
  #committed({ chunk }: ChunkWrite, term: Term): void {
    const { store } = this.#ports.member.ports;
    const first = this.#inFlight.get(chunk)?.[0]?.write.previous ?? store.number(chunk);
    store.settle(chunk, first);
    for (const other of term.others) {
      const untold = this.#untold.get(other);
      if (untold === undefined) this.#untold.set(other, new Map([[chunk, first]]));
      else untold.set(chunk, first);
    }
    void this.#tell(term);
  }

  async #tell(term: Term): Promise<void> {
    if (this.#telling) return;
    this.#telling = true;
    const { member } = this.#ports;
    await member.pause(limits.committedMs);
    for (const [other, chunks] of this.#untold) {
      const call = { group: member.group, version: term.version, upTo: [...chunks] };
      try {
        const reply = await member.ports.peers.call(other, 'committed', call, limits.callMs);
        if (reply.kind !== 'done') continue;
        for (const [chunk, number] of call.upTo) {
          const now = chunks.get(chunk);
          if (now !== undefined && compareNumbers(now, number) === 0) chunks.delete(chunk);
        }
        if (chunks.size === 0) this.#untold.delete(other);
      } catch {
        // Told again with the next.
      }
    }
    this.#telling = false;
    if (this.#untold.size > 0 && !member.term.ended) void this.#tell(member.term);
  }
}
