/**
 * Makes and opens a store on several disks, whose labels the caller has read or is to write.
 *
 * Opening takes the table of the highest version among the disks that are here. A disk that it calls
 * out is stale, and never read; one that is missing is taken out if the layout bears that; too few
 * is an error that names what is missing. Then the journals are replayed, so that every segment has
 * its parity before the first call.
 */
import type { Clock } from '../../base/clock.ts';
import { StorageError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Disk } from '../disk.ts';
import { type Label, layOutMember } from '../label.ts';
import { limits } from '../limits.ts';
import { ArrayDisk } from './array.ts';
import { blockBytes, chooseColumns, type Layout, segmentBytes, shapeOf } from './geometry.ts';
import { extentsOf, Member } from './member.ts';
import { Members } from './members.ts';
import { chooseZoneSegments, roomOf, unbearable } from './placement.ts';
import { replay } from './replay.ts';
import { type DiskEntry, DiskState, readTable, type Table, writeTable } from './table.ts';

export interface ArrayPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface LabelledDisk {
  readonly disk: Disk;
  readonly label: Label;
}

/** The labels of a new store's disks, `sizes` of them in bytes. */
export function layOutArray(sizes: readonly number[], layout: Layout, ports: ArrayPorts): Label[] {
  const storeId = ports.random.bytes(16);
  const created = ports.clock.wall();
  return sizes.map((size) =>
    layOutMember(storeId, ports.random.bytes(16), created, size, layout === 'parity'),
  );
}

/** Write the table of a new store; the labels are the caller's to write, last. INVALID. */
export async function formatArray(
  disks: readonly LabelledDisk[],
  layout: Layout,
  wantedColumns: number | null,
  ports: ArrayPorts,
): Promise<void> {
  if (disks.length > limits.disksMax) {
    throw new StorageError('INVALID', `a store has at most ${limits.disksMax} disks`);
  }
  const columns = chooseColumns(layout, disks.length, wantedColumns);
  const shape = shapeOf(layout, columns);
  const bytes = disks.reduce((sum, { label }) => sum + label.member!.extents.length, 0);
  const zoneSegments = chooseZoneSegments((bytes / segmentBytes / shape.width) * columns);
  const extentBytes = zoneSegments * shape.chunkBlocks * blockBytes;
  const table: Table = {
    version: 1,
    layout,
    columns,
    zoneSegments,
    disks: disks.map((each) => entryOf(each, extentBytes, ports.clock.wall())),
    zones: new Uint32Array(0),
  };
  if (roomOf(table).total < zonesNeeded(zoneSegments)) {
    throw new StorageError('INVALID', `these disks are too small or too unlike for ${layout}`);
  }
  const { storeId } = disks[0]!.label;
  // Both copies: nothing older may be found in the other one.
  for (const version of [1, 2]) {
    for (const { disk } of disks) await writeTable(disk, storeId, { ...table, version });
  }
}

/** A log of at least 32 segments: what the cleaner needs, twice. */
const zonesNeeded = (zoneSegments: number): number => Math.ceil(32 / zoneSegments);

export function entryOf(
  { disk, label }: LabelledDisk,
  extentBytes: number,
  since: number,
): DiskEntry {
  return {
    id: Buffer.from(label.member!.diskId).toString('hex'),
    state: DiskState.in,
    extents: extentsOf(label.member!, extentBytes),
    size: label.size,
    leaves: false,
    since,
    path: disk.name,
  };
}

export interface OpenedArray {
  readonly array: ArrayDisk;
  /** Disks given that are not used: stale, or no longer of the store. */
  readonly refused: readonly { readonly disk: Disk; readonly why: string }[];
}

/** INVALID, CORRUPT, TOO_NEW, DISK_FAILED. The disks stay the caller's to close. */
export async function openArray(
  name: string,
  disks: readonly LabelledDisk[],
  ports: ArrayPorts,
): Promise<OpenedArray> {
  const { storeId } = disks[0]!.label;
  for (const { disk, label } of disks) {
    if (Buffer.compare(label.storeId, storeId) === 0 && label.member !== null) continue;
    throw new StorageError(
      'INVALID',
      `${disk.name} belongs to another store than ${disks[0]!.disk.name}`,
    );
  }
  const tables = await Promise.all(disks.map(({ disk }) => readTable(disk, storeId)));
  const table = newest(name, tables);
  const { members, refused } = sort(disks, table);
  refuseDisagreement(name, table, tables, members);
  refuseLack(name, table, members, refused);
  const { clock, log } = ports;
  const control = new Members({ clock, log, storeId, name }, table, members);
  for (const { disk, why } of refused) log.warn({ disk: disk.name }, why);
  for (const entry of missing(table, members)) {
    log.warn({ id: entry.id, path: entry.path }, 'a disk of the store is missing');
  }
  // Every disk gets the table, and what is missing is out by it, before anything is written.
  const paths = new Map(members.map((member) => [member.index, member.disk.name]));
  await control.change((before) => ({
    ...before,
    disks: before.disks.map((entry, index) =>
      entry === null ? null : { ...entry, path: paths.get(index) ?? entry.path },
    ),
  }));
  const array = new ArrayDisk(name, control, log);
  if (table.layout === 'parity') await replay(array);
  return { array, refused };
}

function newest(name: string, tables: readonly (Table | null)[]): Table {
  let best: Table | null = null;
  for (const table of tables) {
    if (table !== null && (best === null || table.version > best.version)) best = table;
  }
  if (best !== null) return best;
  throw new StorageError('CORRUPT', `${name}: no disk has a readable table of the store's disks`);
}

function sort(
  disks: readonly LabelledDisk[],
  table: Table,
): { members: Member[]; refused: { disk: Disk; why: string }[] } {
  const members: Member[] = [];
  const refused: { disk: Disk; why: string }[] = [];
  for (const { disk, label } of disks) {
    const id = Buffer.from(label.member!.diskId).toString('hex');
    const index = table.disks.findIndex((entry) => entry?.id === id);
    const state = table.disks[index]?.state;
    if (index < 0) refused.push({ disk, why: `${disk.name} is no longer a disk of this store` });
    else if (state === DiskState.out) {
      refused.push({
        disk,
        why: `${disk.name} (${id}) was lost before and is stale: it is not used`,
      });
    } else if (members.some((member) => member.index === index)) {
      throw new StorageError('INVALID', `${disk.name} is a copy of another disk of this store`);
    } else {
      refuseLie(disk, label, table, index);
      members.push(new Member(disk, label, index));
    }
  }
  return { members, refused };
}

/** The table must not count on more of a disk than it has. */
function refuseLie(disk: Disk, label: Label, table: Table, index: number): void {
  const { chunkBlocks } = shapeOf(table.layout, table.columns);
  const extents = extentsOf(label.member!, table.zoneSegments * chunkBlocks * blockBytes);
  const journal = label.member!.journal.length > 0;
  const fits = extents >= table.disks[index]!.extents && label.size <= disk.size;
  if (fits && journal === (table.layout === 'parity')) return;
  throw new StorageError('CORRUPT', `${disk.name} is not what the table of its store says it is`);
}

/**
 * A disk that is out never comes back under its id. When the table of one says that another is out which
 * the newest has, both went on alone at some time, and neither is all of the store.
 */
function refuseDisagreement(
  name: string,
  table: Table,
  tables: readonly (Table | null)[],
  members: readonly Member[],
): void {
  for (const other of tables) {
    for (const entry of other?.disks ?? []) {
      if (entry?.state !== DiskState.out) continue;
      const member = members.find((each) => each.id === entry.id);
      if (member === undefined || table.disks[member.index]?.state === DiskState.out) continue;
      throw new StorageError(
        'CORRUPT',
        `${name}: ${member.disk.name} and another disk each went on without the other; ` +
          `give only the one whose content is to be kept`,
      );
    }
  }
}

function missing(table: Table, members: readonly Member[]): DiskEntry[] {
  return table.disks.filter(
    (entry, index): entry is DiskEntry =>
      entry !== null &&
      entry.state !== DiskState.out &&
      !members.some((member) => member.index === index),
  );
}

function refuseLack(
  name: string,
  table: Table,
  members: readonly Member[],
  refused: readonly { readonly why: string }[],
): void {
  const here = (disk: number): boolean => members.some((member) => member.index === disk);
  if (unbearable(table, (disk) => !here(disk)) === 0 && members.length > 0) return;
  const lack = missing(table, members).map(({ id, path }) => `${id} (last at ${path})`);
  const stale = refused.map(({ why }) => why);
  const what = [...(lack.length > 0 ? [`missing: ${lack.join(', ')}`] : []), ...stale].join('; ');
  throw new StorageError(
    'INVALID',
    `${name}: too few of the store's disks are here for the layout ${table.layout}: ${what}`,
  );
}
