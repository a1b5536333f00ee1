/**
 * Data from the initiator (RFC 7143 4.2.5.2, 11.7, 11.8): immediate data, unsolicited Data-Out and
 * what R2Ts ask for, gathered until the command has all that it needs.
 *
 * Data comes in order (DataPDUInOrder and DataSequenceInOrder are always Yes), so one offset says
 * what is here. Bytes that the command does not use (EDTL longer than the CDB asks) are taken and
 * dropped. A PDU that does not fit is rejected and ends its task with ABORTED COMMAND; nothing of
 * it, and nothing outside of the buffer, ever reaches the device.
 */
import type { Clock } from '../clock.ts';
import type { Limits } from '../limits.ts';
import { Sense, type SenseCode } from '../scsi/sense.ts';
import { RejectReason } from '../wire/control.ts';
import { bufferOffset, dataSn, putReadyToTransfer, targetTransferTag } from '../wire/data.ts';
import { initiatorTaskTag, isFinal, NO_TAG } from '../wire/header.ts';
import type { BudgetWaiter, WriteBudget } from './buffers.ts';
import type { Parameters } from './keys.ts';
import { type Output, Stat } from './output.ts';
import type { Receiver } from './receiver.ts';
import { type ScsiTask, TaskState } from './scsi-task.ts';
import type { Tasks } from './tasks.ts';

export interface DataOutOwner {
  /** All the data that the command uses is in its buffer (`wanted` bytes), or it uses none. */
  dataOutEnded(task: ScsiTask): void;
  /** The data phase went wrong: the task ends with this sense. */
  dataOutFailed(task: ScsiTask, code: SenseCode): void;
  /** The answer was known before; now the last of the data has come. */
  drained(task: ScsiTask): void;
  reject(reason: RejectReason, b: Uint8Array, at: number): void;
}

export class DataOut implements BudgetWaiter {
  readonly #owner: DataOutOwner;
  readonly #limits: Limits;
  readonly #parameters: Parameters;
  readonly #out: Output;
  readonly #tasks: Tasks;
  readonly #budget: WriteBudget;
  readonly #clock: Clock;
  /** Tasks that have no room for their data yet, oldest first. */
  readonly #waiting: ScsiTask[] = [];
  #transferTag = 0;

  constructor(options: {
    readonly owner: DataOutOwner;
    readonly limits: Limits;
    readonly parameters: Parameters;
    readonly out: Output;
    readonly tasks: Tasks;
    readonly budget: WriteBudget;
    readonly clock: Clock;
  }) {
    this.#owner = options.owner;
    this.#limits = options.limits;
    this.#parameters = options.parameters;
    this.#out = options.out;
    this.#tasks = options.tasks;
    this.#budget = options.budget;
    this.#clock = options.clock;
  }

  /**
   * Starts gathering for a task whose immediate data, if any, is `data[at…at+length)`. False: there
   * is no room for data that comes unasked.
   */
  begin(task: ScsiTask, data: Uint8Array, at: number, length: number): boolean {
    task.state = TaskState.collecting;
    task.progressMs = this.#clock.now();
    if (!this.#tasks.takeBuffer(task)) {
      const unasked = length !== 0 || task.unsolicited;
      if (unasked && !this.#tasks.takeReserve(task)) return false;
      if (!unasked) {
        this.#wait(task);
        return true;
      }
    }
    this.#keep(task, data, at, length);
    this.#advance(task);
    return true;
  }

  /** Data that nobody uses is on its way: it is awaited. */
  start(task: ScsiTask): void {
    task.progressMs = this.#clock.now();
  }

  /** Where the data of a Data-Out that arrives in pieces belongs, when it is what is awaited. */
  place(b: Uint8Array, at: number, length: number, receiver: Receiver): void {
    const task = this.#tasks.get(initiatorTaskTag(b, at));
    if (task === undefined || task.state !== TaskState.collecting) return;
    if (task.buffer === null || this.#misfit(task, b, at, length)) return;
    const end = task.received + length;
    if (end > task.wanted || end > task.buffer.length) return;
    receiver.into = task.buffer;
    receiver.intoAt = task.received;
  }

  /** One Data-Out PDU. `whole` false: its data digest was wrong. */
  receive(
    b: Uint8Array,
    at: number,
    data: Uint8Array,
    dataAt: number,
    length: number,
    whole: boolean,
  ): void {
    const tag = initiatorTaskTag(b, at);
    const final = isFinal(b, at);
    const task = this.#tasks.get(tag);
    if (task === undefined) {
      if (!this.#tasks.discarded(tag, final)) {
        this.#owner.reject(RejectReason.invalidPduField, b, at);
      }
      return;
    }
    if (!whole) {
      this.#owner.reject(RejectReason.dataDigestError, b, at);
      if (task.state === TaskState.collecting) this.#fail(task, Sense.protocolCrc, final);
      return;
    }
    if (task.state === TaskState.draining) {
      this.#drain(task, b, at, final);
      return;
    }
    const expected = task.state === TaskState.collecting;
    if (!expected || this.#misfit(task, b, at, length)) {
      this.#refuse(task, b, at, final);
      return;
    }
    this.#accept(task, data, dataAt, length, final);
  }

  #accept(task: ScsiTask, data: Uint8Array, dataAt: number, length: number, final: boolean): void {
    this.#keep(task, data, dataAt, length);
    task.nextDataSn++;
    task.progressMs = this.#clock.now();
    if (!final) return;
    task.nextDataSn = 0;
    if (task.unsolicited) {
      task.unsolicited = false;
    } else {
      const end = task.r2tEnds.shift();
      task.r2tTags.shift();
      if (end !== task.received) {
        this.#owner.dataOutFailed(task, Sense.notEnoughUnsolicitedData);
        return;
      }
    }
    this.#advance(task);
  }

  /** True: the PDU is not the next piece of what was promised or asked for. */
  #misfit(task: ScsiTask, b: Uint8Array, at: number, length: number): boolean {
    const transferTag = targetTransferTag(b, at);
    let limit: number;
    if (transferTag === NO_TAG) {
      if (!task.unsolicited) return true;
      limit = Math.min(this.#parameters.firstBurstBytes, task.expectedLength);
    } else {
      if (task.unsolicited || task.r2tTags[0] !== transferTag) return true;
      limit = task.r2tEnds[0]!;
    }
    if (dataSn(b, at) !== task.nextDataSn) return true;
    return bufferOffset(b, at) !== task.received || task.received + length > limit;
  }

  #refuse(task: ScsiTask, b: Uint8Array, at: number, final: boolean): void {
    const transferTag = targetTransferTag(b, at);
    const known = transferTag === NO_TAG || task.r2tTags.includes(transferTag);
    const reason = known ? RejectReason.protocolError : RejectReason.invalidPduField;
    this.#owner.reject(reason, b, at);
    if (task.state === TaskState.collecting) this.#fail(task, Sense.dataPhase, final);
  }

  #fail(task: ScsiTask, code: SenseCode, final: boolean): void {
    // The sequence that this PDU ends is not awaited any more.
    if (final && task.unsolicited) task.unsolicited = false;
    else if (final) {
      task.r2tTags.shift();
      task.r2tEnds.shift();
    }
    this.#owner.dataOutFailed(task, code);
  }

  #drain(task: ScsiTask, b: Uint8Array, at: number, final: boolean): void {
    if (targetTransferTag(b, at) !== NO_TAG) {
      this.#owner.reject(RejectReason.invalidPduField, b, at);
      return;
    }
    task.progressMs = this.#clock.now();
    if (!final) return;
    task.unsolicited = false;
    this.#owner.drained(task);
  }

  /** Copies what the command uses, unless it is in place already. */
  #keep(task: ScsiTask, data: Uint8Array, at: number, length: number): void {
    const buffer = task.buffer;
    const used = Math.min(length, task.wanted - task.received);
    if (used > 0 && buffer !== null && data !== buffer) {
      if (at === 0 && used === data.length) buffer.set(data, task.received);
      else buffer.set(data.subarray(at, at + used), task.received);
    }
    task.received += length;
  }

  /** A sequence has ended: go on with the command, or ask for what is missing. */
  #advance(task: ScsiTask): void {
    if (task.unsolicited) return;
    if (task.received >= task.wanted) {
      if (task.r2tTags.length === 0) this.#owner.dataOutEnded(task);
      return;
    }
    if (!this.#tasks.growBuffer(task)) {
      this.#wait(task);
      return;
    }
    this.#ask(task);
  }

  #ask(task: ScsiTask): void {
    const p = this.#parameters;
    const out = this.#out;
    if (task.asked < task.received) task.asked = task.received;
    while (task.asked < task.wanted && task.r2tTags.length < p.outstandingR2t) {
      const length = Math.min(p.maxBurstBytes, task.wanted - task.asked);
      this.#transferTag = (this.#transferTag + 1) & 0x7fff_ffff;
      const at = out.reserve(0);
      putReadyToTransfer(
        out.bytes,
        at,
        task.lunHigh,
        task.lunLow,
        task.tag,
        this.#transferTag,
        task.r2tSn++,
        task.asked,
        length,
      );
      out.seal(at, 0, Stat.show);
      task.asked += length;
      task.r2tTags.push(this.#transferTag);
      task.r2tEnds.push(task.asked);
    }
    task.state = TaskState.collecting;
  }

  #wait(task: ScsiTask): void {
    task.state = TaskState.waiting;
    this.#waiting.push(task);
    this.#budget.wait(this);
  }

  budgetFreed(): void {
    while (this.#waiting.length !== 0) {
      // Taken off first: growing gives a small buffer back, which may call this again.
      const task = this.#waiting.shift()!;
      if (!this.#tasks.growBuffer(task)) {
        this.#waiting.unshift(task);
        this.#budget.wait(this);
        return;
      }
      task.progressMs = this.#clock.now();
      this.#ask(task);
    }
  }

  /** The task was aborted. */
  forget(task: ScsiTask): void {
    const index = this.#waiting.indexOf(task);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  close(): void {
    this.#waiting.length = 0;
    this.#budget.forget(this);
  }

  /** True: the initiator owes data since longer than it may. */
  stalled(nowMs: number): boolean {
    for (const task of this.#tasks.table.values()) {
      const awaits = task.state === TaskState.collecting || task.state === TaskState.draining;
      if (awaits && nowMs - task.progressMs > this.#limits.dataOutTimeoutMs) return true;
    }
    return false;
  }
}
