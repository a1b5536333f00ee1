/**
 * VERIFY and WRITE AND VERIFY (SBC-3 5.29–5.31, 5.37–5.39).
 *
 *   BYTCHK 00b  the medium is read (every checksum with it), nothing is transferred by VERIFY
 *          01b  compared with as many blocks of Data-Out
 *          11b  VERIFY: every block compared with the one block of Data-Out
 *          10b  reserved
 *
 * A difference is MISCOMPARE with INFORMATION = its byte offset within the Data-Out (as SBC-3 5.2 has
 * it for COMPARE AND WRITE).
 */

import { blocksOf, inRange, lbaOf, setRange, unprotected } from './block-range.ts';
import { u8 } from './bytes.ts';
import { firstDifference } from './compare.ts';
import { Job } from './job.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { Sense } from './sense.ts';
import { type Task, Transfer } from './task.ts';

const ByteCheck = { medium: 0, data: 1, block: 3 } as const;

function byteCheck(task: Task): number {
  return (u8(task.cdb, 1) >> 1) & 3;
}

export function startVerify(unit: LogicalUnit, task: Task): boolean {
  if (!unprotected(unit, task)) return false;
  const { device } = unit;
  const lba = lbaOf(task.cdb);
  const blocks = blocksOf(task.cdb);
  switch (byteCheck(task)) {
    case ByteCheck.medium:
      task.transfer = Transfer.none;
      if (!inRange(unit, task, lba, blocks)) return false;
      break;
    case ByteCheck.data:
      if (!setRange(unit, task)) return false;
      break;
    case ByteCheck.block:
      if (!inRange(unit, task, lba, blocks)) return false;
      task.length = blocks === 0 ? 0 : device.sectorBytes;
      break;
    default:
      return unit.badField(task, 1, 2);
  }
  task.offset = lba * device.sectorBytes;
  if (task.length === 0) task.transfer = Transfer.none;
  // Comparing with less than the whole would call unverified blocks verified.
  else if (task.expectedLength < task.length) return unit.badField(task, 1, 2);
  return true;
}

export function verify(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  const end = task.offset + blocksOf(task.cdb) * unit.device.sectorBytes;
  const check = byteCheck(task);
  const data = task.length === 0 ? null : (dataOut?.subarray(0, task.length) ?? null);
  if (task.length > 0 && (data === null || data.length < task.length)) {
    unit.check(task, Sense.dataPhase);
    task.finish();
    return;
  }
  new VerifyJob(unit, task, end, data, check === ByteCheck.block).beginWithScratch();
}

export function startWriteVerify(unit: LogicalUnit, task: Task): boolean {
  if (!unprotected(unit, task)) return false;
  const check = byteCheck(task);
  if (check !== ByteCheck.medium && check !== ByteCheck.data) return unit.badField(task, 1, 2);
  if (!setRange(unit, task)) return false;
  if (task.length === 0) task.transfer = Transfer.none;
  return true;
}

/** With less Data-Out than the CDB asks for, the whole blocks that came are written (RFC 7143 11.4.5). */
export function writeVerify(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  const { sectorBytes } = unit.device;
  const got = Math.min(dataOut?.length ?? 0, task.length);
  const data = dataOut?.subarray(0, got - (got % sectorBytes)) ?? new Uint8Array(0);
  const compare = byteCheck(task) === ByteCheck.data;
  new WriteVerifyJob(unit, task, data, compare).beginWithScratch();
}

class VerifyJob extends Job {
  readonly #start: number;
  readonly #end: number;
  readonly #data: Uint8Array | null;
  readonly #repeat: boolean;
  #at: number;
  #length = 0;

  constructor(
    unit: LogicalUnit,
    task: Task,
    end: number,
    data: Uint8Array | null,
    repeat: boolean,
  ) {
    super(unit, task);
    this.#start = task.offset;
    this.#at = task.offset;
    this.#end = end;
    this.#data = data;
    this.#repeat = repeat;
  }

  protected step(): boolean {
    this.#length = Math.min(scsiLimits.pieceBytes, this.#end - this.#at);
    if (this.#length === 0) return false;
    this.unit.device.read(this.#at, this.#length, this.scratch, 0, this);
    return true;
  }

  protected stepped(): void {
    if (this.#data !== null) {
      const from = this.#repeat ? 0 : this.#at - this.#start;
      const step = this.#repeat ? this.#data.length : this.#length;
      for (let i = 0; i < this.#length; i += step) {
        const different = firstDifference(this.scratch, i, this.#data, from, step);
        if (different >= 0) {
          this.stop(Sense.miscompareVerify, { information: from + different });
          return;
        }
      }
    }
    this.#at += this.#length;
  }
}

class WriteVerifyJob extends Job {
  readonly #data: Uint8Array;
  readonly #compare: boolean;
  #written = 0;
  #verified = 0;
  #length = 0;
  #writing = false;

  constructor(unit: LogicalUnit, task: Task, data: Uint8Array, compare: boolean) {
    super(unit, task);
    this.#data = data;
    this.#compare = compare;
  }

  protected step(): boolean {
    const { device } = this.unit;
    this.#writing = this.#written < this.#data.length;
    const done = this.#writing ? this.#written : this.#verified;
    this.#length = Math.min(scsiLimits.pieceBytes, this.#data.length - done);
    if (this.#length === 0) return false;
    const at = this.task.offset + done;
    // FUA: what is verified has to be on the medium (SBC-3 5.37).
    if (this.#writing) device.write(at, this.#data.subarray(done, done + this.#length), true, this);
    else device.read(at, this.#length, this.scratch, 0, this);
    return true;
  }

  protected stepped(): void {
    if (this.#writing) {
      this.#written += this.#length;
      return;
    }
    if (this.#compare) {
      const from = this.#verified;
      const different = firstDifference(this.scratch, 0, this.#data, from, this.#length);
      if (different >= 0) {
        this.stop(Sense.miscompareVerify, { information: from + different });
        return;
      }
    }
    this.#verified += this.#length;
  }
}
