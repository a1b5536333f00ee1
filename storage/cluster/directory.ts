/**
 * The port to global state (Petal's global state manager, ASPLOS 1996, section 2.1): a small,
 * transactional, watched map of keys to bytes. Never on the path of a read or a write.
 *
 * Implementations: embedded (one server, kept in the store itself), etcd (several), simulated. One
 * contract suite runs against all. Truth changes only by `commit`.
 */

/**
 * Revisions rise with every committed transaction; a gap says nothing, since others may share the
 * store. Compared as bigint, never as Number.
 */
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

/**
 * How far a Directory was seen. Servers keep it on their own disks: an older state (a restored
 * backup) must not pass for the present. Generations are above revisions: after a restore an
 * operator raises the generation, and revisions may then begin lower.
 */
export interface Seen {
  readonly clusterId: string;
  readonly generation: bigint;
  readonly revision: Revision;
}

/** Every call rejects with BUSY while the Directory cannot be reached, and when it is closed. */
export interface Directory {
  /** What this object has seen so far. */
  seen(): Seen;
  /** As every commit that was acknowledged, to whomever, before the call left it. */
  get(key: string): Promise<DirectoryEntry | null>;
  /** All entries whose key starts with `prefix`, in key order, at one revision; as `get`. */
  list(prefix: string): Promise<Snapshot>;
  /**
   * All or nothing, durable when it resolves; at most `limits.transactionSteps` comparisons and as
   * many mutations, which have `limits.transactionBytes` at most (embedded: what it has room for).
   * Those that overlap take effect in any order.
   * Rejects with
   * - CONFLICT: a comparison does not hold; INVALID; NO_SPACE; BUSY: it did not and will not take effect;
   * - UNKNOWN_OUTCOME: it cannot be told whether it took effect. The caller then reads back by a key
   *   of its own that the transaction wrote: what the next call of this object answers is final. To
   *   others it may become visible until then.
   */
  commit(compare: readonly Comparison[], mutate: readonly Mutation[]): Promise<Revision>;
  /**
   * Hear the changes under `prefix` after revision `after`, which `list` or `commit` of this object
   * gave; returns the way to stop. Every change, once, in order: of rising revisions. Where changes
   * in between are forgotten (this object was cut off for long) the watcher hears what is left of
   * them: the newest value of each key that changed, and of each key that went a deletion, which
   * then has a later revision than the real one. So whoever applies what it hears to that `list`
   * ends with the right state, and applying is idempotent.
   *
   * Nothing is heard before the call returns; a change may be heard before or after the commit that
   * made it resolves. A watch survives every time in which the Directory cannot be reached. Throws
   * NOT_FOUND when `after` is forgotten already: list again and watch from there.
   */
  watch(prefix: string, after: Revision, heard: (event: DirectoryEvent) => void): () => void;
  /** Resolves when the commits asked for before have ended. */
  close(): Promise<void>;
}
