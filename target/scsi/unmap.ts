/**
 * UNMAP (SBC-3 5.28).
 *
 *   CDB   42h, ANCHOR (0), r r r r, GROUP NUMBER, PARAMETER LIST LENGTH (2), CONTROL
 *   list  0 UNMAP DATA LENGTH (2)   2 BLOCK DESCRIPTOR DATA LENGTH (2)   4 reserved
 *         8 … descriptors: LOGICAL BLOCK ADDRESS (8), NUMBER OF LOGICAL BLOCKS (4), reserved (4)
 *
 * The whole list is checked before the first block is touched.
 */
import { u8, u16, u32, u64 } from './bytes.ts';
import { Job } from './job.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { Sense } from './sense.ts';
import { type Task, Transfer } from './task.ts';

const headerLength = 8;
const descriptorLength = 16;

interface Range {
  readonly offset: number;
  readonly length: number;
}

export function startUnmap(unit: LogicalUnit, task: Task): boolean {
  if ((u8(task.cdb, 1) & 1) !== 0) return unit.badField(task, 1, 0);
  task.length = u16(task.cdb, 7);
  if (task.length === 0) {
    task.transfer = Transfer.none;
    return true;
  }
  if (task.length >= headerLength && task.expectedLength >= task.length) return true;
  unit.check(task, Sense.parameterListLength);
  return false;
}

export function unmap(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  if (task.length === 0) {
    task.finish();
    return;
  }
  const list = dataOut?.subarray(0, task.length) ?? new Uint8Array(0);
  if (list.length < task.length) {
    unit.check(task, Sense.parameterListLength);
    task.finish();
    return;
  }
  const ranges = parse(unit, task, list);
  if (ranges === null) task.finish();
  else new UnmapJob(unit, task, ranges).begin();
}

/** The ranges, or null with the status set. */
function parse(unit: LogicalUnit, task: Task, list: Uint8Array): Range[] | null {
  const { sectors, sectorBytes } = unit.device;
  // Descriptors beyond the list are not there; a cut one is ignored (SBC-3 5.28.2).
  const announced = Math.min(u16(list, 2), list.length - headerLength);
  const count = Math.floor(announced / descriptorLength);
  if (count > scsiLimits.unmapDescriptors) return bad(unit, task, 2);
  const ranges: Range[] = [];
  let total = 0;
  for (let i = 0; i < count; i++) {
    const at = headerLength + i * descriptorLength;
    const lba = u64(list, at);
    const blocks = u32(list, at + 8);
    if (lba + blocks > sectors) {
      unit.check(task, Sense.lbaOutOfRange);
      return null;
    }
    total += blocks;
    if (total > scsiLimits.unmapBlocks) return bad(unit, task, at + 8);
    if (blocks > 0) ranges.push({ offset: lba * sectorBytes, length: blocks * sectorBytes });
  }
  return ranges;
}

function bad(unit: LogicalUnit, task: Task, byte: number): null {
  unit.check(task, Sense.invalidFieldInParameters, { field: { inCdb: false, byte } });
  return null;
}

class UnmapJob extends Job {
  readonly #ranges: readonly Range[];
  #index = 0;
  #done = 0;
  #length = 0;

  constructor(unit: LogicalUnit, task: Task, ranges: readonly Range[]) {
    super(unit, task);
    this.#ranges = ranges;
  }

  protected step(): boolean {
    const range = this.#ranges[this.#index];
    if (range === undefined) return false;
    this.#length = Math.min(scsiLimits.zeroPieceBytes, range.length - this.#done);
    this.unit.device.unmap(range.offset + this.#done, this.#length, this);
    return true;
  }

  protected stepped(): void {
    this.#done += this.#length;
    if (this.#done === this.#ranges[this.#index]?.length) {
      this.#index++;
      this.#done = 0;
    }
  }
}
