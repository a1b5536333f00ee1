/**
 * Task management (RFC 7143 4.2.3.2, 11.5, 11.6; SAM-5 7): functions that really abort.
 *
 * A task that has not reached the device never does; a read in flight is cut off from its answer; a
 * write inside the device is waited for, so that after FUNCTION COMPLETE nothing of it can land. When
 * the device does not let go in time the answer is FUNCTION REJECTED, the task is reported as an
 * aborted command when it comes out, and until then its logical unit is BUSY to everybody, so that
 * nothing newer can be overtaken by it. The same holds for PREEMPT AND ABORT, whose command is
 * answered when all is out however long that takes, and for what a session that has gone left behind.
 */
import type { Clock } from '../clock.ts';
import type { Nexus } from '../scsi/nexus.ts';
import { ExtendedCopyAction, Opcode } from '../scsi/opcode.ts';
import type { ScsiTarget } from '../scsi/scsi-target.ts';
import { Transfer } from '../scsi/task.ts';
import type { Unit } from '../scsi/unit.ts';
import { TaskFunction, type TaskRequest, TaskResponse } from '../wire/task.ts';
import type { Commands } from './commands.ts';
import { Pending } from './pending.ts';
import { type ScsiTask, TaskState } from './scsi-task.ts';
import { type CommandWindow, serialBefore } from './window.ts';

/** Commands that wait for others to leave the device themselves: waiting for them would never end. */
const waiters: ReadonlySet<number> = new Set([
  Opcode.persistentReserveOut,
  Opcode.reserve6,
  Opcode.reserve10,
  Opcode.sanitize,
]);

/** POPULATE TOKEN waits as well, and shares its operation code with commands that write. */
function waits(task: ScsiTask): boolean {
  const opcode = task.cdb[0]!;
  if (opcode !== Opcode.extendedCopy) return waiters.has(opcode);
  return (task.cdb[1]! & 0x1f) === ExtendedCopyAction.populateToken;
}

/** A session as task management sees it: this one and the others of the target. */
export interface ManagedSession {
  readonly nexus: Nexus;
  readonly commands: Commands;
}

export interface TaskManagementOwner extends ManagedSession {
  readonly window: CommandWindow;
  readonly scsi: ScsiTarget;
  /** All sessions of the target, this one included, and those that have gone and left tasks inside. */
  siblings(): Iterable<ManagedSession>;
  taskResponse(tag: number, response: TaskResponse): void;
  /** TARGET COLD RESET: every connection of the target is dropped. */
  dropAll(): void;
}

export class TaskManagement {
  readonly #owner: TaskManagementOwner;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(owner: TaskManagementOwner, clock: Clock, timeoutMs: number) {
    this.#owner = owner;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** One request, with the CmdSN that its header carries. Answers now or later. */
  receive(request: TaskRequest, cmdSn: number): void {
    const owner = this.#owner;
    switch (request.function) {
      case TaskFunction.abortTask:
        this.#abortTask(request, cmdSn);
        break;
      case TaskFunction.abortTaskSet:
        this.#abortOnUnit(request, this.#ofOurs(), () => {});
        break;
      case TaskFunction.clearTaskSet:
        this.#clearTaskSet(request);
        break;
      case TaskFunction.logicalUnitReset:
        this.#resetUnit(request);
        break;
      case TaskFunction.targetWarmReset:
        this.#resetTarget(request, false);
        break;
      case TaskFunction.targetColdReset:
        this.#resetTarget(request, true);
        break;
      case TaskFunction.taskReassign:
        owner.taskResponse(request.tag, TaskResponse.reassignNotSupported);
        break;
      default:
        owner.taskResponse(request.tag, TaskResponse.notSupported);
    }
  }

  /**
   * Ends the tasks of one nexus on one unit, as PREEMPT AND ABORT asks; nobody is answered. The
   * PERSISTENT RESERVE OUT that asks is itself not one of them (SPC-4 5.13.11.2.6). `sessions`: what
   * the nexus is and was. `done` is called once nothing of them is inside the device; from `timeoutMs`
   * on the unit is busy until then.
   */
  static abortFor(
    sessions: Iterable<ManagedSession>,
    scsi: ScsiTarget,
    lun: { readonly high: number; readonly low: number },
    clock: Clock,
    timeoutMs: number,
    done: () => void,
  ): void {
    const pending = new Pending({ settled: done, late: null });
    for (const session of sessions) {
      for (const task of tasksOn(session, scsi, lun.high, lun.low)) {
        if (task.cdb[0] === Opcode.persistentReserveOut) continue;
        if (!session.commands.abort(task, task.unit?.tellsAborts)) pending.add(task);
      }
    }
    pending.start(clock, timeoutMs);
  }

  /** As `abortFor`, but nothing is aborted: `done` follows when what is in the device now is out. */
  static settleFor(
    sessions: Iterable<ManagedSession>,
    scsi: ScsiTarget,
    lun: { readonly high: number; readonly low: number },
    clock: Clock,
    done: () => void,
  ): void {
    const pending = new Pending({ settled: done, late: null });
    for (const session of sessions) {
      for (const task of tasksOn(session, scsi, lun.high, lun.low)) {
        const writes = task.state === TaskState.working && task.transfer !== Transfer.in;
        if (writes && !waits(task)) pending.add(task);
      }
    }
    pending.start(clock, null);
  }

  /** The session, and those that it has replaced: their tasks were of the same nexus. */
  *#ofOurs(): Iterable<ManagedSession> {
    const { initiator, isid, portalGroup } = this.#owner.nexus;
    for (const session of this.#owner.siblings()) {
      const { nexus } = session;
      const same = nexus.isid === isid && nexus.portalGroup === portalGroup;
      if (same && nexus.initiator === initiator) yield session;
    }
  }

  #abortTask(request: TaskRequest, cmdSn: number): void {
    const task = this.#owner.commands.tasks.get(request.referencedTag);
    if (task === undefined) {
      this.#owner.taskResponse(request.tag, this.#notThere(request, cmdSn));
      return;
    }
    const pending = this.#pending(request.tag, () => {});
    this.#abort(this.#owner, task, pending);
    pending.start(this.#clock, this.#timeoutMs);
  }

  /**
   * RFC 7143 11.6.1: a command that has not arrived, and stands before the request, is taken as
   * received; anything else is a task that does not exist.
   */
  #notThere(request: TaskRequest, cmdSn: number): TaskResponse {
    if (!serialBefore(request.refCmdSn, cmdSn)) return TaskResponse.noSuchTask;
    if (this.#owner.window.skip(request.refCmdSn)) return TaskResponse.complete;
    return TaskResponse.noSuchTask;
  }

  #clearTaskSet(request: TaskRequest): void {
    const owner = this.#owner;
    const { lunHigh, lunLow } = request;
    const hit = new Set<Nexus>();
    // With TAS the status tells them, and no unit attention (SAM-5 7.4).
    const told = owner.scsi.route(lunHigh, lunLow).tellsAborts;
    for (const session of told ? [] : owner.siblings()) {
      if (session.nexus === owner.nexus) continue;
      if (tasksOn(session, owner.scsi, lunHigh, lunLow).length !== 0) hit.add(session.nexus);
    }
    this.#abortOnUnit(request, owner.siblings(), () => {
      for (const nexus of hit) owner.scsi.cleared(nexus, lunHigh, lunLow);
    });
  }

  /** Copies by command of other units work here without a task of this unit: a reset ends them as well. */
  #resetUnit(request: TaskRequest): void {
    const { scsi } = this.#owner;
    const lun = { high: request.lunHigh, low: request.lunLow };
    const reset = () => {
      scsi.reset(lun.high, lun.low);
    };
    this.#abortOnUnit(request, this.#owner.siblings(), reset, (done) => scsi.endCopies(lun, done));
  }

  #abortOnUnit(
    request: TaskRequest,
    sessions: Iterable<ManagedSession>,
    then: () => void,
    calls?: (done: () => void) => readonly Unit[],
  ): void {
    const { scsi } = this.#owner;
    const { lunHigh, lunLow } = request;
    if (scsi.route(lunHigh, lunLow).device === null) {
      this.#owner.taskResponse(request.tag, TaskResponse.noSuchLun);
      return;
    }
    const pending = this.#pending(request.tag, then);
    for (const session of sessions) {
      for (const task of tasksOn(session, scsi, lunHigh, lunLow))
        this.#abort(session, task, pending);
    }
    if (calls !== undefined) pending.addCalls(calls);
    pending.start(this.#clock, this.#timeoutMs);
  }

  #resetTarget(request: TaskRequest, cold: boolean): void {
    const owner = this.#owner;
    const pending = this.#pending(request.tag, () => {
      owner.scsi.resetAll();
      // After the response has gone: the initiator is to see it (RFC 7143 11.5.1).
      if (cold) this.#clock.soon(() => owner.dropAll());
    });
    for (const session of owner.siblings()) {
      for (const task of [...session.commands.tasks.table.values()]) {
        this.#abort(session, task, pending);
      }
    }
    pending.addCalls((done) => owner.scsi.endCopies(null, done));
    pending.start(this.#clock, this.#timeoutMs);
  }

  #abort(session: ManagedSession, task: ScsiTask, pending: Pending): void {
    const tell = session.nexus !== this.#owner.nexus && task.unit?.tellsAborts === true;
    if (!session.commands.abort(task, tell)) pending.add(task);
  }

  #pending(tag: number, then: () => void): Pending {
    const owner = this.#owner;
    return new Pending({
      settled: () => {
        then();
        owner.taskResponse(tag, TaskResponse.complete);
      },
      late: () => owner.taskResponse(tag, TaskResponse.rejected),
    });
  }
}

function tasksOn(
  session: ManagedSession,
  scsi: ScsiTarget,
  lunHigh: number,
  lunLow: number,
): ScsiTask[] {
  const unit = scsi.route(lunHigh, lunLow);
  const found: ScsiTask[] = [];
  for (const task of session.commands.tasks.table.values()) {
    if (task.unit === unit) found.push(task);
  }
  return found;
}
