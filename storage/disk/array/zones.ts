/**
 * From a segment to places on disks, zones formed when they are first written to, and the extent
 * that is on its way to another disk.
 *
 * An extent moves segment by segment. Of the segments before the cursor both the old and the new
 * place get every write; the one at the cursor is being copied and its writers wait; those behind it
 * have their old place only. The table names the new place when the last is done.
 */
import assert from 'node:assert/strict';
import { StorageError } from '../../base/errors.ts';
import { blockBytes, type Shape, segmentBlocks, segmentBytes } from './geometry.ts';
import type { Member } from './member.ts';
import type { Members } from './members.ts';
import { formZone, isFormed, type Room, roomOf, shapeOfTable } from './placement.ts';
import { diskOf, extentOf, type Table } from './table.ts';

/** Where one place of a segment is now: the disk and the offset of its chunk. */
export interface Target {
  readonly member: Member;
  readonly offset: number;
}

export interface Relocation {
  readonly zone: number;
  readonly index: number;
  readonly member: Member;
  readonly extent: number;
  /** Segment of the zone that is being copied. */
  cursor: number;
  /** Set while it is: ends when writers may go on. */
  gate: Promise<void> | null;
}

export class Zones {
  readonly shape: Shape;
  readonly zoneSegments: number;
  readonly chunkBytes: number;
  readonly extentBytes: number;
  readonly #members: Members;
  readonly #forming = new Map<number, Promise<void>>();
  /** Calls under way by segment. */
  readonly #busy = new Map<number, number>();
  #quiet: (() => void) | null = null;
  #room: Room;
  /** Places that are nobody's by the table and yet not free: one that is being filled or left. */
  readonly reserved = new Set<number>();
  relocation: Relocation | null = null;

  constructor(members: Members) {
    const { table } = members;
    this.#members = members;
    this.shape = shapeOfTable(table);
    this.zoneSegments = table.zoneSegments;
    this.chunkBytes = this.shape.chunkBlocks * blockBytes;
    this.extentBytes = this.chunkBytes * table.zoneSegments;
    this.#room = roomOf(table);
    members.onChange(() => {
      this.#room = roomOf(members.table);
    });
  }

  get #table(): Table {
    return this.#members.table;
  }

  get room(): Room {
    return this.#room;
  }

  /** Bytes of the store: its first segment is on every disk. */
  get size(): number {
    return (1 + this.#room.total * this.zoneSegments) * segmentBytes;
  }

  zoneOf(segment: number): number {
    return Math.floor((segment - 1) / this.zoneSegments);
  }

  /** Which segment of its zone. */
  indexOf(segment: number): number {
    return (segment - 1) % this.zoneSegments;
  }

  isFormed(segment: number): boolean {
    return isFormed(this.#table, this.shape.width, this.zoneOf(segment));
  }

  /** Resolves when the segment's zone lies somewhere, durably. */
  form(segment: number): Promise<void> {
    const zone = this.zoneOf(segment);
    let forming = this.#forming.get(zone);
    if (forming === undefined) {
      const change = this.#members.change((table) => this.#formed(table, zone));
      forming = change.finally(() => this.#forming.delete(zone));
      this.#forming.set(zone, forming);
    }
    return forming;
  }

  #formed(table: Table, zone: number): Table {
    if (isFormed(table, this.shape.width, zone)) return table;
    const zones = formZone(table, zone, this.reserved);
    if (zones === null) throw new StorageError('NO_SPACE', `no disk has room for zone ${zone}`);
    return { ...table, zones };
  }

  /** Where the table has place `index` of a segment; null: on a disk that is lost. */
  place(segment: number, index: number): Target | null {
    const place = this.#table.zones[this.zoneOf(segment) * this.shape.width + index] ?? 0;
    const member = place === 0 ? null : this.#members.at(diskOf(place));
    if (member === null) return null;
    return { member, offset: this.#offset(member, extentOf(place), segment) };
  }

  /** Everywhere that a write to place `index` of a segment has to go. */
  targets(segment: number, index: number): Target[] {
    const targets: Target[] = [];
    const place = this.place(segment, index);
    if (place !== null) targets.push(place);
    const moved = this.#movedTo(segment, index);
    if (moved !== null) targets.push(moved);
    return targets;
  }

  #movedTo(segment: number, index: number): Target | null {
    const { relocation } = this;
    if (relocation === null || relocation.index !== index) return null;
    if (relocation.zone !== this.zoneOf(segment)) return null;
    if (this.indexOf(segment) >= relocation.cursor || !relocation.member.alive) return null;
    return this.newPlace(relocation, segment);
  }

  newPlace(relocation: Relocation, segment: number): Target {
    const { member, extent } = relocation;
    return { member, offset: this.#offset(member, extent, segment) };
  }

  #offset(member: Member, extent: number, segment: number): number {
    const { offset } = member.areas.extents;
    return offset + extent * this.extentBytes + this.indexOf(segment) * this.chunkBytes;
  }

  /** Before a write: not while the segment is being copied. */
  async enter(segment: number): Promise<void> {
    for (;;) {
      const { relocation } = this;
      const here =
        relocation !== null &&
        relocation.gate !== null &&
        relocation.zone === this.zoneOf(segment) &&
        relocation.cursor === this.indexOf(segment);
      if (!here) break;
      await relocation.gate;
    }
    this.#busy.set(segment, (this.#busy.get(segment) ?? 0) + 1);
  }

  leave(segment: number): void {
    const busy = this.#busy.get(segment);
    assert(busy !== undefined);
    if (busy > 1) {
      this.#busy.set(segment, busy - 1);
      return;
    }
    this.#busy.delete(segment);
    this.#quiet?.();
  }

  /** Resolves when no write to the segment is under way. */
  async quiet(segment: number): Promise<void> {
    while (this.#busy.has(segment)) {
      await new Promise<void>((resolve) => {
        this.#quiet = resolve;
      });
    }
  }
}

/** `data` from block `at` on, `blocks` of them. */
export function cut(data: readonly Uint8Array[], at: number, blocks: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = at * blockBytes;
  let rest = blocks * blockBytes;
  for (const part of data) {
    if (rest === 0) break;
    if (from >= part.length) {
      from -= part.length;
      continue;
    }
    const some = part.subarray(from, Math.min(part.length, from + rest));
    parts.push(some);
    rest -= some.length;
    from = 0;
  }
  assert.equal(rest, 0);
  return parts;
}

export const segmentAt = (offset: number): number => Math.floor(offset / segmentBytes);
export const blockAt = (offset: number): number => (offset / blockBytes) % segmentBlocks;
