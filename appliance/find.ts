/** What people mean by the name of a disk or of a snapshot, and what to say when there is no such thing. */
import type { Catalog } from '#storage/volume/catalog.ts';
import type { SnapshotRecord } from '#storage/volume/snapshot.ts';
import type { DiskRecord } from '#storage/volume/volume.ts';
import { PetalError } from './errors.ts';
import { nearest } from './suggest.ts';

/** By name or id. NOT_FOUND. */
export function livingDisk(catalog: Catalog, name: string): DiskRecord {
  const found = catalog.find(name) ?? catalog.list().find(({ id }) => id === name);
  if (found !== undefined) return found;
  const gone = catalog.removed().some((record) => record.name === name);
  const hint = gone ? '; it is removed and can be restored' : didYouMean(name, catalog.list());
  throw new PetalError('NOT_FOUND', `there is no disk '${name}'${hint}`);
}

/** By name (of several the last removed) or id. NOT_FOUND. */
export function removedDisk(catalog: Catalog, name: string): DiskRecord {
  const removed = catalog.removed();
  const found =
    removed.findLast((record) => record.name === name) ?? removed.find(({ id }) => id === name);
  if (found !== undefined) return found;
  const hint = didYouMean(name, removed);
  throw new PetalError('NOT_FOUND', `there is no removed disk '${name}' to restore${hint}`);
}

/** By `DISK@SNAPSHOT` or id. NOT_FOUND, INVALID. */
export function snapshotNamed(catalog: Catalog, name: string): SnapshotRecord {
  const byId = catalog.snapshots.get(name);
  if (byId !== null) return byId;
  const at = name.indexOf('@');
  if (at < 0) {
    const text = `'${name}' names no snapshot; write DISK@SNAPSHOT`;
    throw new PetalError('INVALID', text);
  }
  const disk = livingDisk(catalog, name.slice(0, at));
  const wanted = name.slice(at + 1);
  const found = catalog.snapshots.find(disk.id, wanted);
  if (found !== null) return found;
  const hint = didYouMean(wanted, catalog.snapshots.of(disk.id));
  throw new PetalError('NOT_FOUND', `'${disk.name}' has no snapshot '${wanted}'${hint}`);
}

/** `DISK@SNAPSHOT`. */
export function fullName(catalog: Catalog, snapshot: SnapshotRecord): string {
  return `${catalog.get(snapshot.disk)?.name ?? snapshot.disk}@${snapshot.name}`;
}

function didYouMean(name: string, records: readonly { readonly name: string }[]): string {
  const near = nearest(
    name,
    records.map((record) => record.name),
  );
  return near === null ? '' : `; did you mean '${near}'?`;
}
