/**
 * The records of a store's disks as the Directory has them, in memory: found by id or name, changed
 * only after the transaction that changes them is durable. One owner, so what is here is the truth.
 */
import assert from 'node:assert/strict';
import { StorageError } from '../base/errors.ts';
import type { Comparison, Directory, Mutation, Revision } from '../cluster/directory.ts';
import type { DiskRecord } from './volume.ts';

export type CatalogChange =
  | 'created'
  | 'updated'
  | 'resized'
  | 'reverted'
  | 'removed'
  | 'restored'
  | 'purged';
export type CatalogListener = (change: CatalogChange, record: DiskRecord) => void;

export interface Held {
  readonly record: DiskRecord;
  readonly modified: Revision;
}

export class Shelf {
  readonly #directory: Directory;
  readonly #disks: Map<string, Held>;
  readonly #listeners = new Set<CatalogListener>();
  closed = false;

  constructor(directory: Directory, disks: Map<string, Held>) {
    this.#directory = directory;
    this.#disks = disks;
  }

  get size(): number {
    return this.#disks.size;
  }

  list(): DiskRecord[] {
    const living = this.#records((record) => record.removed === null);
    return living.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  removed(): DiskRecord[] {
    const removed = this.#records((record) => record.removed !== null);
    return removed.sort((a, b) => a.removed! - b.removed! || a.ref - b.ref);
  }

  get(id: string): DiskRecord | null {
    return this.#disks.get(id)?.record ?? null;
  }

  find(name: string): DiskRecord | null {
    return this.#records((record) => record.removed === null && record.name === name)[0] ?? null;
  }

  #records(wanted: (record: DiskRecord) => boolean): DiskRecord[] {
    const records: DiskRecord[] = [];
    for (const { record } of this.#disks.values()) if (wanted(record)) records.push(record);
    return records;
  }

  /** Whether any disk began as a clone: only then do disks share blocks. */
  get hasClones(): boolean {
    for (const { record } of this.#disks.values()) if (record.family !== undefined) return true;
    return false;
  }

  held(id: string): Held {
    this.checkOpen();
    const held = this.#disks.get(id);
    if (held === undefined) throw new StorageError('NOT_FOUND', `there is no disk ${id}`);
    return held;
  }

  heldLiving(id: string): Held {
    const held = this.held(id);
    if (held.record.removed === null) return held;
    throw new StorageError('NOT_FOUND', `disk "${held.record.name}" is removed; restore it first`);
  }

  heldRemoved(id: string): Held {
    const held = this.held(id);
    if (held.record.removed !== null) return held;
    throw new StorageError('INVALID', `disk "${held.record.name}" is not removed`);
  }

  checkNameFree(name: string): void {
    if (this.find(name) === null) return;
    throw new StorageError('EXISTS', `there is already a disk named "${name}"`);
  }

  checkOpen(): void {
    if (this.closed) throw new StorageError('BUSY', 'the store is closing');
  }

  /** A comparison that does not hold means that an earlier change of this disk did not end: BUSY. */
  async commit(compare: readonly Comparison[], mutate: readonly Mutation[]): Promise<Revision> {
    try {
      return await this.#directory.commit(compare, mutate);
    } catch (cause) {
      if (!(cause instanceof StorageError) || cause.code !== 'CONFLICT') throw cause;
      const message = 'an earlier change of this disk has not ended; it is finished at next start';
      throw new StorageError('BUSY', message, { cause });
    }
  }

  /** What the Directory has now, since revision `modified`. */
  put(record: DiskRecord, modified: Revision, change: CatalogChange): DiskRecord {
    assert(modified > 0n);
    this.#disks.set(record.id, { record, modified });
    this.tell(change, record);
    return record;
  }

  forget(id: string): void {
    this.#disks.delete(id);
  }

  listen(listener: CatalogListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(change: CatalogChange, record: DiskRecord): void {
    for (const listener of [...this.#listeners]) listener(change, record);
  }
}
