/**
 * EXTENDED COPY with list identifiers of one byte (SPC-4 6.4, LID1): a block to block copy by the target.
 *
 *   CDB      83h, 00h, …, PARAMETER LIST LENGTH (4) at 10, r, CONTROL
 *   header   0 LIST IDENTIFIER   1 STR (5) LIST ID USAGE (4:3) PRIORITY (2:0)   2 CSCD LIST LENGTH, 2
 *            8 SEGMENT LIST LENGTH, 4   12 INLINE DATA LENGTH, 4   16 CSCD list, segment list
 *
 *   CSCD descriptor E4h, 32 bytes                       segment descriptor 02h, 28 bytes
 *    0  E4h                                              0  02h
 *    1  LU ID TYPE (7:6) NUL (5) DEVICE TYPE (4:0)       1  DC (1) CAT (0)
 *    4  CODE SET (3:0)                                   2  DESCRIPTOR LENGTH, 2 = 24
 *    5  ASSOCIATION (5:4) DESIGNATOR TYPE (3:0)          4  SOURCE CSCD, 2    6  DESTINATION CSCD, 2
 *    7  DESIGNATOR LENGTH    8  DESIGNATOR, 20          10  NUMBER OF BLOCKS, 2
 *   28  PAD (2)   29  DISK BLOCK LENGTH, 3              12  SOURCE LBA, 8    20  DESTINATION LBA, 8
 *
 * The whole list is checked before the first block moves. A unit is found by its NAA designator through
 * the target's `copyTarget`, which knows only what the initiator may use (CVE-2020-28374).
 */
import { u8, u16, u24, u32, u64 } from './bytes.ts';
import { Access } from './command.ts';
import { conflict, copyRefusal } from './copy-access.ts';
import { CopyJob, type CopySegment } from './copy-job.ts';
import { type CopyRecord, openRecord } from './copy-results.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { Sense, type SenseCode, type SenseDetail } from './sense.ts';
import { ScsiStatus } from './status.ts';
import { type Task, Transfer } from './task.ts';

const headerLength = 16;
const cscdLength = 32;
const segmentLength = 28;
/** CSCD descriptor ID of the logical unit that has the command (SPC-4 table 128). */
const ownUnit = 0xffff;
/** LIST ID USAGE (SPC-4 table 107). */
const Usage = { hold: 0, discard: 2, none: 3 } as const;

/** Why a list is refused; thrown within this file only. */
class Refused extends Error {
  readonly code: SenseCode | null;
  readonly detail: SenseDetail;

  /** `code` null: RESERVATION CONFLICT. */
  constructor(code: SenseCode | null, detail: SenseDetail = {}) {
    super(code?.name ?? 'reservation conflict');
    this.code = code;
    this.detail = detail;
  }
}

function badParameter(byte: number, bit?: number): Refused {
  const field = bit === undefined ? { inCdb: false, byte } : { inCdb: false, byte, bit };
  return new Refused(Sense.invalidFieldInParameters, { field });
}

export function startExtendedCopy(unit: LogicalUnit, task: Task): boolean {
  task.length = u32(task.cdb, 10);
  if (task.length === 0) {
    // No parameter data is no error and copies nothing (SPC-4 6.4.1).
    task.transfer = Transfer.none;
    return true;
  }
  const fits = task.length >= headerLength && task.length <= scsiLimits.copyListBytes;
  if (fits && task.expectedLength >= task.length) return true;
  unit.check(task, Sense.parameterListLength);
  return false;
}

export function extendedCopy(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  if (task.length === 0) {
    task.finish();
    return;
  }
  const list = dataOut?.subarray(0, task.length) ?? new Uint8Array(0);
  try {
    if (list.length < task.length) throw new Refused(Sense.parameterListLength);
    const segments = parse(unit, task, list);
    const record = recordOf(unit, task, list);
    new CopyJob(unit, task, segments, record).beginWithScratch();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code === null) task.status = ScsiStatus.reservationConflict;
    else unit.check(task, error.code, error.detail);
    task.finish();
  }
}

function recordOf(unit: LogicalUnit, task: Task, list: Uint8Array): CopyRecord | null {
  const usage = (u8(list, 1) >> 3) & 3;
  if (usage === Usage.none) return null;
  const record = openRecord(unit.state(task.nexus).copies, u8(list, 0));
  if (record === null) throw new Refused(Sense.operationInProgress);
  return record;
}

function parse(unit: LogicalUnit, task: Task, list: Uint8Array): CopySegment[] {
  const usage = (u8(list, 1) >> 3) & 3;
  if (usage === 1) throw badParameter(1, 4);
  // Without a list identifier the field is zero (SPC-4 table 107).
  if (usage === Usage.none && u8(list, 0) !== 0) throw badParameter(0);
  const cscdBytes = u16(list, 2);
  const segmentBytes = u32(list, 8);
  if (u32(list, 12) !== 0) {
    throw new Refused(Sense.inlineDataLength, { field: { inCdb: false, byte: 12 } });
  }
  const announced = cscdBytes + segmentBytes;
  if (headerLength + announced > list.length || announced > scsiLimits.copyDescriptorBytes) {
    throw new Refused(Sense.parameterListLength);
  }
  if (cscdBytes % cscdLength !== 0) throw badParameter(2);
  if (cscdBytes / cscdLength > scsiLimits.copyCscds) {
    throw new Refused(Sense.tooManyCscds, { field: { inCdb: false, byte: 2 } });
  }
  const cscds: Cscd[] = [];
  const segmentsAt = headerLength + cscdBytes;
  for (let at = headerLength; at < segmentsAt; at += cscdLength) {
    cscds.push(parseCscd(unit, task, list, at));
  }
  const ids = (id: number) => (id === ownUnit ? { unit } : cscds[id]);
  return parseSegments(unit, task, list, segmentsAt, segmentsAt + segmentBytes, ids);
}

/** A CSCD descriptor: the unit, or why no segment may use it. */
interface Cscd {
  readonly unit: LogicalUnit | null;
  readonly why?: SenseCode;
}

function parseCscd(unit: LogicalUnit, task: Task, list: Uint8Array, at: number): Cscd {
  if (u8(list, at) !== 0xe4) {
    throw new Refused(Sense.unsupportedCscd, { field: { inCdb: false, byte: at } });
  }
  // LU ID TYPE is ignored with E4h (SPC-4 6.4.5.1). NUL is obsolete; who sets it wants no real unit.
  if ((u8(list, at + 1) & 0x20) !== 0) return { unit: null, why: Sense.cscdNotReachable };
  if ((u8(list, at + 1) & 0x1f) !== 0) return { unit: null, why: Sense.wrongCscdType };
  // A binary NAA designator of a logical unit, type 6: 16 bytes.
  const isNaa = (u8(list, at + 4) & 0x0f) === 1 && (u8(list, at + 5) & 0x3f) === 3;
  if (!isNaa || u8(list, at + 7) !== 16) return { unit: null, why: Sense.cscdNotReachable };
  const found = unit.target.copyTarget(task.nexus, list.slice(at + 8, at + 24));
  if (found === null || found.unit.ejected) return { unit: null, why: Sense.cscdNotReachable };
  const blockLength = u24(list, at + 29);
  if (blockLength !== 0 && blockLength !== found.unit.device.sectorBytes) {
    throw badParameter(at + 29);
  }
  return { unit: found.unit };
}

function parseSegments(
  unit: LogicalUnit,
  task: Task,
  list: Uint8Array,
  from: number,
  end: number,
  cscd: (id: number) => Cscd | undefined,
): CopySegment[] {
  const segments: CopySegment[] = [];
  for (let at = from; at < end; at += segmentLength) {
    if (segments.length === scsiLimits.copySegments) {
      throw new Refused(Sense.tooManySegments, { field: { inCdb: false, byte: 8 } });
    }
    if (u8(list, at) !== 0x02) {
      throw new Refused(Sense.unsupportedSegment, { field: { inCdb: false, byte: at } });
    }
    if (u16(list, at + 2) !== segmentLength - 4 || at + segmentLength > end) {
      throw badParameter(at + 2);
    }
    segments.push(parseSegment(unit, task, list, at, segments.length, cscd));
  }
  return segments;
}

function parseSegment(
  unit: LogicalUnit,
  task: Task,
  list: Uint8Array,
  at: number,
  segment: number,
  cscd: (id: number) => Cscd | undefined,
): CopySegment {
  const reach = (field: number): LogicalUnit => {
    const found = cscd(u16(list, at + field));
    if (found?.unit) return found.unit;
    throw new Refused(found?.why ?? Sense.unreachableCscd, { segment });
  };
  const source = reach(4);
  const destination = reach(6);
  const from = source.device;
  const to = destination.device;
  // DC: the count is in blocks of the destination, else of the source.
  const counted = (u8(list, at + 1) & 0x02) !== 0 ? to : from;
  const bytes = u16(list, at + 10) * counted.sectorBytes;
  if (bytes > scsiLimits.copySegmentBytes) throw badParameter(at + 10);
  if (bytes % from.sectorBytes !== 0 || bytes % to.sectorBytes !== 0) {
    throw new Refused(Sense.inexactSegment, { segment });
  }
  const sourceLba = u64(list, at + 12);
  const destinationLba = u64(list, at + 20);
  if (
    sourceLba + bytes / from.sectorBytes > from.sectors ||
    destinationLba + bytes / to.sectorBytes > to.sectors
  ) {
    throw new Refused(Sense.copyAborted, { segment });
  }
  for (const [each, need] of [
    [source, Access.read],
    [destination, Access.write],
  ] as const) {
    const refusal = copyRefusal(unit, task.nexus, each, need);
    if (refusal !== null) throw new Refused(refusal === conflict ? null : refusal, { segment });
  }
  return {
    source,
    destination,
    from: sourceLba * from.sectorBytes,
    to: destinationLba * to.sectorBytes,
    bytes,
  };
}
