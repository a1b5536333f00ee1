/** What the verbs on disks and snapshots need of a storage server; `StorageServer` is one. */
import type { Catalog } from '#storage/volume/catalog.ts';
import type { Diff } from '#storage/volume/diff.ts';
import type { Flattener } from '#storage/volume/flatten.ts';
import type { SnapshotRecord } from '#storage/volume/snapshot.ts';
import type { DiskRecord, Volume } from '#storage/volume/volume.ts';

export interface DiskStore {
  readonly catalog: Catalog;
  volume(id: string): Volume;
  readonly flattener: Flattener;
  snapshotVolume(id: string): Volume;
  rollback(
    snapshot: string,
    keep: string,
  ): Promise<{ readonly disk: DiskRecord; readonly kept: SnapshotRecord }>;
  /** Bytes that hold data of this disk or snapshot. */
  used(record: { readonly ref: number }): number;
  /** Bytes that only these hold together. */
  exclusive(records: readonly { readonly ref: number }[]): Promise<number>;
  diff(
    a: DiskRecord | SnapshotRecord,
    b: DiskRecord | SnapshotRecord,
    from: number,
    most: number,
  ): Promise<Diff>;
}
