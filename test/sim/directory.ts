/**
 * A Directory as servers of a cluster see it in etcd, in one thread from a seed: one state, and a
 * client for each server, with delays, cut links, commits whose outcome is never told (with an
 * effect, none, or one that comes late), compaction, and restored backups.
 *
 * Nothing here is durable or fails to be: the state is what a majority agreed on.
 */
import { type Clock, pause } from '#storage/base/clock.ts';
import { StorageError } from '#storage/base/errors.ts';
import { byRevision, foresee, learn, missedEvents } from '#storage/cluster/catch-up.ts';
import type {
  Comparison,
  Directory,
  DirectoryEntry,
  DirectoryEvent,
  Mutation,
  Revision,
  Seen,
  Snapshot,
} from '#storage/cluster/directory.ts';
import { refuseOlder, tooOld } from '#storage/cluster/etcd/record.ts';
import { limits } from '#storage/cluster/limits.ts';
import { type Transaction, transaction } from '#storage/cluster/transaction.ts';
import { Watchers } from '#storage/cluster/watchers.ts';
import type { SeededRandom } from '../kit/random.ts';
import { type Backup, DirectoryState } from './directory-state.ts';

export interface DirectoryFaults {
  /** One way, at most. */
  delayMs: number;
  /** Chance that a commit's outcome is never told. Then it has an effect, none, or a late one, each as often. */
  unknown: number;
}

export interface ClientOptions {
  readonly atLeast?: Seen;
  readonly failed?: (error: StorageError) => void;
}

export class SimDirectory {
  readonly faults: DirectoryFaults = { delayMs: 10, unknown: 0 };
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly #cut = new Set<string>();
  readonly #clients = new Set<SimClient>();
  /** Who opened under a name last. */
  readonly #sessions = new Map<string, SimClient>();
  #healed: (() => void)[] = [];
  #state = new DirectoryState();

  constructor(clock: Clock, random: SeededRandom) {
    this.clock = clock;
    this.random = random;
  }

  get state(): DirectoryState {
    return this.#state;
  }

  /** Opened under this name; ends what was opened under it before. TOO_OLD, BUSY. */
  async client(name: string, options: ClientOptions = {}): Promise<SimClient> {
    await this.travel(name, this.clock.now() + limits.etcdRequestMs);
    if (options.atLeast !== undefined) refuseOlder(this.#state.seen(), options.atLeast);
    const client = new SimClient(this, name, options.failed ?? (() => {}));
    this.#sessions.set(name, client);
    this.#clients.add(client);
    return client;
  }

  /** The Directory cannot be reached from there: nothing arrives, in either direction. */
  cut(name: string): void {
    this.#cut.add(name);
  }

  heal(name: string): void {
    this.#cut.delete(name);
    for (const go of this.#healed.splice(0)) go();
    this.announce();
  }

  isCut(name: string): boolean {
    return this.#cut.has(name);
  }

  isLatest(client: SimClient): boolean {
    return this.#sessions.get(client.name) === client;
  }

  /** All that is past is forgotten. */
  compact(): void {
    this.#state.compact();
  }

  backup(): Backup {
    return this.#state.backup();
  }

  /** What was committed since the backup is gone. */
  restore(backup: Backup): void {
    this.#state = DirectoryState.from(backup);
  }

  /** Above all that was seen, by an operator after a restore. */
  raiseGeneration(seen: Seen): void {
    this.#state.raiseGeneration(seen.generation);
  }

  /** One way. Waits where the link is cut; BUSY when it still is at `end`. */
  async travel(name: string, end: number): Promise<void> {
    await this.pass(this.random.below(this.faults.delayMs + 1));
    while (this.#cut.has(name)) {
      const left = end - this.clock.now();
      if (left <= 0) throw new StorageError('BUSY', 'the Directory does not answer');
      await new Promise<void>((resolve) => {
        const cancel = this.clock.after(left, resolve);
        this.#healed.push(() => {
          cancel();
          resolve();
        });
      });
    }
  }

  pass(delayMs: number): Promise<void> {
    return pause(this.clock, delayMs);
  }

  apply(transaction: Transaction): Revision | null {
    const revision = this.#state.commit(transaction);
    if (revision !== null) this.announce();
    return revision;
  }

  gone(client: SimClient): void {
    this.#clients.delete(client);
  }

  /** Every client learns in its own time that there is something to hear. */
  announce(): void {
    for (const client of this.#clients) {
      this.clock.after(this.random.below(this.faults.delayMs + 1), () => client.pull());
    }
  }
}

/** A transaction that may still take effect. */
interface Doubt {
  readonly transaction: Transaction;
  readonly cancel: () => void;
}

export class SimClient implements Directory {
  readonly name: string;
  readonly #server: SimDirectory;
  readonly #failed: (error: StorageError) => void;
  readonly #watchers: Watchers;
  readonly #known: Set<string>;
  readonly #doubts = new Set<Doubt>();
  readonly #commits = new Set<Promise<unknown>>();
  /** All up to this one is told. */
  #position: Revision;
  #seen: Seen;
  #failure: StorageError | null = null;
  #closed = false;

  constructor(server: SimDirectory, name: string, failed: (error: StorageError) => void) {
    this.name = name;
    this.#server = server;
    this.#failed = failed;
    this.#seen = server.state.seen();
    this.#position = this.#seen.revision;
    this.#watchers = new Watchers(this.#position);
    this.#known = new Set(server.state.list('').entries.map(({ key }) => key));
  }

  seen(): Seen {
    return this.#seen;
  }

  get(key: string): Promise<DirectoryEntry | null> {
    return this.#read((state) => state.get(key));
  }

  async list(prefix: string): Promise<Snapshot> {
    const snapshot = await this.#read((state) => state.list(prefix));
    foresee(this.#known, this.#position, snapshot.entries);
    return snapshot;
  }

  async commit(compare: readonly Comparison[], mutate: readonly Mutation[]): Promise<Revision> {
    this.#check();
    const checked = transaction(compare, mutate, limits.transactionBytes);
    const call = this.#commit(checked);
    this.#commits.add(call);
    try {
      const modified = await call;
      const keys = checked.mutate.map(({ key }) => ({ key, modified }));
      foresee(this.#known, this.#position, keys);
      return modified;
    } finally {
      this.#commits.delete(call);
    }
  }

  watch(prefix: string, after: Revision, heard: (event: DirectoryEvent) => void): () => void {
    this.#check();
    return this.#watchers.watch(prefix, after, heard);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#commits);
    this.#watchers.close();
    this.#server.gone(this);
  }

  /** Hear what there is to hear, if the link lets it. */
  pull(): void {
    if (this.#closed || this.#failure !== null || this.#server.isCut(this.name)) return;
    const { state } = this.#server;
    try {
      this.#saw(state.seen());
    } catch {
      return; // It has been told.
    }
    const groups =
      state.since(this.#position) ??
      byRevision(missedEvents(this.#known, this.#position, state.list('')));
    for (const events of groups) {
      learn(this.#known, events);
      if (events.length > 0) this.#watchers.committed(events[0]!.revision, events);
    }
    this.#position = state.revision;
  }

  async #read<T>(answer: (state: DirectoryState) => T): Promise<T> {
    this.#check();
    const end = this.#server.clock.now() + limits.etcdRequestMs;
    await this.#server.travel(this.name, end);
    this.#settleDoubts();
    this.#saw(this.#server.state.seen());
    const answered = answer(this.#server.state);
    await this.#server.travel(this.name, end);
    return answered;
  }

  async #commit(transaction: Transaction): Promise<Revision> {
    const server = this.#server;
    const end = server.clock.now() + limits.etcdRequestMs;
    await server.travel(this.name, end);
    this.#settleDoubts();
    this.#saw(server.state.seen());
    if (!server.isLatest(this)) {
      const text = 'another process has opened the Directory under the same name';
      throw this.#end(new StorageError('IN_USE', text));
    }
    if (server.random.chance(server.faults.unknown)) return await this.#lose(transaction);
    const revision = server.apply(transaction);
    if (revision !== null) this.#saw(server.state.seen());
    try {
      await server.travel(this.name, end);
    } catch {
      throw unknownOutcome();
    }
    if (revision !== null) return revision;
    throw new StorageError('CONFLICT', 'a key was written at another revision');
  }

  async #lose(transaction: Transaction): Promise<never> {
    const server = this.#server;
    const fate = server.random.pick(['effect', 'none', 'late'] as const);
    if (fate === 'effect') server.apply(transaction);
    await server.pass(limits.etcdRequestMs);
    if (fate === 'late') {
      const laterMs = server.random.below(2 * limits.etcdRequestMs);
      const cancel = server.clock.after(laterMs, () => {
        this.#doubts.delete(doubt);
        server.apply(transaction);
      });
      const doubt: Doubt = { transaction, cancel };
      this.#doubts.add(doubt);
    }
    throw unknownOutcome();
  }

  /** What this client asks next settles what it left open: it happens now or never. */
  #settleDoubts(): void {
    for (const { transaction, cancel } of this.#doubts) {
      cancel();
      if (this.#server.random.chance(0.5)) this.#server.apply(transaction);
    }
    this.#doubts.clear();
  }

  #saw(now: Seen): void {
    const before = this.#seen;
    if (now.generation !== before.generation || now.revision < before.revision) {
      throw this.#end(tooOld('a backup was restored'));
    }
    this.#seen = now;
  }

  /** For good; the first reason counts. */
  #end(error: StorageError): StorageError {
    if (this.#failure !== null) return this.#failure;
    this.#failure = error;
    this.#watchers.close();
    this.#server.gone(this);
    this.#failed(error);
    return error;
  }

  #check(): void {
    if (this.#closed) throw new StorageError('BUSY', 'the Directory is closed');
    if (this.#failure !== null) throw this.#failure;
  }
}

const unknownOutcome = (): StorageError =>
  new StorageError('UNKNOWN_OUTCOME', 'it cannot be told whether a commit took effect');
