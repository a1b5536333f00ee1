/**
 * The work of an EXTENDED COPY: segment after segment, in pieces of one scratch buffer, read from the
 * source and written to the destination.
 *
 * Before every piece both units are asked again whether a reservation keeps the copy out and whether
 * the destination is write-protected now. What the source never allocated is zeroed, so a thin disk's
 * clone stays thin. Within one unit a destination that overlaps its source from above is copied backwards.
 */
import { strict as assert } from 'node:assert';
import { Access } from './command.ts';
import { type CopyRecord, CopyState } from './copy-results.ts';
import { type DeviceError, DeviceErrorCode } from './device.ts';
import { Job } from './job.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { SanitizeState } from './sanitize.ts';
import { Sense } from './sense.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';

/** A checked segment; offsets and length in bytes. */
export interface CopySegment {
  readonly source: LogicalUnit;
  readonly destination: LogicalUnit;
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

export class CopyJob extends Job {
  readonly #segments: readonly CopySegment[];
  readonly #record: CopyRecord | null;
  #index = 0;
  #done = 0;
  #length = 0;
  /** The scratch holds the piece of `#length` bytes; it is to be written. */
  #filled = false;
  /** The call under way ends a piece: it writes. */
  #writing = false;

  constructor(
    unit: LogicalUnit,
    task: Task,
    segments: readonly CopySegment[],
    record: CopyRecord | null,
  ) {
    super(unit, task);
    this.#segments = segments;
    this.#record = record;
  }

  protected step(): boolean {
    while (this.#segments[this.#index]?.bytes === 0) this.#next();
    const segment = this.#segments[this.#index];
    if (segment === undefined || !this.#allowed(segment)) return false;
    if (this.#filled) {
      this.#filled = false;
      this.#enter(segment);
      const data = this.scratch.subarray(0, this.#length);
      segment.destination.device.write(segment.to + this.#at(segment), data, false, this);
      return true;
    }
    this.#length = Math.min(scsiLimits.pieceBytes, segment.bytes - this.#done);
    const at = this.#at(segment);
    const from = segment.source.device;
    if (from.capabilities.thin && !this.#isMapped(segment.from + at, segment)) {
      const { device } = segment.destination;
      this.#enter(segment);
      device.writeZeroes(segment.to + at, this.#length, device.capabilities.thin, this);
      return true;
    }
    this.#writing = false;
    from.read(segment.from + at, this.#length, this.scratch, 0, this);
    return true;
  }

  #enter(segment: CopySegment): void {
    this.#writing = true;
    segment.destination.visits.enter();
  }

  /** The write of a piece has ended, well or not. */
  #leave(): void {
    this.#segments[this.#index]?.destination.visits.leave();
  }

  /** A reservation or a write protection may be newer than the check of the list. */
  #allowed(segment: CopySegment): boolean {
    const { source, destination } = segment;
    const { nexus } = this.task;
    if (source.bars(Access.read, nexus) || destination.bars(Access.write, nexus)) {
      this.task.status = ScsiStatus.reservationConflict;
      return false;
    }
    const sanitized =
      source.sanitize.state !== SanitizeState.none ||
      destination.sanitize.state !== SanitizeState.none;
    const code = sanitized ? Sense.cscdNotReachable : destination.protection({ readOnly: false });
    if (code !== null) this.unit.check(this.task, code, { segment: this.#index });
    // The size may have changed as well; a device is never asked beyond it.
    const end =
      segment.from + segment.bytes > source.device.sectors * source.device.sectorBytes ||
      segment.to + segment.bytes > destination.device.sectors * destination.device.sectorBytes;
    if (end) this.unit.check(this.task, Sense.copyAborted, { segment: this.#index });
    return code === null && !end;
  }

  /** The offset of the piece within the segment. */
  #at(segment: CopySegment): number {
    const backwards =
      segment.source.device === segment.destination.device && segment.to > segment.from;
    return backwards ? segment.bytes - this.#done - this.#length : this.#done;
  }

  #isMapped(offset: number, segment: CopySegment): boolean {
    const { mapped, length } = segment.source.device.allocation(offset, this.#length);
    return mapped || length < this.#length;
  }

  protected stepped(): void {
    if (!this.#writing) {
      this.#filled = true;
      return;
    }
    const segment = this.#segments[this.#index];
    assert(segment);
    this.#leave();
    this.#done += this.#length;
    if (this.#record) this.#record.bytes += this.#length;
    if (this.#done < segment.bytes) return;
    this.#next();
  }

  #next(): void {
    this.#done = 0;
    this.#index++;
    if (this.#record) this.#record.segments++;
  }

  /** SPC-4 6.4.6.3: a device's failure is told as the failure of the copy. BUSY is passed on. */
  protected override recovered(error: DeviceError): boolean {
    if (this.#writing) this.#leave();
    if (error.code === DeviceErrorCode.busy) return false;
    const code =
      error.code === DeviceErrorCode.noSpace
        ? Sense.spaceAllocationFailed
        : Sense.thirdPartyFailure;
    this.stop(code, { segment: this.#index });
    return true;
  }

  protected override ended(): void {
    if (this.#record === null) return;
    const whole = this.#index === this.#segments.length && this.task.status === ScsiStatus.good;
    this.#record.state = whole ? CopyState.done : CopyState.failed;
    this.#record.status = this.task.status as ScsiStatus;
    this.#record.sense = this.task.sense;
  }
}
