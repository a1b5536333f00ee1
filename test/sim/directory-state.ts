/** The state of a simulated Directory: what a majority agreed on, its history, and what of that is forgotten. */
import type {
  DirectoryEntry,
  DirectoryEvent,
  Revision,
  Seen,
  Snapshot,
} from '#storage/cluster/directory.ts';
import type { Transaction } from '#storage/cluster/transaction.ts';

export interface Backup {
  readonly revision: Revision;
  readonly generation: bigint;
  readonly entries: ReadonlyMap<string, DirectoryEntry>;
}

const copyOf = (value: Uint8Array): Uint8Array => new Uint8Array(value);

export class DirectoryState {
  #entries = new Map<string, DirectoryEntry>();
  #revision = 1n;
  #generation = 1n;
  /** The events of each revision after `#forgotten`. */
  #history: { readonly revision: Revision; readonly events: DirectoryEvent[] }[] = [];
  #forgotten = 1n;

  static from(backup: Backup): DirectoryState {
    const state = new DirectoryState();
    state.#entries = new Map(backup.entries);
    state.#revision = backup.revision;
    state.#generation = backup.generation;
    state.#forgotten = backup.revision;
    return state;
  }

  get revision(): Revision {
    return this.#revision;
  }

  seen(): Seen {
    return { clusterId: 'simulated', generation: this.#generation, revision: this.#revision };
  }

  get(key: string): DirectoryEntry | null {
    const entry = this.#entries.get(key);
    return entry === undefined ? null : { ...entry, value: copyOf(entry.value) };
  }

  list(prefix: string): Snapshot {
    const keys = [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).sort();
    return { revision: this.#revision, entries: keys.map((key) => this.get(key)!) };
  }

  /** Null: a comparison does not hold. */
  commit({ compare, mutate }: Transaction): Revision | null {
    for (const { key, modified } of compare) {
      if ((this.#entries.get(key)?.modified ?? 0n) !== modified) return null;
    }
    if (mutate.length === 0) return this.#revision;
    this.#revision += 1n;
    const revision = this.#revision;
    const events: DirectoryEvent[] = [];
    for (const { key, value } of mutate) {
      const existed = this.#entries.delete(key);
      if (value !== null) this.#entries.set(key, { key, value: copyOf(value), modified: revision });
      if (value !== null || existed) events.push({ key, value, revision });
    }
    this.#history.push({ revision, events });
    return revision;
  }

  /** The events of each revision after `revision`; null: forgotten. */
  since(revision: Revision): DirectoryEvent[][] | null {
    if (revision < this.#forgotten) return null;
    return this.#history.filter((one) => one.revision > revision).map(({ events }) => events);
  }

  compact(): void {
    this.#forgotten = this.#revision;
    this.#history = [];
  }

  backup(): Backup {
    const entries = new Map(this.#entries);
    return { revision: this.#revision, generation: this.#generation, entries };
  }

  raiseGeneration(above: bigint): void {
    this.#generation = (this.#generation > above ? this.#generation : above) + 1n;
    this.#revision += 1n;
  }
}
