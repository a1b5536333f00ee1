/**
 * RECEIVE COPY RESULTS for list identifiers of one byte (SPC-4 6.22 of SPC-3, LID1): what became of an
 * EXTENDED COPY, and what copies may ask for.
 *
 *   CDB   84h, SERVICE ACTION (4:0), LIST IDENTIFIER, …, ALLOCATION LENGTH (4) at 10, r, CONTROL
 *
 *   COPY STATUS, 12 bytes               FAILED SEGMENT DETAILS, 60 + n bytes
 *    0  AVAILABLE DATA, 4 = 8            0  AVAILABLE DATA, 4
 *    4  HDD (7) | STATUS (6:0)          56  EXTENDED COPY COMMAND STATUS
 *    5  SEGMENTS PROCESSED, 2           58  SENSE DATA LENGTH, 2
 *    7  TRANSFER COUNT UNITS            60  SENSE DATA
 *    8  TRANSFER COUNT, 4
 *
 *   OPERATING PARAMETERS, 44 + n bytes
 *    0  AVAILABLE DATA, 4        20  MAXIMUM INLINE DATA LENGTH, 4     36  MAXIMUM CONCURRENT COPIES
 *    4  SNLID (0)                24  HELD DATA LIMIT, 4                37  DATA SEGMENT GRANULARITY, log2
 *    8  MAXIMUM CSCDS, 2         28  MAXIMUM STREAM TRANSFER, 4        38  INLINE DATA GRANULARITY, log2
 *   10  MAXIMUM SEGMENTS, 2      34  TOTAL CONCURRENT COPIES, 2        39  HELD DATA GRANULARITY, log2
 *   12  MAXIMUM LIST LENGTH, 4                                         43  TYPE CODES LENGTH
 *   16  MAXIMUM SEGMENT LENGTH, 4                                      44  IMPLEMENTED TYPE CODES
 */
import { putU16, putU32, u8, u32 } from './bytes.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { answer } from './outcome.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';

export const CopyResultsAction = { status: 0, parameters: 3, failedSegment: 4 } as const;

/** Segment descriptor type codes and CSCD descriptor type codes that are done, ascending. */
export const copyTypeCodes: readonly number[] = [0x02, 0xe4];

/** COPY MANAGER STATUS (SPC-4 table 253). */
export const CopyState = { running: 0, done: 1, failed: 2 } as const;
export type CopyState = (typeof CopyState)[keyof typeof CopyState];

/** One EXTENDED COPY with a list identifier. */
export interface CopyRecord {
  state: CopyState;
  segments: number;
  bytes: number;
  /** How it failed; the status is of no meaning before. */
  status: ScsiStatus;
  sense: Uint8Array | null;
}

/** A new record under `listId`; the oldest that has ended makes room. False: `listId` is at work. */
export function openRecord(copies: Map<number, CopyRecord>, listId: number): CopyRecord | null {
  if (copies.get(listId)?.state === CopyState.running) return null;
  copies.delete(listId);
  for (const [id, each] of copies) {
    if (copies.size < scsiLimits.copyRecords) break;
    if (each.state !== CopyState.running) copies.delete(id);
  }
  const record: CopyRecord = {
    state: CopyState.running,
    segments: 0,
    bytes: 0,
    status: ScsiStatus.good,
    sense: null,
  };
  copies.set(listId, record);
  return record;
}

export function startCopyResults(unit: LogicalUnit, task: Task): boolean {
  if ((u8(task.cdb, 1) & 0x1f) === CopyResultsAction.parameters) return true;
  if (unit.state(task.nexus).copies.has(u8(task.cdb, 2))) return true;
  return unit.badField(task, 2);
}

export function copyResults(unit: LogicalUnit, task: Task): void {
  const action = u8(task.cdb, 1) & 0x1f;
  const listId = u8(task.cdb, 2);
  const { copies } = unit.state(task.nexus);
  const record = copies.get(listId);
  let out = operatingParameters(unit);
  if (action === CopyResultsAction.status && record) out = copyStatus(record);
  if (action === CopyResultsAction.failedSegment && record) {
    out = failedSegment(record);
    // Reading the details lets go of them (SPC-4 6.4.3.2).
    if (record.state !== CopyState.running) copies.delete(listId);
  }
  putU32(out, 0, out.length - 4);
  answer(task, out, u32(task.cdb, 10));
  task.finish();
}

function copyStatus(record: CopyRecord): Uint8Array {
  const out = new Uint8Array(12);
  out[4] = record.state;
  putU16(out, 5, record.segments);
  out[7] = 1; // KiB: bytes would overflow the field at 4 GiB
  putU32(out, 8, Math.floor(record.bytes / 1024));
  return out;
}

function failedSegment(record: CopyRecord): Uint8Array {
  if (record.state !== CopyState.failed) return new Uint8Array(4);
  const sense = record.sense ?? new Uint8Array(0);
  const out = new Uint8Array(60 + sense.length);
  out[56] = record.status;
  putU16(out, 58, sense.length);
  out.set(sense, 60);
  return out;
}

function operatingParameters(unit: LogicalUnit): Uint8Array {
  const out = new Uint8Array(44 + copyTypeCodes.length);
  out[4] = 0x01; // SNLID: LIST ID USAGE 11b, a copy without a list identifier
  putU16(out, 8, scsiLimits.copyCscds);
  putU16(out, 10, scsiLimits.copySegments);
  putU32(out, 12, scsiLimits.copyDescriptorBytes);
  putU32(out, 16, scsiLimits.copySegmentBytes);
  putU16(out, 34, scsiLimits.scratchBuffers);
  out[36] = scsiLimits.scratchBuffers;
  out[37] = Math.log2(unit.device.sectorBytes);
  out[43] = copyTypeCodes.length;
  out.set(copyTypeCodes, 44);
  return out;
}
