/**
 * The port to global state (Petal's global state manager, ASPLOS 1996, section 2.1): a small,
 * transactional, watched map of keys to bytes. Never on the path of a read or a write.
 *
 * Implementations: embedded (one server, kept in the store itself), etcd (several), simulated. One
 * contract suite runs against all. Truth changes only by `commit`.
 */

/** Revisions rise by one with every committed transaction; compared as bigint, never as Number. */
export type Revision = bigint;

export interface DirectoryEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the transaction that wrote this value. */
  readonly modified: Revision;
}

/** Holds when the key was last written at `modified`; 0n: when it does not exist. */
export interface Comparison {
  readonly key: string;
  readonly modified: Revision;
}

/** A null value deletes the key. */
export interface Mutation {
  readonly key: string;
  readonly value: Uint8Array | null;
}

export interface Snapshot {
  readonly revision: Revision;
  readonly entries: readonly DirectoryEntry[];
}

export interface DirectoryEvent {
  readonly key: string;
  /** Null: deleted. */
  readonly value: Uint8Array | null;
  readonly revision: Revision;
}

export interface Directory {
  get(key: string): Promise<DirectoryEntry | null>;
  /** All entries whose key starts with `prefix`, in key order, at one revision. */
  list(prefix: string): Promise<Snapshot>;
  /**
   * All or nothing, durable when it resolves. Rejects with CONFLICT when a comparison does not
   * hold, UNKNOWN_OUTCOME when it cannot be told whether it took effect; the caller then reads
   * back by a key of its own that the transaction wrote.
   */
  commit(compare: readonly Comparison[], mutate: readonly Mutation[]): Promise<Revision>;
  /** Every change under `prefix` after revision `after`, in order; returns the way to stop. */
  watch(prefix: string, after: Revision, heard: (event: DirectoryEvent) => void): () => void;
  close(): Promise<void>;
}
