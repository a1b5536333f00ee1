/**
 * What the parameter lists of POPULATE TOKEN and WRITE USING TOKEN have in common (SBC-3 5.7.2, 5.7.3): block
 * device range descriptors at the end, and how they are judged.
 *
 *   descriptor   0 LOGICAL BLOCK ADDRESS, 8   8 NUMBER OF LOGICAL BLOCKS, 4   12 reserved, 4
 */
import { u16, u32, u64 } from './bytes.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { openRodRecord, type RodRecord } from './rod-results.ts';
import type { Extent } from './rod-token.ts';
import { Sense, type SenseCode, type SenseDetail } from './sense.ts';
import { type Task, Transfer } from './task.ts';

const descriptorLength = 16;

/** Why a list is refused; caught where the list is read. */
export class RodRefusal extends Error {
  readonly code: SenseCode;
  readonly detail: SenseDetail;

  constructor(code: SenseCode, byte?: number, bit?: number) {
    super(code.name);
    this.code = code;
    const field = bit === undefined ? {} : { bit };
    this.detail = byte === undefined ? {} : { field: { inCdb: false, byte, ...field } };
  }
}

/** LIST IDENTIFIER (4) at 6, PARAMETER LIST LENGTH (4) at 10; `header`: the least that a list can be. */
export function startRodList(unit: LogicalUnit, task: Task, header: number): boolean {
  task.length = u32(task.cdb, 10);
  if (task.length === 0) {
    // No parameter data is no error and does nothing (SBC-3 5.7.1).
    task.transfer = Transfer.none;
    return true;
  }
  const fits = task.length >= header && task.length <= scsiLimits.copyListBytes;
  if (fits && task.expectedLength >= task.length) return true;
  unit.check(task, Sense.parameterListLength);
  return false;
}

/**
 * Hands the list to `work`, and finishes the task if there is none or `work` refuses. `work` must not
 * throw anything but a refusal, and must see to the end of the task otherwise.
 */
export function withRodList(
  unit: LogicalUnit,
  task: Task,
  dataOut: Uint8Array | null,
  work: (list: Uint8Array) => void,
): void {
  if (task.length === 0) {
    task.finish();
    return;
  }
  const list = dataOut?.subarray(0, task.length) ?? new Uint8Array(0);
  try {
    if (list.length < task.length) throw new RodRefusal(Sense.parameterListLength);
    work(list);
  } catch (error) {
    if (!(error instanceof RodRefusal)) throw error;
    unit.check(task, error.code, error.detail);
    task.finish();
  }
}

/** The ranges of the descriptors whose length field (2) stands at `at`, 2 before the first; bytes. */
export function rangesOf(unit: LogicalUnit, list: Uint8Array, at: number): Extent[] {
  const { sectors, sectorBytes } = unit.device;
  const announced = u16(list, at);
  if (announced < descriptorLength) throw new RodRefusal(Sense.invalidFieldInParameters, at);
  const first = at + 2;
  // A descriptor that is cut, by its length or by the list's, is not there.
  const there = Math.min(announced, list.length - first);
  const count = Math.floor(there / descriptorLength);
  if (count > scsiLimits.rodRanges) throw new RodRefusal(Sense.tooManySegments, at);
  const ranges: Extent[] = [];
  let total = 0;
  for (let i = 0; i < count; i++) {
    const each = first + i * descriptorLength;
    const lba = u64(list, each);
    const blocks = u32(list, each + 8);
    if (lba + blocks > sectors) throw new RodRefusal(Sense.lbaOutOfRange);
    total += blocks * sectorBytes;
    if (total > scsiLimits.rodBytes) {
      throw new RodRefusal(Sense.invalidFieldInParameters, each + 8);
    }
    ranges.push({ from: lba * sectorBytes, bytes: blocks * sectorBytes });
  }
  const sorted = ranges.filter((each) => each.bytes > 0).toSorted((a, b) => a.from - b.from);
  const overlap = sorted.some((each, i) => {
    const next = sorted[i + 1];
    return next !== undefined && each.from + each.bytes > next.from;
  });
  if (overlap) throw new RodRefusal(Sense.invalidFieldInParameters, first);
  return ranges;
}

/** A record under the LIST IDENTIFIER of the CDB. */
export function recordFor(unit: LogicalUnit, task: Task, action: number): RodRecord {
  const record = openRodRecord(unit.state(task.nexus), u32(task.cdb, 6), action);
  if (record === null) throw new RodRefusal(Sense.operationInProgress);
  return record;
}
