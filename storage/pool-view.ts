/** The disks of a store as people see them: `petal store ls`. */
import type { ArrayDisk } from './disk/array/array.ts';
import type { Layout } from './disk/array/geometry.ts';
import type { MoveProgress } from './disk/array/mover.ts';
import { misplaced, nextMove, unbearable, usedExtents } from './disk/array/placement.ts';
import { DiskState, diskOf, type Table } from './disk/array/table.ts';
import type { Disk } from './disk/disk.ts';
import type { Label } from './disk/label.ts';

export interface PoolDiskView {
  /** 32 hex digits; of a store of one disk the store's own. */
  readonly id: string;
  readonly path: string;
  /** `lost`: not used any more, and never again under this id. `empty`: drained, may be removed. */
  readonly state: 'ok' | 'draining' | 'empty' | 'lost';
  /** Bytes. */
  readonly size: number;
  readonly used: number;
  readonly readErrors: number;
  readonly checksumErrors: number;
  readonly repairedBlocks: number;
  /** Why it was lost, or null. */
  readonly failure: string | null;
  /** In this state since then: ISO 8601, UTC. */
  readonly since: string;
}

export interface PoolView {
  readonly id: string;
  readonly layout: Layout;
  /** Disks that the data of a segment is spread over. */
  readonly columns: number;
  /**
   * `ok`; `degraded`: no further disk may be lost until what was on one is elsewhere; `failed`: reads
   * only.
   */
  readonly state: 'ok' | 'degraded' | 'failed';
  /** How many disks may be lost now, one after the other, without losing data: at least this many. */
  readonly spare: number;
  readonly zones: { readonly formed: number; readonly total: number; readonly degraded: number };
  /** What a zone holds, in bytes. */
  readonly zoneBytes: number;
  readonly disks: readonly PoolDiskView[];
  readonly moving: MoveProgress | null;
  /** Extents that should move and have nowhere to go: a disk is wanted. */
  readonly waiting: number;
}

const words = {
  [DiskState.in]: 'ok',
  [DiskState.draining]: 'draining',
  [DiskState.out]: 'lost',
  [DiskState.empty]: 'empty',
} as const;

export function viewOfArray(array: ArrayDisk, moving: MoveProgress | null): PoolView {
  const { members, zones } = array;
  const { table } = members;
  const used = usedExtents(table);
  const lost = (disk: number): boolean => members.at(disk) === null;
  const { rebuild, drain } = misplaced(table);
  const [failed, degraded] = [members.failed !== null, degradedZones(table, lost)];
  return {
    id: Buffer.from(members.all()[0]?.label.storeId ?? []).toString('hex'),
    layout: table.layout,
    columns: table.columns,
    state: failed ? 'failed' : degraded > 0 ? 'degraded' : 'ok',
    spare: failed || degraded > 0 ? 0 : zones.shape.spare,
    zones: { formed: zones.room.formed, total: zones.room.total, degraded },
    zoneBytes: table.zoneSegments * 2 ** 20,
    disks: table.disks.flatMap((entry, index) => {
      if (entry === null) return [];
      const member = members.all().find((each) => each.index === index);
      return [
        {
          id: entry.id,
          path: entry.path,
          state: lost(index) ? ('lost' as const) : words[entry.state],
          size: entry.size,
          used: used[index]! * zones.extentBytes,
          readErrors: member?.readErrors ?? 0,
          checksumErrors: member?.checksumErrors ?? 0,
          repairedBlocks: member?.repairedBlocks ?? 0,
          failure: member?.failure?.message ?? null,
          since: new Date(entry.since).toISOString(),
        },
      ];
    }),
    moving,
    waiting: nextMove(table) === null ? rebuild + drain : 0,
  };
}

function degradedZones(table: Table, lost: (disk: number) => boolean): number {
  const places = table.zones.filter((place) => place !== 0 && lost(diskOf(place)));
  // A zone that bears a loss has at most one place lost.
  return places.length - unbearable(table, lost);
}

export function viewOfDisk(disk: Disk, label: Label): PoolView {
  const id = Buffer.from(label.storeId).toString('hex');
  const since = new Date(label.created).toISOString();
  return {
    id,
    layout: 'single',
    columns: 1,
    state: 'ok',
    spare: 0,
    zones: { formed: 1, total: 1, degraded: 0 },
    zoneBytes: label.log.length,
    disks: [
      {
        id,
        path: disk.name,
        state: 'ok',
        size: label.size,
        used: label.size,
        readErrors: 0,
        checksumErrors: 0,
        repairedBlocks: 0,
        failure: null,
        since,
      },
    ],
    moving: null,
    waiting: 0,
  };
}
