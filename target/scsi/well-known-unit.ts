/**
 * The REPORT LUNS well-known logical unit, W-LUN C101h (SPC-4 9): the one place where an initiator
 * can ask for the LUNs without knowing any. Serves REPORT LUNS, INQUIRY, REQUEST SENSE and TEST
 * UNIT READY; keeps unit attentions per nexus like any logical unit.
 */
import { AttentionQueue } from './attention.ts';
import { u8 } from './bytes.ts';
import type { DeviceError } from './device.ts';
import { wellKnownInquiry } from './inquiry.ts';
import type { Nexus } from './nexus.ts';
import { Opcode } from './opcode.ts';
import { answer, fieldInCdb, setCheck } from './outcome.ts';
import { parseReportLuns, reportLuns } from './report-luns.ts';
import { encodeSense, Sense, type SenseCode } from './sense.ts';
import { ScsiStatus } from './status.ts';
import type { TargetView } from './target-view.ts';
import { type Task, Transfer } from './task.ts';
import type { Unit } from './unit.ts';

export class WellKnownUnit implements Unit {
  readonly device = null;
  readonly tellsAborts = false;
  readonly #target: TargetView;
  readonly #attentions = new Map<Nexus, AttentionQueue>();

  constructor(target: TargetView) {
    this.#target = target;
  }

  attach(nexus: Nexus): void {
    const queue = new AttentionQueue();
    queue.post(Sense.powerOn);
    this.#attentions.set(nexus, queue);
  }

  detach(nexus: Nexus): void {
    this.#attentions.delete(nexus);
  }

  post(code: SenseCode): void {
    for (const queue of this.#attentions.values()) queue.post(code);
  }

  drop(nexus: Nexus, code: SenseCode): void {
    this.#attentions.get(nexus)?.drop(code);
  }

  start(task: Task): boolean {
    task.status = ScsiStatus.good;
    task.sense = null;
    task.dataIn = null;
    task.transfer = Transfer.in;
    const opcode = u8(task.cdb, 0);
    if (opcode === Opcode.inquiry) {
      const evpd = (u8(task.cdb, 1) & 1) !== 0;
      if (!evpd && u8(task.cdb, 2) !== 0) return fieldInCdb(task, false, 2);
      return !evpd || u8(task.cdb, 2) === 0 || fieldInCdb(task, false, 2);
    }
    if (opcode === Opcode.reportLuns) return parseReportLuns(task, false);
    if (opcode === Opcode.requestSense) return true;
    const attention = this.#attentions.get(task.nexus)?.take();
    if (attention) {
      setCheck(task, attention, false);
      return false;
    }
    if (opcode === Opcode.testUnitReady) {
      task.transfer = Transfer.none;
      return true;
    }
    setCheck(task, Sense.invalidOpcode, false);
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
    if (opcode === Opcode.inquiry) wellKnownInquiry(task);
    else if (opcode === Opcode.reportLuns) reportLuns(this.#target, task);
    else if (opcode === Opcode.requestSense) {
      const code = this.#attentions.get(task.nexus)?.take() ?? Sense.none;
      answer(task, encodeSense(code, (u8(task.cdb, 1) & 1) !== 0), u8(task.cdb, 4));
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
