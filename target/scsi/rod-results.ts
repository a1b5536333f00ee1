/**
 * RECEIVE ROD TOKEN INFORMATION (SPC-4 6.26, SBC-3 5.19) and what is kept for it: how far a POPULATE TOKEN or
 * WRITE USING TOKEN is or how it ended, and the token that was made.
 *
 *   CDB   84h, 07h, LIST IDENTIFIER (4) at 2, …, ALLOCATION LENGTH (4) at 10, r, CONTROL
 *
 *    0  AVAILABLE DATA, 4                    15  TRANSFER COUNT UNITS = F1h, blocks
 *    4  RESPONSE TO SERVICE ACTION (4:0)     16  TRANSFER COUNT, 8
 *    5  COPY OPERATION STATUS (6:0)          24  SEGMENTS PROCESSED, 2 = 0
 *    6  OPERATION COUNTER, 2                 32  SENSE DATA, x, padded to a multiple of four
 *    8  ESTIMATED STATUS UPDATE DELAY, 4   32+x  ROD TOKEN DESCRIPTORS LENGTH, 4
 *   12  EXTENDED COPY COMPLETION STATUS    36+x  ROD token descriptor: r, r, ROD TOKEN, 512
 *   13  LENGTH OF THE SENSE DATA FIELD = x
 *   14  SENSE DATA LENGTH
 */
import { putU16, putU32, putU64, u32 } from './bytes.ts';
import { CopyState } from './copy-results.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit, NexusState } from './logical-unit.ts';
import { answer } from './outcome.ts';
import { rodTokenLength } from './rod-token.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';

/** COPY OPERATION STATUS (SPC-4 table 249). */
export const CopyOperation = {
  done: 0x01,
  failed: 0x02,
  /** Without errors, but not all that was asked for. */
  partial: 0x03,
  foreground: 0x11,
  background: 0x12,
  terminated: 0x60,
} as const;
export type CopyOperation = (typeof CopyOperation)[keyof typeof CopyOperation];

/** One POPULATE TOKEN or WRITE USING TOKEN. */
export interface RodRecord {
  /** Its service action. */
  readonly action: number;
  state: CopyOperation;
  /** Device calls that have ended well. */
  calls: number;
  /** Blocks of the unit that had the command. */
  blocks: number;
  /** How it ended; of no meaning before. */
  status: ScsiStatus;
  sense: Uint8Array | null;
  token: Uint8Array | null;
}

const headerLength = 32;
const blocksUnit = 0xf1;
const updateDelayMs = 100;
const noDelay = 0xffff_fffe;

function isRunning(record: RodRecord): boolean {
  return record.state === CopyOperation.foreground || record.state === CopyOperation.background;
}

/** A new record under `listId`; the oldest that has ended makes room. Null: `listId` is at work. */
export function openRodRecord(state: NexusState, listId: number, action: number): RodRecord | null {
  const { rods, copies } = state;
  const before = rods.get(listId);
  if (before !== undefined && isRunning(before)) return null;
  if (copies.get(listId)?.state === CopyState.running) return null;
  rods.delete(listId);
  for (const [id, each] of rods) {
    if (rods.size < scsiLimits.copyRecords) break;
    if (!isRunning(each)) rods.delete(id);
  }
  const record: RodRecord = {
    action,
    state: CopyOperation.foreground,
    calls: 0,
    blocks: 0,
    status: ScsiStatus.good,
    sense: null,
    token: null,
  };
  rods.set(listId, record);
  return record;
}

/** The operation of `task` is over; `whole`: it did all that it was to do. */
export function closeRodRecord(record: RodRecord, task: Task, whole: boolean): void {
  record.status = task.status as ScsiStatus;
  record.sense = task.sense;
  if (task.aborted) {
    record.state = CopyOperation.terminated;
    record.status = ScsiStatus.taskAborted;
    record.sense = null;
  } else if (task.status !== ScsiStatus.good) record.state = CopyOperation.failed;
  else record.state = whole ? CopyOperation.done : CopyOperation.partial;
}

export function startRodInformation(unit: LogicalUnit, task: Task): boolean {
  return unit.state(task.nexus).rods.has(u32(task.cdb, 2)) || unit.badField(task, 2);
}

export function rodInformation(unit: LogicalUnit, task: Task): void {
  const record = unit.state(task.nexus).rods.get(u32(task.cdb, 2));
  const allocation = u32(task.cdb, 10);
  if (record === undefined) unit.badField(task, 2);
  else {
    const out = encode(record);
    answer(task, out, allocation);
    // Once it was handed over, or an allocation length of zero said that nobody wants it, it is let go of.
    if (!isRunning(record) && (allocation === 0 || allocation >= out.length)) record.token = null;
  }
  task.finish();
}

function encode(record: RodRecord): Uint8Array {
  const running = isRunning(record);
  const sense = record.sense ?? new Uint8Array(0);
  const senseField = Math.ceil(sense.length / 4) * 4;
  const descriptors = record.token === null ? 0 : 2 + rodTokenLength;
  const out = new Uint8Array(headerLength + senseField + 4 + descriptors);
  putU32(out, 0, out.length - 4);
  out[4] = record.action;
  out[5] = record.state;
  putU16(out, 6, record.calls % 0x10000);
  putU32(out, 8, running ? updateDelayMs : noDelay);
  out[12] = running ? 0 : record.status;
  out[13] = senseField;
  out[14] = sense.length;
  out[15] = blocksUnit;
  putU64(out, 16, record.blocks);
  out.set(sense, headerLength);
  putU32(out, headerLength + senseField, descriptors);
  if (record.token !== null) out.set(record.token, headerLength + senseField + 6);
  return out;
}
