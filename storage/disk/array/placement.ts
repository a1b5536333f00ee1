/**
 * Which extents a zone takes and which extents move: pure functions of the table.
 *
 * A disk that was lost still counts with its extents until another has taken its place, so that a
 * loss changes no capacity: a zone may then be formed with one place on it, which is filled when the
 * replacement comes. One that drains or leaves counts no more.
 */
import { limits } from '../limits.ts';
import { type Shape, segmentBytes, shapeOf } from './geometry.ts';
import { DiskState, diskOf, extentOf, placeOf, type Table, zonesMax } from './table.ts';

/** An extent that is to be somewhere else. */
export interface Move {
  readonly zone: number;
  /** Which of the zone's places. */
  readonly index: number;
  readonly to: number;
  readonly why: 'rebuild' | 'drain' | 'rebalance';
}

export const shapeOfTable = (table: Table): Shape => shapeOf(table.layout, table.columns);

export const zoneCount = (table: Table): number => table.zones.length / shapeOfTable(table).width;

/** Whether a zone lies anywhere yet. */
export const isFormed = (table: Table, width: number, zone: number): boolean =>
  (table.zones[zone * width] ?? 0) !== 0;

/** Extents of each disk that zones lie on. */
export function usedExtents(table: Table): number[] {
  const used = table.disks.map(() => 0);
  for (const place of table.zones) if (place !== 0) used[diskOf(place)]! += 1;
  return used;
}

/** Whether new zones may lie on a disk. */
function counts(table: Table, disk: number): boolean {
  const entry = table.disks[disk];
  if (entry === null || entry === undefined || entry.leaves) return false;
  return entry.state === DiskState.in || entry.state === DiskState.out;
}

const isOut = (table: Table, disk: number): boolean => table.disks[disk]?.state === DiskState.out;

/** Extents of each disk that new zones may take. */
function freeExtents(table: Table): number[] {
  const used = usedExtents(table);
  return table.disks.map((entry, disk) =>
    entry !== null && counts(table, disk) ? entry.extents - used[disk]! : 0,
  );
}

/** The disks of the next zone, those with most room first; null: there is no room for one. */
function pick(table: Table, free: readonly number[], shape: Shape): number[] | null {
  const order = free
    .map((_, disk) => disk)
    .filter((disk) => free[disk]! > 0)
    .sort((a, b) => free[b]! - free[a]! || a - b);
  const chosen: number[] = [];
  let lost = 0;
  for (const disk of order) {
    if (chosen.length === shape.width) break;
    if (isOut(table, disk)) {
      if (lost === shape.spare) continue;
      lost += 1;
    }
    chosen.push(disk);
  }
  return chosen.length === shape.width ? chosen : null;
}

/** The lowest extent of a disk that nothing lies on and nobody has reserved; -1: none. */
export function freeExtent(
  table: Table,
  disk: number,
  reserved: ReadonlySet<number> = new Set(),
): number {
  const taken = new Set<number>();
  for (const place of reserved) if (diskOf(place) === disk) taken.add(extentOf(place));
  for (const place of table.zones) {
    if (place !== 0 && diskOf(place) === disk) taken.add(extentOf(place));
  }
  let extent = 0;
  while (taken.has(extent)) extent += 1;
  return extent < (table.disks[disk]?.extents ?? 0) ? extent : -1;
}

/** `zones` with a place for one more zone, none of them reserved; null: there is no room. */
export function formZone(
  table: Table,
  zone: number,
  reserved: ReadonlySet<number> = new Set(),
): Uint32Array | null {
  const shape = shapeOfTable(table);
  const free = freeExtents(table);
  for (const place of reserved) free[diskOf(place)]! -= 1;
  const disks = pick(table, free, shape);
  if (disks === null) return null;
  const zones = new Uint32Array(Math.max(table.zones.length, (zone + 1) * shape.width));
  zones.set(table.zones);
  disks.forEach((disk, index) => {
    zones[zone * shape.width + index] = placeOf(disk, freeExtent(table, disk, reserved));
  });
  return zones;
}

export interface Room {
  readonly formed: number;
  /** Zones that can be formed as things lie. */
  readonly formable: number;
  /** Zones there are, formed or not: what the store's size follows from. */
  readonly total: number;
  /** Whether every zone below `total` is formed or can be. */
  readonly sound: boolean;
}

export function roomOf(table: Table): Room {
  const shape = shapeOfTable(table);
  const count = zoneCount(table);
  let formed = 0;
  for (let zone = 0; zone < count; zone += 1) if (isFormed(table, shape.width, zone)) formed += 1;
  const most = Math.min(
    zonesMax(shape.width),
    Math.floor((limits.storeBytesMax / segmentBytes - 1) / table.zoneSegments),
  );
  const free = freeExtents(table);
  setAside(table, free);
  let formable = 0;
  while (formed + formable < most) {
    const disks = pick(table, free, shape);
    if (disks === null) break;
    for (const disk of disks) free[disk]! -= 1;
    formable += 1;
  }
  const sound = formed + formable >= count;
  return { formed, formable, total: Math.max(count, formed + formable), sound };
}

/** Extents on disks that do not count, for which the others have no room. */
export function homeless(table: Table): number {
  return setAside(table, freeExtents(table));
}

/**
 * What is on disks that do not count is still to come to the others: they need room for it. Returns how
 * many extents find none.
 */
function setAside(table: Table, free: number[]): number {
  let coming = usedExtents(table).reduce(
    (sum, used, disk) => (counts(table, disk) ? sum : sum + used),
    0,
  );
  for (; coming > 0; coming -= 1) {
    let most = 0;
    for (let disk = 1; disk < free.length; disk += 1) if (free[disk]! > free[most]!) most = disk;
    if ((free[most] ?? 0) <= 0) return coming;
    free[most]! -= 1;
  }
  return 0;
}

/** Extents that have nowhere to go even if all that can move has moved; the table that leads to. */
export function afterMoves(table: Table): { table: Table; stuck: number } {
  const { width } = shapeOfTable(table);
  let after = table;
  for (;;) {
    const move = leaving(after, DiskState.draining, 'drain');
    if (move === null) break;
    const zones = after.zones.slice();
    zones[move.zone * width + move.index] = placeOf(move.to, freeExtent(after, move.to));
    after = { ...after, zones };
  }
  return { table: after, stuck: misplaced(after).drain };
}

/** Zones there would be if extents lay as well as possible. */
export function idealZones(table: Table): number {
  const { width } = shapeOfTable(table);
  const extents = table.disks.map((entry, disk) => (counts(table, disk) ? entry!.extents : 0));
  let low = 0;
  let high = Math.floor(extents.reduce((sum, each) => sum + each, 0) / width);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const places = extents.reduce((sum, each) => sum + Math.min(each, middle), 0);
    if (places >= middle * width) low = middle;
    else high = middle - 1;
  }
  return Math.min(low, zonesMax(width));
}

/**
 * The extent that should move next: off lost disks first, then off those that drain, then so that
 * what is free lies on disks enough for new zones. Null: nothing is to be moved, or can be.
 */
export function nextMove(table: Table): Move | null {
  return (
    leaving(table, DiskState.out, 'rebuild') ??
    leaving(table, DiskState.draining, 'drain') ??
    balancing(table)
  );
}

/** Extents that are where they should not stay. */
export function misplaced(table: Table): { rebuild: number; drain: number } {
  const used = usedExtents(table);
  let rebuild = 0;
  let drain = 0;
  table.disks.forEach((entry, disk) => {
    if (entry?.state === DiskState.out) rebuild += used[disk]!;
    if (entry?.state === DiskState.draining) drain += used[disk]!;
  });
  return { rebuild, drain };
}

function leaving(table: Table, state: DiskState, why: 'rebuild' | 'drain'): Move | null {
  const { width } = shapeOfTable(table);
  const free = freeExtents(table);
  for (let at = 0; at < table.zones.length; at += 1) {
    const place = table.zones[at]!;
    if (place === 0 || table.disks[diskOf(place)]?.state !== state) continue;
    const zone = Math.floor(at / width);
    const to = roomiest(table, free, disksOf(table, width, zone));
    if (to >= 0) return { zone, index: at % width, to, why };
  }
  return null;
}

const disksOf = (table: Table, width: number, zone: number): number[] =>
  [...table.zones.subarray(zone * width, (zone + 1) * width)].map(diskOf);

/** The disk that is there with most room, of those not in `except`; -1: none. */
function roomiest(table: Table, free: readonly number[], except: readonly number[]): number {
  let best = -1;
  free.forEach((room, disk) => {
    if (room === 0 || except.includes(disk)) return;
    if (table.disks[disk]?.state !== DiskState.in) return;
    if (best < 0 || room > free[best]!) best = disk;
  });
  return best;
}

/** Each such move makes what is free more even, so that it ends. */
function balancing(table: Table): Move | null {
  if (idealZones(table) <= roomOf(table).total) return null;
  const { width } = shapeOfTable(table);
  const free = freeExtents(table);
  const to = roomiest(table, free, []);
  if (to < 0) return null;
  const order = free
    .map((_, disk) => disk)
    .filter((disk) => table.disks[disk]?.state === DiskState.in && free[to]! - free[disk]! >= 2)
    .sort((a, b) => free[a]! - free[b]! || a - b);
  for (const from of order) {
    for (let zone = 0; zone < zoneCount(table); zone += 1) {
      const disks = disksOf(table, width, zone);
      if (disks.includes(from) && !disks.includes(to)) {
        return { zone, index: disks.indexOf(from), to, why: 'rebalance' };
      }
    }
  }
  return null;
}

/** Zones of which more places are lost than the layout bears; `lost` says which disks are. */
export function unbearable(table: Table, lost: (disk: number) => boolean): number {
  const { width, spare } = shapeOfTable(table);
  let zones = 0;
  for (let from = 0; from < table.zones.length; from += width) {
    let missing = 0;
    for (let index = 0; index < width; index += 1) {
      const place = table.zones[from + index]!;
      if (place !== 0 && lost(diskOf(place))) missing += 1;
    }
    if (missing > spare) zones += 1;
  }
  return zones;
}

/** Segments of a zone of a new store, a power of two: few steps on small disks, not too many on large. */
export function chooseZoneSegments(segments: number): number {
  let chosen: number = limits.zoneSegmentsMin;
  while (segments / chosen > limits.zonesWanted) chosen *= 2;
  return chosen;
}
