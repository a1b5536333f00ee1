/** A disk's record as people are shown it. */

import type { Catalog } from '#storage/volume/catalog.ts';
import type { DiskRecord } from '#storage/volume/volume.ts';
import type { DiskStore } from './disk-store.ts';
import { type DiskView, isoTime, type OriginView } from './disk-view.ts';
import { accessOf, chapOf, iqnOf, isOn, lun, redirectOf } from './exposure.ts';
import { fullName } from './find.ts';
import { naaHex } from './names.ts';

/** `counts`: sessions by the name of the target. */
export function diskView(
  store: DiskStore,
  record: DiskRecord,
  counts: ReadonlyMap<string, number>,
): DiskView {
  const { catalog } = store;
  const until = catalog.keptUntil(record);
  return {
    name: record.name,
    size: record.size,
    used: store.used(record),
    iqn: iqnOf(record),
    lun,
    naa: `naa.${naaHex(record.id)}`,
    id: record.id,
    serial: record.id,
    sectorBytes: record.sectorBytes,
    reserved: record.reserved,
    writeProtected: isOn(record, 'writeProtected'),
    removable: isOn(record, 'removable'),
    hostProtect: isOn(record, 'hostProtect'),
    writeBack: isOn(record, 'writeBack'),
    sanitize: record.cipherKey !== undefined,
    redirect: redirectOf(record),
    created: isoTime(record.created),
    sessions: record.removed === null ? (counts.get(iqnOf(record)) ?? 0) : 0,
    access: accessOf(record).rules,
    chap: chapOf(record).view,
    snapshots: catalog.snapshots.of(record.id).length,
    origin: originOf(catalog, record),
    flatten: store.flattener.progress(record),
    ...(record.removed === null ? {} : { removed: isoTime(record.removed) }),
    ...(until === null ? {} : { restorableUntil: isoTime(until) }),
  };
}

function originOf(catalog: Catalog, { origin }: DiskRecord): OriginView | null {
  if (origin === undefined) return null;
  const snapshot = catalog.snapshots.get(origin.snapshot);
  return snapshot === null
    ? { snapshot: origin.name, deleted: true }
    : { snapshot: fullName(catalog, snapshot), deleted: false };
}
