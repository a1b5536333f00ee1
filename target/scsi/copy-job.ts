/**
 * The work of an EXTENDED COPY and of a WRITE USING TOKEN: segment after segment, in pieces of one scratch
 * buffer, read from the source and written to the destination.
 *
 * Before every call both units are asked again (copy-access.ts), and a break of either (a reset, SANITIZE) ends
 * the copy. What the source never allocated is zeroed, so a thin disk's clone stays thin. Within one unit a
 * destination that overlaps its source from above is copied backwards.
 */
import { strict as assert } from 'node:assert';
import { Access } from './command.ts';
import { conflict, copyRefusal } from './copy-access.ts';
import { type CopyRecord, CopyState } from './copy-results.ts';
import { type DeviceError, DeviceErrorCode } from './device.ts';
import { Job } from './job.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { Extent } from './rod-token.ts';
import { Sense, type SenseCode, type SenseDetail } from './sense.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';
import type { Visit } from './visits.ts';

/** A checked segment; offsets and lengths in bytes. */
export interface CopySegment {
  /** Null: zeros are written. */
  readonly source: LogicalUnit | null;
  readonly destination: LogicalUnit;
  /** Where in the source; with `extents`, how far into them. */
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
  /** The data lies there, one after the other; what is beyond them is zeros. */
  readonly extents?: readonly Extent[];
}

export class CopyJob extends Job {
  readonly #segments: readonly CopySegment[];
  readonly #record: CopyRecord | null;
  #index = 0;
  #done = 0;
  /** The piece at work, and how much of it the scratch holds. */
  #length = 0;
  #got = 0;
  /** The read under way: bytes that are wanted, and those before them that came along. */
  #wanted = 0;
  #lead = 0;
  /** The call under way ends a piece: it writes. */
  #writing = false;
  /** The call under way only looks for what is allocated. */
  #locating = false;
  /** Of the call under way. */
  #visit: Visit | null = null;
  /** Breaks of the units of each segment before the copy began. */
  readonly #breaks: readonly number[];

  constructor(
    unit: LogicalUnit,
    task: Task,
    segments: readonly CopySegment[],
    record: CopyRecord | null,
  ) {
    super(unit, task);
    this.#segments = segments;
    this.#record = record;
    this.#breaks = segments.map(breaksOf);
  }

  /** Why the copy must not go on; asked before every call, so also before what was read is written. */
  protected refusal(): SenseCode | null {
    return null;
  }

  /** Asked between pieces. False: it is enough, and no failure. */
  protected goesOn(): boolean {
    return true;
  }

  /** So many bytes more are at the destination. */
  protected moved(bytes: number): void {
    if (this.#record) this.#record.bytes += bytes;
  }

  /** What the sense data says besides its code. */
  protected detail(): SenseDetail {
    return { segment: this.#index };
  }

  /** Whether all segments are done. */
  protected get whole(): boolean {
    return this.#index === this.#segments.length;
  }

  protected step(): boolean {
    while (this.#segments[this.#index]?.bytes === 0) this.#next();
    const segment = this.#segments[this.#index];
    if (segment === undefined || !this.#allowed(segment)) return false;
    const { device } = segment.destination;
    if (this.#length === 0) {
      if (!this.goesOn()) return false;
      this.#length = pieceOf(segment, segment.bytes - this.#done);
      const hole = this.#isHole(segment);
      if (hole === null) return true;
      if (hole) {
        this.#enter(segment);
        device.writeZeroes(
          segment.to + this.#at(segment),
          this.#length,
          device.capabilities.thin,
          this,
        );
        return true;
      }
    }
    if (this.#got < this.#length && this.#fill(segment)) return true;
    this.#enter(segment);
    const data = this.scratch.subarray(0, this.#length);
    device.write(segment.to + this.#at(segment), data, false, this);
    return true;
  }

  /** Reads on until the piece is whole; false: it is. */
  #fill(segment: CopySegment): boolean {
    const part = partOf(segment, this.#at(segment) + this.#got, this.#length - this.#got);
    if (part === null || segment.source === null) {
      this.scratch.fill(0, this.#got, this.#length);
      this.#got = this.#length;
      return false;
    }
    const { device } = segment.source;
    const whole = wholeSectors(part, device.sectorBytes);
    this.#wanted = part.bytes;
    this.#lead = part.from - whole.from;
    this.#writing = false;
    this.#visit = segment.source.visits.enter();
    device.read(whole.from, whole.bytes, this.scratch, this.#got, this);
    return true;
  }

  #enter(segment: CopySegment): void {
    this.#writing = true;
    this.#visit = segment.destination.visits.enter();
    if (segment.destination !== this.unit) this.task.elsewhere = segment.destination;
  }

  /** The read or the write of a piece has ended, well or not. */
  #leave(): void {
    const visit = this.#visit;
    this.#visit = null;
    visit?.leave();
    this.task.elsewhere = null;
  }

  /** Whether the next call may be made; sets the status if not. */
  #allowed(segment: CopySegment): boolean {
    const { source, destination } = segment;
    const { nexus } = this.task;
    const reads = source === null ? null : copyRefusal(this.unit, nexus, source, Access.read);
    const writes = copyRefusal(this.unit, nexus, destination, Access.write);
    if (reads === conflict || (reads === null && writes === conflict)) {
      this.task.status = ScsiStatus.reservationConflict;
      return false;
    }
    // Of its own unit the command was asked when it began.
    const held = [source, destination].some((each) => each !== this.unit && each?.held === true);
    const first = this.#done === 0 && this.#length === 0;
    if (held || (first && destination.background.lingering > 0)) {
      this.task.status = ScsiStatus.busy;
      return false;
    }
    let code = this.refusal() ?? reads ?? (writes === conflict ? null : writes);
    if (breaksOf(segment) !== this.#breaks[this.#index]) code ??= Sense.thirdPartyFailure;
    // The size may have changed as well; a device is never asked beyond it.
    if (endOf(segment) > sizeOf(source) || segment.to + segment.bytes > sizeOf(destination)) {
      code ??= Sense.copyAborted;
    }
    if (code !== null) this.unit.check(this.task, code, this.detail());
    return code === null;
  }

  /** The offset of the piece within the segment. */
  #at(segment: CopySegment): number {
    const backwards =
      segment.extents === undefined &&
      segment.source?.device === segment.destination.device &&
      segment.to > segment.from;
    return backwards ? segment.bytes - this.#done - this.#length : this.#done;
  }

  /** Whether nothing of the piece is allocated at its source; null: the device is asked to look that up. */
  #isHole(segment: CopySegment): boolean | null {
    if (segment.source === null) return true;
    const { device } = segment.source;
    if (!device.capabilities.thin) return false;
    let seen = 0;
    while (seen < this.#length) {
      const part = partOf(segment, this.#at(segment) + seen, this.#length - seen);
      if (part === null) return true;
      const whole = wholeSectors(part, device.sectorBytes);
      const found = device.allocation(whole.from, whole.bytes);
      if (found === null) {
        this.#locate(segment.source, whole);
        return null;
      }
      const { mapped, length } = found;
      if (mapped || length < whole.bytes) return false;
      seen += part.bytes;
    }
    return true;
  }

  #locate(source: LogicalUnit, { from, bytes }: Extent): void {
    assert(source.device.locate, 'what answers null can look it up');
    this.#length = 0;
    this.#locating = true;
    this.#visit = source.visits.enter();
    source.device.locate(from, bytes, this);
  }

  protected stepped(): void {
    if (this.#locating) {
      this.#locating = false;
      this.#leave();
      return;
    }
    if (!this.#writing) {
      this.#leave();
      this.#gather();
      return;
    }
    const segment = this.#segments[this.#index];
    assert(segment);
    this.#leave();
    this.#done += this.#length;
    this.moved(this.#length);
    this.#length = 0;
    this.#got = 0;
    if (this.#done < segment.bytes) return;
    this.#next();
  }

  /** The read has come: what was read along goes out from before what was wanted. */
  #gather(): void {
    const from = this.#got + this.#lead;
    if (this.#lead > 0) this.scratch.copyWithin(this.#got, from, from + this.#wanted);
    this.#got += this.#wanted;
  }

  #next(): void {
    this.#done = 0;
    this.#index++;
    if (this.#record) this.#record.segments++;
  }

  /** SPC-4 6.4.6.3: a device's failure is told as the failure of the copy. BUSY is passed on. */
  protected override recovered(error: DeviceError): boolean {
    this.#locating = false;
    this.#leave();
    if (error.code === DeviceErrorCode.busy) return false;
    const code =
      error.code === DeviceErrorCode.noSpace
        ? Sense.spaceAllocationFailed
        : Sense.thirdPartyFailure;
    this.stop(code, this.detail());
    return true;
  }

  protected override ended(): void {
    if (this.#record === null) return;
    const whole = this.whole && this.task.status === ScsiStatus.good;
    this.#record.state = whole ? CopyState.done : CopyState.failed;
    this.#record.status = this.task.status as ScsiStatus;
    this.#record.sense = this.task.sense;
  }
}

/** How much of the `left` bytes of a segment is one piece. */
function pieceOf(segment: CopySegment, left: number): number {
  const { source, destination } = segment;
  if (source === null) return Math.min(scsiLimits.zeroPieceBytes, left);
  // Where larger sectors are cut, up to a sector comes along on either side.
  const cut = source.device.sectorBytes > destination.device.sectorBytes;
  return Math.min(scsiLimits.pieceBytes - (cut ? 2 * source.device.sectorBytes : 0), left);
}

/** The first bytes of `[at, at + bytes)` of a segment that lie together at its source; null: none do. */
function partOf(segment: CopySegment, at: number, bytes: number): Extent | null {
  let skip = segment.from + at;
  if (segment.extents === undefined) return { from: skip, bytes };
  for (const each of segment.extents) {
    if (skip < each.bytes) {
      return { from: each.from + skip, bytes: Math.min(bytes, each.bytes - skip) };
    }
    skip -= each.bytes;
  }
  return null;
}

function wholeSectors(part: Extent, sectorBytes: number): Extent {
  const from = part.from - (part.from % sectorBytes);
  const end = Math.ceil((part.from + part.bytes) / sectorBytes) * sectorBytes;
  return { from, bytes: end - from };
}

/** Where the source of a segment ends; 0: there is none. */
function endOf(segment: CopySegment): number {
  if (segment.source === null) return 0;
  if (segment.extents === undefined) return segment.from + segment.bytes;
  return segment.extents.reduce((end, each) => Math.max(end, each.from + each.bytes), 0);
}

function sizeOf(unit: LogicalUnit | null): number {
  return unit === null ? 0 : unit.device.sectors * unit.device.sectorBytes;
}

/** Of both units: it grows with each. */
function breaksOf({ source, destination }: CopySegment): number {
  return (source?.breaks ?? 0) + destination.breaks;
}
