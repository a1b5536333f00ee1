/** One disk of a store on several: the disk itself, who it is, and what has happened to it. */
import type { StorageError } from '../../base/errors.ts';
import type { Disk } from '../disk.ts';
import type { Label, MemberAreas } from '../label.ts';
import { limits } from '../limits.ts';
import { Journal } from './journal.ts';

export class Member {
  readonly disk: Disk;
  readonly label: Label;
  readonly areas: MemberAreas;
  /** 32 hex digits. */
  readonly id: string;
  /** In the table's list. */
  readonly index: number;
  /** Null: the layout has no parity. */
  readonly journal: Journal | null;
  /** False: lost, and nothing is read or written any more. */
  alive = true;
  failure: StorageError | null = null;
  readErrors = 0;
  checksumErrors = 0;
  repairedBlocks = 0;

  constructor(disk: Disk, label: Label, index: number) {
    const areas = label.member!;
    this.disk = disk;
    this.label = label;
    this.areas = areas;
    this.index = index;
    this.id = Buffer.from(areas.diskId).toString('hex');
    const { offset, length } = areas.journal;
    const owner = { storeId: label.storeId, diskId: areas.diskId };
    this.journal = length === 0 ? null : new Journal({ disk, owner, offset, length });
  }
}

/** Extents of so many bytes that a disk has. */
export const extentsOf = (areas: MemberAreas, extentBytes: number): number =>
  Math.min(Math.floor(areas.extents.length / extentBytes), limits.extentsMax);
