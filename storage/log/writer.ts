/**
 * The end of the log: blocks and records are gathered into groups in the open segment, groups are
 * written each by one durable disk write, and what waits for them is told in the order of the log.
 *
 * Invariants: a group lies in one segment and is not touched after it was sealed; several may be
 * under way but none is told durable before all earlier ones are; after a failed write nothing is
 * told durable ever again and nothing more is written.
 *
 * Group commit: what arrives while nothing is under way leaves at the end of the tick; what arrives
 * while a group is under way is the next group, which may wait for those just answered (linger.ts).
 */

import assert from 'node:assert/strict';
import { called } from '../base/called.ts';
import type { Clock } from '../base/clock.ts';
import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import {
  type Entry,
  EntryKind,
  identityOf,
  writeEntry,
  writeGroupHeader,
  writeSegmentHeader,
} from './format.ts';
import { blockWords } from './frame.ts';
import { fits, type Group, type Waiter } from './group.ts';
import { Linger } from './linger.ts';
import type { Ring, SegmentBuffer } from './ring.ts';
import { type Segments, segmentOf, slotOf } from './segments.ts';
import type { LogPosition } from './superblock.ts';

export interface WriterPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly segments: Segments;
  readonly ring: Ring;
  readonly storeId: Uint32Array;
  /** Of this open. */
  readonly incarnation: number;
}

export class LogWriter {
  readonly #ports: WriterPorts;
  #buffer: SegmentBuffer | null = null;
  #next = 0;
  /** First block of the open segment that nothing stands in. */
  #at: number = limits.blocksPerSegment;
  #segmentSequence: number;
  #groupSequence: number;
  #previous = 0;
  #committed: number;
  #open: Group | null = null;
  /** Sealed, not given to the disk yet. */
  readonly #ready: Group[] = [];
  readonly #underWay: Group[] = [];
  #scheduled = false;
  readonly #linger: Linger;
  /** Not known durable when the log failed: what they hold is never shown. */
  #lost: readonly Group[] = [];
  #failure: StorageError | null = null;
  readonly #progress: (() => void)[] = [];
  /** Sequence of the superblock that is durable. */
  checkpoint = 0;
  /** Checksum of the block appended last. */
  crc = 0;
  /** Counts since open. */
  groups = 0;
  segmentsOpened = 0;
  blocks = 0;
  userBlocks = 0;
  /** Called when room may have come, after every group. */
  settled: () => void = () => {};
  /** Called once, when the disk failed. */
  broke: (failure: StorageError) => void = () => {};

  /** The first group gets `groupSequence`, the first segment `segmentSequence`. */
  constructor(ports: WriterPorts, groupSequence: number, segmentSequence: number) {
    this.#ports = ports;
    this.#groupSequence = groupSequence;
    this.#segmentSequence = segmentSequence - 1;
    this.#committed = groupSequence - 1;
    this.#linger = new Linger({
      clock: ports.clock,
      here: () => this.#open?.waiters.length ?? 0,
      full: () => (this.#open?.blocks ?? 0) >= limits.groupEagerBlocks,
      leave: () => this.#busy === 0 && this.send(),
    });
    const { redundancy } = ports.disk;
    if (redundancy !== undefined) {
      ports.ring.ended = (segment) => redundancy.sealed(segment * limits.segmentBytes);
    }
    this.#next = ports.segments.take();
    this.#advance();
  }

  get failure(): StorageError | null {
    return this.#failure;
  }

  /** Groups that the disk has, or is to get next. */
  get #busy(): number {
    return this.#underWay.length + this.#ready.length;
  }

  /** Sequence of the newest group, the open one included. */
  get newest(): number {
    return this.#open === null ? this.#groupSequence - 1 : this.#open.sequence;
  }

  /** All groups up to this sequence are durable. */
  get committed(): number {
    return this.#committed;
  }

  /** Groups that are not known durable, the open one included. */
  get unsettled(): number {
    return this.newest - this.#committed;
  }

  get segmentSequence(): number {
    return this.#segmentSequence;
  }

  /** Blocks that fit the open segment and the free ones. */
  get roomBlocks(): number {
    const open = limits.blocksPerSegment - this.#at;
    return open + this.#ports.segments.free * limits.segmentContentBlocks;
  }

  /** The next entries, with so many blocks, are one group, so that a crash takes all of them or none. */
  together(blocks: number, entries = blocks): void {
    const open = this.#open;
    if (open !== null) {
      if (fits(open, blocks, entries)) return;
      this.#seal();
    }
    // Its header and all of them, or a new segment.
    if (limits.blocksPerSegment - this.#at < 1 + blocks) this.#advance();
  }

  /** Whether `blocks` can be appended without waiting for a buffer. */
  accepts(blocks: number): boolean {
    const open = limits.blocksPerSegment - this.#at - limits.segmentTailBlocks;
    const { ring, segments } = this.#ports;
    return blocks <= open + Math.min(ring.available, segments.free) * limits.segmentContentBlocks;
  }

  /** Copy a block to the end of the log; returns its address; `crc` is set. Not durable yet. */
  append(
    kind: EntryKind,
    level: number,
    ref: number,
    block: number,
    epoch: number,
    data: Uint8Array,
    at: number,
    count = 0,
  ): number {
    const group = this.#groupFor(1);
    const slot = group.end;
    const bytes = group.buffer.blocks[slot]!;
    bytes.set(
      at === 0 && data.length === limits.blockBytes
        ? data
        : data.subarray(at, at + limits.blockBytes),
    );
    group.end = slot + 1;
    this.#at = group.end;
    group.blocks += 1;
    this.blocks += 1;
    this.crc = crc32c(bytes, identityOf(kind, level, ref, block, epoch));
    this.#entry(group, { kind, level, ref, block, epoch, crc: this.crc, count });
    return group.buffer.segment * limits.blocksPerSegment + slot;
  }

  /** As `append`, of the block that stands at `from`: it stays as durable as it was there. */
  move(from: number, line: number, block: number, epoch: number, data: Uint8Array): number {
    const durable = this.durableAt(from);
    const address = this.append(EntryKind.move, 0, line, block, epoch, data, 0, from);
    if (durable) this.#open!.moved.push(slotOf(address));
    return address;
  }

  /** A record without a block. */
  note(kind: EntryKind, ref: number, block: number, epoch: number, count: number): void {
    const group = this.#groupFor(0);
    this.#entry(group, { kind, level: 0, ref, block, epoch, crc: 0, count });
  }

  #entry(group: Group, entry: Omit<Entry, 'address'>): void {
    writeEntry(group.buffer.words, group.header * blockWords, group.entries, entry);
    group.entries += 1;
  }

  /** Tell `waiter` when all that was appended so far is durable. */
  await(waiter: Waiter): void {
    if (this.#failure !== null) {
      waiter.complete(this.#failure);
      return;
    }
    this.#join(this.#open ?? this.#ready.at(-1) ?? this.#underWay.at(-1) ?? null, waiter);
  }

  /** Whether the block at `address` is known durable, here or where it was moved from. */
  durableAt(address: number): boolean {
    return this.unsettled === 0 || this.#groupAt(address) === null;
  }

  /** Tell `waiter` when the block at `address` is durable, or that it never will be. */
  awaitAt(address: number, waiter: Waiter): void {
    this.#join(this.#groupAt(address), waiter);
  }

  /** Tell `waiter` when group `sequence` is durable, or that it never will be. */
  awaitGroup(sequence: number, waiter: Waiter): void {
    this.#join(
      this.#find((group) => group.sequence === sequence),
      waiter,
    );
  }

  #join(group: Group | null, waiter: Waiter): void {
    if (group !== null && this.#failure === null) group.waiters.push(waiter);
    else waiter.complete(group === null ? null : this.#failure);
  }

  #groupAt(address: number): Group | null {
    const [segment, slot] = [segmentOf(address), slotOf(address)];
    return this.#find(
      ({ segment: its, start, end, moved }) =>
        its === segment && slot >= start && slot < end && !moved.includes(slot),
    );
  }

  /** Among the groups that are not known durable. */
  #find(wanted: (group: Group) => boolean): Group | null {
    if (this.#open !== null && wanted(this.#open)) return this.#open;
    for (const groups of [this.#underWay, this.#ready, this.#lost]) {
      const found = groups.find(wanted);
      if (found !== undefined) return found;
    }
    return null;
  }

  /** As `await`, as a promise. */
  durable(): Promise<void> {
    return called((waiter) => {
      this.await(waiter);
      this.send();
    });
  }

  /** Resolves after the next group that becomes durable; rejects when the log has failed. */
  async progress(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    if (this.unsettled === 0) return;
    this.send();
    await new Promise<void>((resolve) => this.#progress.push(resolve));
    if (this.#failure !== null) throw this.#failure;
  }

  /** Between two groups: everything appended before stands before it, all that comes behind it. */
  position(): LogPosition {
    this.send();
    return {
      segment: this.#buffer!.segment,
      block: this.#at,
      groupSequence: this.#groupSequence,
      previous: this.#previous,
      incarnation: this.#ports.incarnation,
      segmentSequence: this.#segmentSequence,
    };
  }

  /** After appending: see that it leaves, now or when this tick ends. */
  kick(): void {
    const open = this.#open;
    if (open === null || this.#failure !== null) return;
    if (this.#busy > 0) {
      const eager = open.blocks >= limits.groupEagerBlocks;
      if (eager && this.#busy < limits.groupsInFlight) this.send();
      return;
    }
    if (this.#scheduled || this.#linger.active) return;
    this.#scheduled = true;
    this.#ports.clock.soon(() => {
      this.#scheduled = false;
      if (this.#busy === 0 && !this.#linger.active) this.send();
    });
  }

  /** Seal the open group and give the disk what it takes. */
  send(): void {
    if (this.#open !== null) this.#seal();
    this.#submit();
  }

  #groupFor(blocks: number): Group {
    assert(this.#failure === null, 'nothing is appended to a failed log');
    const open = this.#open;
    if (open !== null) {
      if (fits(open, blocks, 1)) return open;
      this.#seal();
    }
    if (limits.blocksPerSegment - this.#at < limits.segmentTailBlocks) this.#advance();
    const buffer = this.#buffer!;
    const header = this.#at;
    buffer.words.fill(0, header * blockWords, (header + 1) * blockWords);
    buffer.busy += 1;
    const group: Group = {
      sequence: this.#groupSequence,
      buffer,
      segment: buffer.segment,
      // The segment's own header goes with its first group: no write of its own.
      start: header === 1 ? 0 : header,
      end: header + 1,
      header,
      entries: 0,
      blocks: 0,
      waiters: [],
      moved: [],
      sentMs: 0,
      written: false,
    };
    this.#groupSequence += 1;
    this.#at = group.end;
    this.#open = group;
    return group;
  }

  #seal(): void {
    const group = this.#open!;
    assert(group.entries > 0);
    this.#open = null;
    this.#previous = writeGroupHeader(
      group.buffer.words,
      group.header * blockWords,
      this.#ports.storeId,
      {
        sequence: group.sequence,
        incarnation: this.#ports.incarnation,
        previous: this.#previous,
        address: group.buffer.segment * limits.blocksPerSegment + group.header,
        entries: group.entries,
        blocks: group.blocks,
        committed: this.#committed,
        checkpoint: this.checkpoint,
      },
    );
    this.groups += 1;
    this.#ready.push(group);
    this.#submit();
  }

  /** Fill the reserved segment from now on, and reserve the one behind it. */
  #advance(): void {
    const { segments, ring, storeId, incarnation } = this.#ports;
    if (this.#buffer !== null) {
      segments.filled(this.#buffer.segment);
      ring.settle(this.#buffer);
    }
    const segment = this.#next;
    this.#next = segments.take();
    this.#segmentSequence += 1;
    this.segmentsOpened += 1;
    segments.opened(segment, this.#segmentSequence);
    this.#buffer = ring.open(segment);
    writeSegmentHeader(this.#buffer.words, storeId, {
      sequence: this.#segmentSequence,
      incarnation,
      next: this.#next,
      checkpoint: this.checkpoint,
      segment,
    });
    this.#at = 1;
  }

  #submit(): void {
    while (
      this.#failure === null &&
      this.#ready.length > 0 &&
      this.#underWay.length < limits.groupsInFlight
    ) {
      const group = this.#ready.shift()!;
      this.#underWay.push(group);
      const { disk, clock } = this.#ports;
      group.sentMs = clock.now();
      const [start, end] = [group.start * limits.blockBytes, group.end * limits.blockBytes];
      const bytes = group.buffer.bytes.subarray(start, end);
      disk.write(group.segment * limits.segmentBytes + start, [bytes], true).then(
        () => this.#written(group),
        (reason: unknown) => this.fail(reason),
      );
    }
  }

  #written(group: Group): void {
    group.written = true;
    if (this.#failure !== null) return;
    const told: Waiter[] = [];
    while (this.#underWay[0]?.written) {
      const first = this.#underWay.shift()!;
      this.#committed = first.sequence;
      this.#ports.ring.settle(first.buffer);
      for (const waiter of first.waiters) told.push(waiter);
    }
    // Keep the disk busy first: what came meanwhile is the next group.
    if (
      this.#busy === 0 &&
      !this.#linger.start(told.length, this.#ports.clock.now() - group.sentMs)
    ) {
      if (this.#open !== null) this.#seal();
    }
    this.#submit();
    for (const waiter of told) waiter.complete(null);
    this.settled();
    for (const resume of this.#progress.splice(0)) resume();
  }

  /** Fail closed: nothing that is not told durable yet ever will be. */
  fail(reason: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = new StorageError('DISK_FAILED', 'a write of the log failed', { cause: reason });
    const lost = [...this.#underWay, ...this.#ready];
    if (this.#open !== null) lost.push(this.#open);
    this.#open = null;
    this.#ready.length = 0;
    this.#underWay.length = 0;
    this.#lost = lost;
    this.broke(this.#failure);
    for (const group of lost) for (const waiter of group.waiters) waiter.complete(this.#failure);
    for (const resume of this.#progress.splice(0)) resume();
  }
}
