/**
 * POPULATE TOKEN (SBC-3 5.7): a token for the data of some ranges, as it is now.
 *
 *   CDB    83h, 10h, …, LIST IDENTIFIER (4) at 6, PARAMETER LIST LENGTH (4) at 10, GROUP NUMBER, CONTROL
 *   list   0 POPULATE TOKEN DATA LENGTH, 2     8 ROD TYPE, 4
 *          2 RTV (1) IMMED (0)                14 BLOCK DEVICE RANGE DESCRIPTOR LENGTH, 2
 *          4 INACTIVITY TIMEOUT, 4            16 … descriptors
 *
 * Nothing is read. The token lives from the start, so that every write that begins now ends it if it must;
 * the answer waits for the writes that had begun before, whose data is part of it.
 */
import { u8, u16, u32 } from './bytes.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { ExtendedCopyAction } from './opcode.ts';
import { RodRefusal, rangesOf, recordFor, startRodList, withRodList } from './rod-list.ts';
import { CopyOperation, closeRodRecord, type RodRecord } from './rod-results.ts';
import { type Extent, RodType } from './rod-token.ts';
import { Sense } from './sense.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';

const headerLength = 16;
const leastDataLength = 0x1e;
const immedBit = 0x01;
const typeValidBit = 0x02;

export function startPopulateToken(unit: LogicalUnit, task: Task): boolean {
  return startRodList(unit, task, headerLength);
}

export function populateToken(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  withRodList(unit, task, dataOut, (list) => {
    if (u16(list, 0) < leastDataLength) throw new RodRefusal(Sense.invalidFieldInParameters, 0);
    const flags = u8(list, 2);
    const seconds = u32(list, 4);
    if (seconds > scsiLimits.rodTimeoutMostSeconds) {
      throw new RodRefusal(Sense.invalidFieldInParameters, 4);
    }
    if ((flags & typeValidBit) !== 0 && u32(list, 8) !== RodType.changeVulnerable) {
      throw new RodRefusal(Sense.invalidFieldInParameters, 8);
    }
    const ranges = rangesOf(unit, list, 14);
    const immediate = (flags & immedBit) !== 0;
    if (immediate && unit.background.size >= scsiLimits.rodBackground) {
      task.status = ScsiStatus.busy;
      task.finish();
      return;
    }
    const record = recordFor(unit, task, ExtendedCopyAction.populateToken);
    const timeoutMs = (seconds || scsiLimits.rodTimeoutSeconds) * 1000;
    if (!immediate) {
      populate(unit, task, ranges, timeoutMs, record);
      return;
    }
    record.state = CopyOperation.background;
    populate(unit, unit.background.begin(task, false), ranges, timeoutMs, record);
    task.finish();
  });
}

function populate(
  unit: LogicalUnit,
  task: Task,
  extents: readonly Extent[],
  timeoutMs: number,
  record: RodRecord,
): void {
  const { rodTokens } = unit.target;
  const { initiator } = task.nexus;
  const token = rodTokens.make({ initiator, unit, extents, timeoutMs });
  if (token === null) {
    unit.check(task, Sense.invalidLun);
    closeRodRecord(record, task, false);
    task.finish();
    return;
  }
  rodTokens.settle(token, () => {
    if (task.aborted || unit.excluded(task)) rodTokens.end(token, Sense.tokenDeleted);
    else {
      record.blocks = token.size / unit.device.sectorBytes;
      record.token = token.bytes;
    }
    closeRodRecord(record, task, true);
    task.finish();
  });
}
