/**
 * A store's log on several disks, as one disk: the first segment is on all of them, the others lie
 * in zones (geometry.ts, table.ts).
 *
 * Why no acknowledged write is lost with one disk, at any instant, where the layout has redundancy:
 * - mirrored: a write is told when both places have it, durably.
 * - parity: a write is told when its data disk and the journal on the disk of the parity have it,
 *   durably. The parity is written when the segment is full, computed from memory; the journal lets
 *   the segment's records go only then. Neither overwrites anything that is needed: the log writes
 *   only where nothing live stands, so there is no instant at which a row is half of the old and half
 *   of the new (the "write hole").
 * - A disk that misses a write is out, by the table on all others, before that write is told.
 */
import assert from 'node:assert/strict';
import type { Log } from '../../base/log.ts';
import { bytesIn, type Disk, type Redundancy } from '../disk.ts';
import { limits } from '../limits.ts';
import { Copies } from './copies.ts';
import { blockBytes, columnPlace, piecesOf, segmentBlocks, segmentBytes } from './geometry.ts';
import type { Members } from './members.ts';
import { Replicated } from './replicated.ts';
import { all, Unsealed } from './unsealed.ts';
import { blockAt, cut, segmentAt, Zones } from './zones.ts';

const superblocks = { offset: limits.logOffset, length: segmentBytes } as const;
const directory = { offset: limits.directoryOffset, length: limits.directoryBytes } as const;

export class ArrayDisk implements Disk {
  readonly name: string;
  readonly redundancy: Redundancy;
  readonly members: Members;
  readonly zones: Zones;
  readonly unsealed: Unsealed;
  readonly copies: Copies;
  readonly superblocks: Replicated;
  readonly directory: Replicated;
  /** Calls of the log, ever: whether anybody is there. */
  calls = 0;

  constructor(name: string, members: Members, log: Log) {
    this.name = name;
    this.members = members;
    this.zones = new Zones(members);
    this.unsealed = new Unsealed(members, this.zones, log);
    this.copies = new Copies(members, this.zones, this.unsealed, log);
    this.superblocks = new Replicated(name, members, superblocks);
    this.directory = new Replicated(name, members, directory);
    this.redundancy = {
      recover: (offset, into, good) => this.#recover(offset, into, good),
      sealed: (offset) => this.unsealed.sealed(segmentAt(offset)),
      settle: async (offset, bytes) => {
        await this.copies.agree(segmentAt(offset), blockAt(offset), bytes);
        if (members.failed !== null) throw members.failed;
      },
      audit: (offset, bytes) => this.copies.agree(segmentAt(offset), blockAt(offset), bytes),
    };
  }

  get size(): number {
    return this.zones.size;
  }

  get allocatesOnWrite(): boolean {
    return this.members.alive().some((member) => member.disk.allocatesOnWrite);
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    assert(offset >= 0 && offset % blockBytes === 0 && into.length % blockBytes === 0);
    this.calls += 1;
    for (let at = 0; at < into.length; ) {
      const from = offset + at;
      const some = Math.min(into.length - at, segmentBytes - (from % segmentBytes));
      const part = some === into.length ? into : into.subarray(at, at + some);
      if (from < segmentBytes) await this.superblocks.read(from, part);
      else await this.copies.read(segmentAt(from), blockAt(from), part);
      at += some;
    }
  }

  async write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    const length = bytesIn(data);
    assert(offset >= 0 && offset % blockBytes === 0 && length % blockBytes === 0);
    this.calls += 1;
    for (let at = 0; at < length; ) {
      const from = offset + at;
      const some = Math.min(length - at, segmentBytes - (from % segmentBytes));
      const parts = some === length ? data : cut(data, at / blockBytes, some / blockBytes);
      if (from < segmentBytes) await this.superblocks.write(from, parts, durable);
      else await this.#writeSegment(segmentAt(from), blockAt(from), parts, some, durable);
      at += some;
    }
  }

  async #writeSegment(
    segment: number,
    start: number,
    data: readonly Uint8Array[],
    length: number,
    durable: boolean,
  ): Promise<void> {
    const { members, zones } = this;
    if (members.failed !== null) throw members.failed;
    if (!zones.isFormed(segment)) await zones.form(segment);
    const parity = zones.shape.layout === 'parity';
    if (parity && durable) await this.unsealed.note(segment, start, data);
    await zones.enter(segment);
    try {
      const blocks = length / blockBytes;
      const calls = this.#puts(segment, start, data, blocks, durable);
      if (parity && durable) calls.push(this.unsealed.journal(segment, start, data));
      else if (parity && blocks === segmentBlocks) calls.push(this.#plainParity(segment, data));
      await all(calls);
      if (members.losing !== null) await members.losing;
      if (members.failed !== null) throw members.failed;
    } finally {
      zones.leave(segment);
    }
  }

  #puts(
    segment: number,
    start: number,
    data: readonly Uint8Array[],
    blocks: number,
    durable: boolean,
  ): Promise<unknown>[] {
    const { members, zones } = this;
    const { shape } = zones;
    const index = zones.indexOf(segment);
    const calls: Promise<unknown>[] = [];
    for (const piece of piecesOf(shape, start, start + blocks)) {
      const parts = piece.blocks === blocks ? data : cut(data, piece.at, piece.blocks);
      const places =
        shape.layout === 'mirrored' ? mirrors : [columnPlace(shape, index, piece.column)];
      for (const place of places) {
        for (const { member, offset } of zones.targets(segment, place)) {
          calls.push(members.put(member, offset + piece.row * blockBytes, parts, durable));
        }
      }
    }
    return calls;
  }

  /** A whole segment that is only prepared: its parity is prepared as well. */
  async #plainParity(segment: number, data: readonly Uint8Array[]): Promise<void> {
    const { members, zones } = this;
    const sum = this.unsealed.parity(data.length === 1 ? data[0]! : Buffer.concat(data));
    const place = zones.indexOf(segment) % zones.shape.width;
    const targets = zones.targets(segment, place);
    await all(targets.map(({ member, offset }) => members.put(member, offset, [sum], false)));
  }

  async sync(): Promise<void> {
    const { members } = this;
    if (members.failed !== null) throw members.failed;
    await all(members.alive().map((member) => members.sync(member)));
    if (members.losing !== null) await members.losing;
    if (members.failed !== null) throw members.failed;
  }

  async #recover(
    offset: number,
    into: Uint8Array,
    good: (bytes: Uint8Array) => boolean,
  ): Promise<boolean> {
    if (offset < segmentBytes) return await this.superblocks.redundancy.recover(offset, into, good);
    return await this.copies.recover(segmentAt(offset), blockAt(offset), into, good);
  }

  /** The disks are their owner's to close; what is being written ends first. */
  async close(): Promise<void> {
    await this.unsealed.settled();
  }
}

const mirrors = [0, 1] as const;
