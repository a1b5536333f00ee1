/**
 * What people change about the disks of a store: one is added, drained, replaced, removed. Each is
 * one version of the table; what follows from it (extents that move) is the mover's.
 */
import { StorageError } from '../../base/errors.ts';
import { limits } from '../limits.ts';
import type { ArrayDisk } from './array.ts';
import { segmentBytes } from './geometry.ts';
import { Member } from './member.ts';
import { entryOf, type LabelledDisk } from './open.ts';
import { afterMoves, homeless, roomOf, usedExtents } from './placement.ts';
import { type DiskEntry, DiskState, type Table } from './table.ts';

/** The number that a new disk gets. INVALID. */
function vacancy(table: Table): number {
  const at = table.disks.indexOf(null);
  const index = at < 0 ? table.disks.length : at;
  if (index < limits.disksMax) return index;
  throw new StorageError('INVALID', `a store has at most ${limits.disksMax} disks`);
}

function withEntry(table: Table, index: number, entry: DiskEntry | null): Table {
  const disks = [...table.disks];
  disks[index] = entry;
  return { ...table, disks };
}

/** The table with one more disk, and the size of the store then. NO_SPACE. */
export function planAdd(
  table: Table,
  entry: DiskEntry,
  leaving: readonly number[],
  now: number,
  index = vacancy(table),
): { table: Table; size: number } {
  const plain = withEntry(table, index, entry);
  // A disk that is lost is replaced by whatever is added, if that has room for what was on it.
  const taking = leave(plain, leaving, now);
  const next = homeless(taking) === 0 ? taking : plain;
  if (next !== taking && leaving.length > 0) {
    throw new StorageError(
      'NO_SPACE',
      `${entry.path} lacks room for what is on the disk it replaces`,
    );
  }
  const { total, sound } = roomOf(next);
  if (!sound) throw new StorageError('NO_SPACE', `${entry.path} is too small for this store`);
  return { table: next, size: sizeOf(table, total) };
}

/**
 * A blank disk whose label is written and durable becomes one of the store. `leaving`: numbers of the
 * disks that it replaces.
 */
export async function addDisk(
  array: ArrayDisk,
  added: LabelledDisk,
  leaving: readonly number[],
  now: number,
): Promise<Member> {
  const { members, zones, superblocks, directory } = array;
  const entry = entryOf(added, zones.extentBytes, now);
  if (entry.extents === 0) {
    throw new StorageError('INVALID', `${added.disk.name} is too small for this store`);
  }
  const member = new Member(added.disk, added.label, vacancy(members.table));
  await superblocks.still(() =>
    directory.still(async () => {
      const [source] = members.alive();
      if (source === undefined) throw members.failed!;
      for (const area of [superblocks, directory]) await area.copy(source, member);
      if (member.failure !== null) throw member.failure;
      members.join(member);
      await members.change((table) => planAdd(table, entry, leaving, now, member.index).table);
    }),
  );
  if (!member.alive) throw member.failure!;
  return member;
}

/** Disks that are there drain and go; of those that are lost, what was on them comes elsewhere. */
function leave(table: Table, leaving: readonly number[], now: number): Table {
  const disks = table.disks.map((entry, index) => {
    if (entry === null) return null;
    if (entry.state === DiskState.out) return { ...entry, leaves: true };
    if (!leaving.includes(index)) return entry;
    return { ...entry, state: DiskState.draining, leaves: true, since: now };
  });
  return { ...table, disks };
}

/** The table with a disk draining, and the size of the store then. NO_SPACE. */
export function planDrain(
  table: Table,
  index: number,
  leaves: boolean,
  now: number,
): { table: Table; size: number } {
  const entry = table.disks[index]!;
  const draining = { ...entry, state: DiskState.draining, leaves, since: now };
  const next = withEntry(table, index, draining);
  const after = afterMoves(next);
  if (after.stuck > 0) {
    const needed = after.stuck;
    throw new StorageError(
      'NO_SPACE',
      `the other disks lack room for ${needed} of the ${usedExtents(table)[index]} extents on ` +
        `${entry.path}; add a disk first, or replace it`,
    );
  }
  const { total, sound } = roomOf(after.table);
  if (!sound) throw new StorageError('NO_SPACE', 'the other disks lack room for the whole store');
  return { table: next, size: sizeOf(table, total) };
}

/** The table without a disk on which nothing is. IN_USE. */
export function planRemoval(table: Table, index: number): { table: Table; size: number } {
  const entry = table.disks[index]!;
  const used = usedExtents(table)[index]!;
  if (used > 0) {
    const how =
      entry.state === DiskState.out
        ? 'add a disk that takes its place'
        : 'drain it first, and wait until it is empty';
    throw new StorageError('IN_USE', `${used} extents of the store are on ${entry.path}: ${how}`);
  }
  const next = withEntry(table, index, null);
  if (next.disks.every((each) => each === null)) {
    throw new StorageError('IN_USE', `${entry.path} is the only disk of the store`);
  }
  const { total, sound } = roomOf(next);
  if (!sound) throw new StorageError('NO_SPACE', 'the other disks lack room for the whole store');
  return { table: next, size: sizeOf(table, total) };
}

const sizeOf = (table: Table, zones: number): number =>
  (1 + zones * table.zoneSegments) * segmentBytes;
