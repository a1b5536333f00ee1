/**
 * COMPARE AND WRITE (SBC-3 5.2) and ORWRITE(16) (5.5): reading, deciding and writing as one.
 *
 * Both rest on the device's atomic compareAndWrite, so they are safe against each other and against
 * plain writes from any path. ORWRITE reads a piece and writes the result only if nothing changed in
 * between, else it reads again.
 */

import { inRange, lbaOf, setRange, unprotected } from './block-range.ts';
import { u8 } from './bytes.ts';
import { type DeviceError, DeviceErrorCode } from './device.ts';
import { compareBlocks } from './geometry.ts';
import { Job } from './job.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { Sense } from './sense.ts';
import { ScsiStatus } from './status.ts';
import { type Task, Transfer } from './task.ts';

/** The offset of the first byte in which a[at…] and b[from…] differ, -1 when equal. */
export function firstDifference(
  a: Uint8Array,
  at: number,
  b: Uint8Array,
  from: number,
  length: number,
): number {
  const left = a.subarray(at, at + length);
  const right = b.subarray(from, from + length);
  if (Buffer.compare(left, right) === 0) return -1;
  for (let i = 0; i < length; i++) if (left[i] !== right[i]) return i;
  return -1;
}

export function startCompareAndWrite(unit: LogicalUnit, task: Task): boolean {
  if (!unprotected(unit, task)) return false;
  const lba = lbaOf(task.cdb);
  const blocks = u8(task.cdb, 13);
  if (!inRange(unit, task, lba, blocks)) return false;
  if (blocks > compareBlocks(unit.device)) return unit.badField(task, 13);
  task.offset = lba * unit.device.sectorBytes;
  task.length = 2 * blocks * unit.device.sectorBytes;
  task.fua = (u8(task.cdb, 1) & 0x08) !== 0;
  // A length that is not what the CDB says leaves open where the second half begins.
  if (task.expectedLength !== task.length) return unit.badField(task, 13);
  if (task.length === 0) task.transfer = Transfer.none;
  return true;
}

/** All that the CDB calls for, or null: the task has ended, for want of work or of data. */
function wholeData(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): Uint8Array | null {
  const whole = dataOut !== null && dataOut.length >= task.length;
  if (whole && task.length !== 0) return dataOut.subarray(0, task.length);
  if (task.length !== 0) unit.check(task, Sense.dataPhase);
  task.finish();
  return null;
}

export function compareAndWrite(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  const data = wholeData(unit, task, dataOut);
  if (data !== null) new CompareJob(unit, task, data).begin();
}

class CompareJob extends Job {
  readonly #data: Uint8Array;
  #calls = 0;

  constructor(unit: LogicalUnit, task: Task, data: Uint8Array) {
    super(unit, task);
    this.#data = data;
  }

  protected step(): boolean {
    const { device } = this.unit;
    const half = this.#data.length / 2;
    this.#calls++;
    if (this.#calls === 1) {
      const { offset } = this.task;
      device.compareAndWrite(offset, this.#data.subarray(0, half), this.#data.subarray(half), this);
      return true;
    }
    if (this.#calls === 2 && this.task.fua && device.capabilities.writeBack) {
      device.flush(this);
      return true;
    }
    return false;
  }

  protected stepped(): void {}
}

export function startOrWrite(unit: LogicalUnit, task: Task): boolean {
  if (!unprotected(unit, task) || !setRange(unit, task)) return false;
  task.fua = (u8(task.cdb, 1) & 0x08) !== 0;
  if (task.expectedLength < task.length) return unit.badField(task, 10);
  if (task.length === 0) task.transfer = Transfer.none;
  return true;
}

export function orWrite(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  const data = wholeData(unit, task, dataOut);
  if (data !== null) new OrWriteJob(unit, task, data).beginWithScratch();
}

const OrPhase = { read: 1, write: 2, flush: 3 } as const;

class OrWriteJob extends Job {
  readonly #data: Uint8Array;
  #phase: (typeof OrPhase)[keyof typeof OrPhase] = OrPhase.read;
  #done = 0;
  #length = 0;
  #tries = 0;
  #flushed = false;

  constructor(unit: LogicalUnit, task: Task, data: Uint8Array) {
    super(unit, task);
    this.#data = data;
  }

  protected step(): boolean {
    const { device } = this.unit;
    const at = this.task.offset + this.#done;
    if (this.#phase === OrPhase.write) {
      const old = this.scratch.subarray(0, this.#length);
      const merged = this.scratch.subarray(this.#length, 2 * this.#length);
      for (let i = 0; i < this.#length; i++) {
        merged[i] = u8(old, i) | u8(this.#data, this.#done + i);
      }
      device.compareAndWrite(at, old, merged, this);
      return true;
    }
    this.#length = Math.min(scsiLimits.compareBytes, this.#data.length - this.#done);
    if (this.#length > 0) {
      this.#phase = OrPhase.read;
      device.read(at, this.#length, this.scratch, 0, this);
      return true;
    }
    if (this.#flushed || !this.task.fua || !device.capabilities.writeBack) return false;
    this.#phase = OrPhase.flush;
    this.#flushed = true;
    device.flush(this);
    return true;
  }

  protected stepped(): void {
    if (this.#phase === OrPhase.read) this.#phase = OrPhase.write;
    else if (this.#phase === OrPhase.write) {
      this.#phase = OrPhase.read;
      this.#done += this.#length;
      this.#tries = 0;
    }
  }

  protected override recovered(error: DeviceError): boolean {
    if (error.code !== DeviceErrorCode.miscompare || this.#phase !== OrPhase.write) return false;
    this.#tries++;
    if (this.#tries === scsiLimits.orWriteTries) {
      this.task.status = ScsiStatus.busy;
      this.stopAsIs();
    }
    this.#phase = OrPhase.read;
    return true;
  }
}
