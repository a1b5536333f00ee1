/**
 * SCSI commands of one session: from the command PDU through the logical unit and the device to the
 * answer (RFC 7143 11.3, 11.4). The hot path; see scsi-task.ts for the states.
 *
 * Writes and executions that could touch the medium wait at a fence while an earlier session of the
 * same initiator port is still inside the device, so that nothing older lands after them.
 */
import type { Clock } from '../clock.ts';
import type { Limits } from '../limits.ts';
import type { DeviceError } from '../scsi/device.ts';
import type { Nexus } from '../scsi/nexus.ts';
import { Opcode } from '../scsi/opcode.ts';
import type { ScsiTarget } from '../scsi/scsi-target.ts';
import { Sense, type SenseCode } from '../scsi/sense.ts';
import { ScsiStatus } from '../scsi/status.ts';
import { Transfer } from '../scsi/task.ts';
import {
  CDB_AT,
  CDB_BYTES,
  CommandFlag,
  expectedLength,
  putScsiResponse,
  putSense,
  readLongCdb,
  ServiceResponse,
} from '../wire/command.ts';
import { RejectReason } from '../wire/control.ts';
import { initiatorTaskTag, isImmediate, lunHigh, lunLow, NO_TAG } from '../wire/header.ts';
import type { BufferPool, WriteBudget } from './buffers.ts';
import { DataIn } from './data-in.ts';
import { DataOut } from './data-out.ts';
import type { Parameters } from './keys.ts';
import { type Output, Stat } from './output.ts';
import { Residuals } from './residual.ts';
import { type ScsiTask, TaskState } from './scsi-task.ts';
import { Tasks } from './tasks.ts';
import type { CommandWindow } from './window.ts';

/** SPC-4 table F.2 0E/03: the command's header does not go with its CDB. */
const invalidInformationUnit: SenseCode = {
  key: 0x5,
  code: 0x0e03,
  name: 'INVALID FIELD IN COMMAND INFORMATION UNIT',
};

const NOTHING = new Uint8Array(0);

/** Commands without data that neither read nor change the medium: they wait for nobody. */
const awayFromMedium: ReadonlySet<number> = new Set([Opcode.testUnitReady, Opcode.preventAllow]);

export interface CommandsOwner {
  reject(reason: RejectReason, b: Uint8Array, at: number): void;
  bufferGone(buffer: Buffer): void;
  windowOpened(): void;
  /** The last command that could touch a medium has left the device. */
  settled(): void;
}

export class Commands {
  readonly tasks: Tasks;
  readonly dataOut: DataOut;
  readonly dataIn: DataIn;
  /** For statistics. */
  count = 0;
  bytesRead = 0;
  bytesWritten = 0;
  /** Earlier sessions of this initiator port that are still inside the device. */
  #fences = 0;
  readonly #fenced: ScsiTask[] = [];
  #closed = false;
  readonly #owner: CommandsOwner;
  readonly #limits: Limits;
  readonly #parameters: Parameters;
  readonly #scsi: ScsiTarget;
  readonly #out: Output;
  readonly #residuals = new Residuals();

  constructor(options: {
    readonly owner: CommandsOwner;
    readonly limits: Limits;
    readonly parameters: Parameters;
    readonly scsi: ScsiTarget;
    readonly nexus: Nexus;
    readonly out: Output;
    readonly window: CommandWindow;
    readonly pool: BufferPool;
    readonly budget: WriteBudget;
    readonly clock: Clock;
  }) {
    this.#owner = options.owner;
    this.#limits = options.limits;
    this.#parameters = options.parameters;
    this.#scsi = options.scsi;
    this.#out = options.out;
    this.tasks = new Tasks({ ...options, taskOwner: this });
    this.dataOut = new DataOut({ ...options, owner: this, tasks: this.tasks });
    this.dataIn = new DataIn({
      owner: this,
      out: options.out,
      tasks: this.tasks,
      residuals: this.#residuals,
      parameters: options.parameters,
      pieceBytes: options.limits.readPieceBytes,
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** One SCSI Command that the window has admitted. */
  receive(
    b: Uint8Array,
    at: number,
    ahs: number,
    data: Uint8Array,
    dataAt: number,
    length: number,
    whole: boolean,
  ): void {
    const tag = initiatorTaskTag(b, at);
    const immediate = isImmediate(b, at);
    const reason = this.#refusal(tag, immediate);
    if (reason !== null) {
      this.#owner.reject(reason, b, at);
      return;
    }
    const task = this.tasks.start(tag, immediate);
    const flags = b[at + 1]!;
    task.reads = (flags & CommandFlag.read) !== 0;
    task.writes = (flags & CommandFlag.write) !== 0;
    task.unsolicited = (flags & CommandFlag.final) === 0 && task.writes;
    task.expectedLength = expectedLength(b, at);
    task.lunHigh = lunHigh(b, at);
    task.lunLow = lunLow(b, at);
    for (let i = 0; i < CDB_BYTES; i++) task.shortCdb[i] = b[at + CDB_AT + i]!;
    const unit = this.#scsi.route(task.lunHigh, task.lunLow);
    task.unit = unit;
    this.count++;
    let fault: SenseCode | null = null;
    if (!whole) {
      this.#owner.reject(RejectReason.dataDigestError, b, at);
      fault = Sense.protocolCrc;
    } else {
      fault = this.#fault(task, b, at, ahs, length);
    }
    if (fault !== null) {
      unit.check(task, fault);
      this.#answerWhenDrained(task);
    } else if (unit.start(task)) {
      this.#go(task, data, dataAt, length);
    } else {
      this.#answerWhenDrained(task);
    }
  }

  /** Why a command cannot even be made a task. */
  #refusal(tag: number, immediate: boolean): RejectReason | null {
    if (tag === NO_TAG) return RejectReason.invalidPduField;
    if (this.tasks.get(tag) !== undefined) return RejectReason.taskInProgress;
    if (immediate && this.tasks.immediate >= this.#limits.immediateCommands) {
      return RejectReason.immediateCommandReject;
    }
    return null;
  }

  /** What is wrong with the header of a command, beside its CDB. */
  #fault(task: ScsiTask, b: Uint8Array, at: number, ahs: number, length: number): SenseCode | null {
    if (ahs !== 0) {
      const cdb = readLongCdb(b, at, ahs);
      if (cdb === null) return invalidInformationUnit;
      task.cdb = cdb;
    }
    if (task.reads && task.writes) return invalidInformationUnit;
    const p = this.#parameters;
    if (length === 0 && !task.unsolicited) return null;
    const unasked =
      !task.writes ||
      length > task.expectedLength ||
      length > p.firstBurstBytes ||
      (length !== 0 && !p.immediateData) ||
      (task.unsolicited && p.initialR2t);
    return unasked ? Sense.unexpectedUnsolicitedData : null;
  }

  #go(task: ScsiTask, data: Uint8Array, at: number, length: number): void {
    const transfer = task.transfer;
    if (transfer === Transfer.read) {
      task.device = task.unit!.device;
      task.deliver = task.reads ? Math.min(task.expectedLength, task.length) : 0;
      this.bytesRead += task.deliver;
      this.dataIn.read(task);
    } else if (transfer === Transfer.write || transfer === Transfer.out) {
      this.#collect(task, data, at, length);
    } else if (task.unsolicited) {
      // Data nobody needs is on its way; the command runs once it has passed.
      task.wanted = 0;
      this.#collectNothing(task);
    } else if (transfer === Transfer.none) {
      this.dataOutEnded(task);
    } else {
      this.#submit(task, null, 0);
    }
  }

  #collect(task: ScsiTask, data: Uint8Array, at: number, length: number): void {
    task.device = task.unit!.device;
    task.wanted = task.writes ? Math.min(task.expectedLength, task.length) : 0;
    const partial =
      task.transfer === Transfer.write && task.wanted % task.device!.sectorBytes !== 0;
    const wrongWay = !task.writes && task.expectedLength !== 0 && task.length !== 0;
    if (partial || wrongWay || task.wanted > this.#limits.transferBytes) {
      task.unit!.check(task, invalidInformationUnit);
      this.#answerWhenDrained(task);
      return;
    }
    if (task.wanted === 0) {
      this.#collectNothing(task);
      return;
    }
    const here = !task.unsolicited && length >= task.wanted;
    if (here && task.transfer === Transfer.write && this.#fences === 0) {
      this.#submit(task, data.subarray(at, at + task.wanted), task.wanted);
      return;
    }
    if (this.dataOut.begin(task, data, at, length)) return;
    task.status = ScsiStatus.taskSetFull;
    this.#answerWhenDrained(task);
  }

  #collectNothing(task: ScsiTask): void {
    if (task.unsolicited) {
      task.state = TaskState.collecting;
      this.dataOut.start(task);
    } else {
      this.dataOutEnded(task);
    }
  }

  // DataOutOwner

  dataOutEnded(task: ScsiTask): void {
    if (this.#fences !== 0 && !isAwayFromMedium(task)) {
      task.state = TaskState.fenced;
      this.#fenced.push(task);
      return;
    }
    const buffer = task.buffer;
    this.#submit(task, buffer === null ? null : buffer.subarray(0, task.wanted), task.wanted);
  }

  dataOutFailed(task: ScsiTask, code: SenseCode): void {
    task.unit!.check(task, code);
    this.tasks.remember(task);
    this.#answer(task);
  }

  drained(task: ScsiTask): void {
    this.#answer(task);
  }

  reject(reason: RejectReason, b: Uint8Array, at: number): void {
    this.#owner.reject(reason, b, at);
  }

  // To the device and back

  #submit(task: ScsiTask, data: Uint8Array | null, length: number): void {
    if (task.transfer === Transfer.write && (length === 0 || task.unit!.keptOut(task))) {
      this.#answer(task);
      return;
    }
    task.state = TaskState.working;
    this.tasks.working++;
    if (task.transfer === Transfer.write) {
      this.bytesWritten += length;
      // Asked for again: who watches the unit for changes may have come since the command began.
      task.unit!.device!.write(task.offset, data!, task.fua, task);
    } else {
      task.unit!.execute(task, task.transfer === Transfer.out ? (data ?? NOTHING) : null);
    }
  }

  taskFinished(task: ScsiTask): void {
    if (!this.#left(task)) return;
    if (task.dataIn === null) {
      this.#answer(task);
      return;
    }
    task.deliver = task.reads ? Math.min(task.expectedLength, task.dataIn.length) : 0;
    this.dataIn.send(task, task.dataIn);
  }

  taskCompleted(task: ScsiTask, error: DeviceError | null): void {
    if (task.state === TaskState.reading) {
      this.dataIn.arrived(task, error);
      return;
    }
    if (error !== null) task.unit!.fail(task, error);
    if (this.#left(task)) this.#answer(task);
  }

  /** The task is out of the device. False: it was aborted, and has ended here. */
  #left(task: ScsiTask): boolean {
    this.tasks.working--;
    this.tasks.freeBuffer(task);
    let answers = true;
    if (task.aborted && task.reportAbort && !this.#closed) {
      task.aborted = false;
      task.dataIn = null;
      task.unit!.check(task, Sense.noOutcome);
    } else if (task.aborted && task.tellAbort && !this.#closed) {
      markAborted(task);
    } else if (task.aborted) {
      this.tasks.endSilently(task);
      answers = false;
    }
    if (this.tasks.working === 0) this.#owner.settled();
    return answers;
  }

  // DataInOwner

  dataInEnded(task: ScsiTask): void {
    this.#answer(task);
  }

  dataInAnswered(task: ScsiTask): void {
    this.tasks.release(task);
  }

  /** The answer is known; it goes out when no more unsolicited data is on its way. */
  #answerWhenDrained(task: ScsiTask): void {
    if (!task.unsolicited) {
      this.#answer(task);
      return;
    }
    task.state = TaskState.draining;
    this.dataOut.start(task);
  }

  #answer(task: ScsiTask): void {
    this.tasks.leave(task);
    this.#respond(task);
    this.tasks.release(task);
  }

  #respond(task: ScsiTask): void {
    const out = this.#out;
    const sense = task.sense;
    const length = sense === null ? 0 : sense.length + 2;
    const residuals = this.#residuals;
    residuals.compute(task);
    const at = out.reserve(length);
    putScsiResponse(
      out.bytes,
      at,
      ServiceResponse.completed,
      task.status,
      length,
      task.tag,
      residuals.flag,
      residuals.count,
      task.dataInSn !== 0 ? task.dataInSn : task.r2tSn,
    );
    if (sense !== null) putSense(out.bytes, at + out.dataAt, sense);
    out.seal(at, length, Stat.advance);
  }

  // Ends by force

  /**
   * Ends a task without an answer. True: it has ended, nothing of it will happen any more. False:
   * it is inside the device; `task.watchers` hear of its end. `tell`: the initiator is told by
   * TASK ABORTED (SAM-5 5.3.1), because another one aborted it and TAS is set.
   */
  abort(task: ScsiTask, tell = false): boolean {
    task.aborted = true;
    task.tellAbort = tell && !this.#closed;
    // Of an earlier function that gave up: this one may yet be answered with success.
    task.reportAbort = false;
    if (task.state === TaskState.working) return false;
    if (task.state === TaskState.reading) {
      this.tasks.detach(task);
      if (task.tellAbort) {
        markAborted(task);
        this.#respond(task);
        task.aborted = true;
      }
      return true;
    }
    this.dataIn.forget(task);
    this.dataOut.forget(task);
    const fenced = this.#fenced.indexOf(task);
    if (fenced >= 0) this.#fenced.splice(fenced, 1);
    if (task.tellAbort) {
      this.tasks.remember(task);
      markAborted(task);
      this.#answer(task);
    } else this.tasks.endSilently(task);
    return true;
  }

  /** Holds back what could touch a medium until `unfence`. */
  fence(): void {
    this.#fences++;
  }

  unfence(): void {
    this.#fences--;
    if (this.#fences !== 0 || this.#closed) return;
    for (const task of this.#fenced.splice(0)) this.dataOutEnded(task);
  }

  /** The session is over: every task ends, those inside the device when they come out. */
  close(): void {
    this.#closed = true;
    for (const task of [...this.tasks.table.values()]) this.abort(task);
    this.dataOut.close();
  }
}

/** The task ends with TASK ABORTED and nothing else. */
function markAborted(task: ScsiTask): void {
  task.aborted = false;
  task.status = ScsiStatus.taskAborted;
  task.sense = null;
  task.dataIn = null;
}

/** No data, and nothing that a write of an earlier session could come after. */
function isAwayFromMedium(task: ScsiTask): boolean {
  return task.transfer === Transfer.none && awayFromMedium.has(task.cdb[0]!);
}
