/**
 * What answers for a LUN that is not there (SPC-4 6.6.1, SAM-5 5.14): INQUIRY with peripheral
 * qualifier 3 and type 1Fh, REPORT LUNS with the list, REQUEST SENSE with LOGICAL UNIT NOT
 * SUPPORTED as its data, and CHECK CONDITION 05/25/00 to everything else.
 */
import { u8, u16 } from './bytes.ts';
import type { DeviceError } from './device.ts';
import { absentInquiry } from './inquiry.ts';
import { Opcode } from './opcode.ts';
import { answer, fieldInCdb, setCheck } from './outcome.ts';
import { parseReportLuns, reportLuns } from './report-luns.ts';
import { encodeSense, Sense, type SenseCode } from './sense.ts';
import { ScsiStatus } from './status.ts';
import type { TargetView } from './target-view.ts';
import { type Task, Transfer } from './task.ts';
import type { Unit } from './unit.ts';

export class AbsentUnit implements Unit {
  readonly device = null;
  readonly tellsAborts = false;
  readonly #target: TargetView;

  constructor(target: TargetView) {
    this.#target = target;
  }

  start(task: Task): boolean {
    task.status = ScsiStatus.good;
    task.sense = null;
    task.dataIn = null;
    task.transfer = Transfer.in;
    const opcode = u8(task.cdb, 0);
    if (opcode === Opcode.inquiry) {
      // EVPD pages of a unit that is not there: SPC-4 leaves them to us; none.
      return (u8(task.cdb, 1) & 1) === 0 || fieldInCdb(task, false, 1, 0);
    }
    if (opcode === Opcode.reportLuns) return parseReportLuns(task, false);
    if (opcode === Opcode.requestSense) return true;
    setCheck(task, Sense.invalidLun, false);
    return false;
  }

  keptOut(_task: Task): boolean {
    return false;
  }

  // No medium, so nothing to be kept from it.
  hold(): void {}

  lift(): void {}

  execute(task: Task, _dataOut: Uint8Array | null): void {
    const opcode = u8(task.cdb, 0);
    if (opcode === Opcode.inquiry) answer(task, absentInquiry(), u16(task.cdb, 3));
    else if (opcode === Opcode.reportLuns) reportLuns(this.#target, task);
    else {
      const descriptor = (u8(task.cdb, 1) & 1) !== 0;
      answer(task, encodeSense(Sense.invalidLun, descriptor), u8(task.cdb, 4));
    }
    task.finish();
  }

  fail(task: Task, _error: DeviceError): void {
    setCheck(task, Sense.internalTargetFailure, false);
  }

  check(task: Task, code: SenseCode): void {
    setCheck(task, code, false);
  }
}
