/**
 * WRITE SAME 10 and 16 (SBC-3 5.43, 5.44): one block of Data-Out, written over a range.
 *
 *   byte 1: WRPROTECT (7:5) ANCHOR (4) UNMAP (3), and NDOB (0) in the 16-byte form: no Data-Out, zeros
 *
 * Zeros go to the device's `writeZeroes`; with UNMAP they may be deallocated, because an unmapped
 * block reads as zeros here (LBPRZ). Any other pattern is written as it is, UNMAP or not: the
 * standard lets a device unmap only what then reads back as the Data-Out. A count of zero is refused
 * (WSNZ=1) unless the device says otherwise: then it means "to the end", and like any count it is
 * refused above MAXIMUM WRITE SAME LENGTH.
 */

import { blocksOf, inRange, lbaOf, lengthByte, unprotected } from './block-range.ts';
import { u8 } from './bytes.ts';
import { Job } from './job.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { Opcode } from './opcode.ts';
import { Sense } from './sense.ts';
import { type Task, Transfer } from './task.ts';

const anchorBit = 0x10;
const unmapBit = 0x08;
const noDataBit = 0x01;

function hasNoData(cdb: Uint8Array): boolean {
  return u8(cdb, 0) === Opcode.writeSame16 && (u8(cdb, 1) & noDataBit) !== 0;
}

/** Zero: there is no such count here. */
function countOf({ device }: LogicalUnit, cdb: Uint8Array): number {
  const blocks = blocksOf(cdb);
  const toEnd = blocks === 0 && device.capabilities.writeSameToEnd === true;
  return toEnd ? device.sectors - lbaOf(cdb) : blocks;
}

export function startWriteSame(unit: LogicalUnit, task: Task): boolean {
  const { cdb } = task;
  if (!unprotected(unit, task)) return false;
  const flags = u8(cdb, 1);
  // ANC_SUP=0: nothing can be anchored.
  if ((flags & anchorBit) !== 0) return unit.badField(task, 1, 4);
  if ((flags & unmapBit) !== 0 && !unit.device.capabilities.thin) return unit.badField(task, 1, 3);
  const lba = lbaOf(cdb);
  if (!inRange(unit, task, lba, Math.max(1, blocksOf(cdb)))) return false;
  const blocks = countOf(unit, cdb);
  const { sectorBytes } = unit.device;
  if (blocks === 0 || blocks > scsiLimits.writeSameBytes / sectorBytes) {
    return unit.badField(task, lengthByte(cdb));
  }
  task.offset = lba * sectorBytes;
  if (hasNoData(cdb)) {
    task.transfer = Transfer.none;
    return true;
  }
  task.length = sectorBytes;
  // More or less than one block is a host that takes the command for another (SBC-3 5.43).
  return task.expectedLength === task.length || unit.badField(task, lengthByte(cdb));
}

export function writeSame(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  const { sectorBytes } = unit.device;
  const end = task.offset + countOf(unit, task.cdb) * sectorBytes;
  const mayUnmap = (u8(task.cdb, 1) & unmapBit) !== 0;
  if (hasNoData(task.cdb)) {
    new ZeroJob(unit, task, end, mayUnmap).begin();
    return;
  }
  if (dataOut === null || dataOut.length < sectorBytes) {
    unit.check(task, Sense.dataPhase);
    task.finish();
    return;
  }
  const block = dataOut.subarray(0, sectorBytes);
  if (block.every((byte) => byte === 0)) new ZeroJob(unit, task, end, mayUnmap).begin();
  else new PatternJob(unit, task, end, block).beginWithScratch();
}

class ZeroJob extends Job {
  readonly #end: number;
  readonly #mayUnmap: boolean;
  #at: number;
  #length = 0;

  constructor(unit: LogicalUnit, task: Task, end: number, mayUnmap: boolean) {
    super(unit, task);
    this.#at = task.offset;
    this.#end = end;
    this.#mayUnmap = mayUnmap;
  }

  protected step(): boolean {
    this.#length = Math.min(scsiLimits.zeroPieceBytes, this.#end - this.#at);
    if (this.#length === 0) return false;
    this.unit.device.writeZeroes(this.#at, this.#length, this.#mayUnmap, this);
    return true;
  }

  protected stepped(): void {
    this.#at += this.#length;
  }
}

class PatternJob extends Job {
  readonly #end: number;
  readonly #block: Uint8Array;
  #at: number;
  #length = 0;
  #filled = false;

  constructor(unit: LogicalUnit, task: Task, end: number, block: Uint8Array) {
    super(unit, task);
    this.#at = task.offset;
    this.#end = end;
    this.#block = block;
  }

  protected step(): boolean {
    if (!this.#filled) {
      for (let i = 0; i < this.scratch.length; i += this.#block.length) {
        this.scratch.set(this.#block, i);
      }
      this.#filled = true;
    }
    this.#length = Math.min(scsiLimits.pieceBytes, this.#end - this.#at);
    if (this.#length === 0) return false;
    this.unit.device.write(this.#at, this.scratch.subarray(0, this.#length), false, this);
    return true;
  }

  protected stepped(): void {
    this.#at += this.#length;
  }
}
