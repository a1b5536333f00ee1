/**
 * The records of a store's snapshots as the Directory has them, in memory, and who reads one right now. Changed
 * only after the transaction that changes them is durable.
 */
import assert from 'node:assert/strict';
import { StorageError } from '../base/errors.ts';
import type { Revision } from '../cluster/directory.ts';
import type { SnapshotRecord } from './snapshot.ts';

export type SnapshotChange = 'created' | 'updated' | 'deleted';
export type SnapshotListener = (change: SnapshotChange, record: SnapshotRecord) => void;

export interface HeldSnapshot {
  readonly record: SnapshotRecord;
  readonly modified: Revision;
}

export class SnapshotShelf {
  readonly #snapshots: Map<string, HeldSnapshot>;
  readonly #ofDisk = new Map<string, Set<string>>();
  readonly #readers = new Map<string, number>();
  readonly #listeners = new Set<SnapshotListener>();

  constructor(snapshots: Map<string, HeldSnapshot>) {
    this.#snapshots = snapshots;
    for (const { record } of snapshots.values()) this.#index(record).add(record.id);
  }

  #index({ disk }: SnapshotRecord): Set<string> {
    let ids = this.#ofDisk.get(disk);
    if (ids === undefined) {
      ids = new Set();
      this.#ofDisk.set(disk, ids);
    }
    return ids;
  }

  get size(): number {
    return this.#snapshots.size;
  }

  all(): SnapshotRecord[] {
    return [...this.#snapshots.values()].map(({ record }) => record).sort(byAge);
  }

  /** Of one disk, the oldest first. */
  of(disk: string): SnapshotRecord[] {
    const ids = this.#ofDisk.get(disk) ?? [];
    return [...ids].map((id) => this.#snapshots.get(id)!.record).sort(byAge);
  }

  get(id: string): SnapshotRecord | null {
    return this.#snapshots.get(id)?.record ?? null;
  }

  find(disk: string, name: string): SnapshotRecord | null {
    return this.of(disk).find((record) => record.name === name) ?? null;
  }

  held(id: string): HeldSnapshot {
    const held = this.#snapshots.get(id);
    if (held === undefined) throw new StorageError('NOT_FOUND', `there is no snapshot ${id}`);
    return held;
  }

  checkNameFree(disk: string, name: string): void {
    if (this.find(disk, name) === null) return;
    throw new StorageError('EXISTS', `the disk has a snapshot named "${name}" already`);
  }

  /** It is not deleted before the function that is returned was called. */
  read(id: string): () => void {
    this.held(id);
    this.#readers.set(id, (this.#readers.get(id) ?? 0) + 1);
    let reading = true;
    return () => {
      if (!reading) return;
      reading = false;
      const left = this.#readers.get(id)! - 1;
      if (left > 0) this.#readers.set(id, left);
      else this.#readers.delete(id);
    };
  }

  isRead(id: string): boolean {
    return this.#readers.has(id);
  }

  put(record: SnapshotRecord, modified: Revision, change: SnapshotChange): SnapshotRecord {
    assert(modified > 0n);
    this.#snapshots.set(record.id, { record, modified });
    this.#index(record).add(record.id);
    this.#tell(change, record);
    return record;
  }

  forget(record: SnapshotRecord): void {
    this.#snapshots.delete(record.id);
    const ids = this.#index(record);
    ids.delete(record.id);
    if (ids.size === 0) this.#ofDisk.delete(record.disk);
    this.#tell('deleted', record);
  }

  listen(listener: SnapshotListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(change: SnapshotChange, record: SnapshotRecord): void {
    for (const listener of [...this.#listeners]) listener(change, record);
  }
}

const byAge = (a: SnapshotRecord, b: SnapshotRecord): number => a.ref - b.ref;
