/**
 * Long block work in bounded pieces. A job makes one device call at a time, looks before each whether
 * the task was aborted or a new reservation keeps it out, and finishes its task exactly once. A device
 * that completes inside the call costs no stack (the loop is here, not in the completion), and after
 * `limits.piecesPerTurn` such pieces the event loop gets a turn.
 */
import { strict as assert } from 'node:assert';
import type { Completion, DeviceError } from './device.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { SenseCode, SenseDetail } from './sense.ts';
import type { Task } from './task.ts';

const noBuffer = new Uint8Array(0);

export abstract class Job implements Completion {
  protected readonly unit: LogicalUnit;
  protected readonly task: Task;
  /** `limits.pieceBytes` of scratch after `beginWithScratch`, else empty. */
  protected scratch: Uint8Array = noBuffer;
  #waiting = false;
  #driving = false;
  #ended = false;

  constructor(unit: LogicalUnit, task: Task) {
    this.unit = unit;
    this.task = task;
  }

  /** Starts one device call with `this` as its completion; false: nothing is left to do. */
  protected abstract step(): boolean;

  /** The call of the last `step` succeeded. */
  protected abstract stepped(): void;

  /** True: the error of the last call is dealt with and the job goes on. */
  protected recovered(_error: DeviceError): boolean {
    return false;
  }

  /** The job has ended and its task is about to be finished. */
  protected ended(): void {}

  begin(): void {
    this.#drive();
  }

  /** Begins when the unit has a scratch buffer for it. */
  beginWithScratch(): void {
    this.unit.scratch.take((buffer) => {
      this.scratch = buffer;
      this.#drive();
    });
  }

  /** Ends the job with CHECK CONDITION; for `stepped`. */
  protected stop(code: SenseCode, detail?: SenseDetail): void {
    this.unit.check(this.task, code, detail);
    this.#end();
  }

  /** Ends the job with what stands in the task. */
  protected stopAsIs(): void {
    this.#end();
  }

  complete(error: DeviceError | null): void {
    assert(this.#waiting, 'a device call completed twice');
    this.#waiting = false;
    if (error === null) this.stepped();
    else if (!this.recovered(error)) {
      this.unit.fail(this.task, error);
      this.#end();
    }
    if (!this.#driving && !this.#ended) this.#drive();
  }

  #drive(): void {
    this.#driving = true;
    for (let pieces = 0; !this.#ended; pieces++) {
      if (this.task.aborted || this.unit.excluded(this.task)) {
        this.#end();
        break;
      }
      if (pieces === scsiLimits.piecesPerTurn) {
        this.unit.target.defer(() => this.#drive());
        break;
      }
      this.#waiting = true;
      if (!this.step()) {
        this.#waiting = false;
        this.#end();
        break;
      }
      if (this.#waiting) break;
    }
    this.#driving = false;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.ended();
    if (this.scratch !== noBuffer) {
      const buffer = this.scratch;
      this.scratch = noBuffer;
      this.unit.scratch.give(buffer);
    }
    this.task.finish();
  }
}

/** One device call and then the end. */
class OneCall extends Job {
  readonly #call: (done: Completion) => void;
  #called = false;

  constructor(unit: LogicalUnit, task: Task, call: (done: Completion) => void) {
    super(unit, task);
    this.#call = call;
  }

  protected step(): boolean {
    if (this.#called) return false;
    this.#called = true;
    this.#call(this);
    return true;
  }

  protected stepped(): void {}
}

export function flushJob(unit: LogicalUnit, task: Task): void {
  new OneCall(unit, task, (done) => unit.device.flush(done)).begin();
}

/** Writes `data` at `task.offset` in one call. */
export function writeJob(unit: LogicalUnit, task: Task, data: Uint8Array): void {
  new OneCall(unit, task, (done) => unit.device.write(task.offset, data, task.fua, done)).begin();
}
