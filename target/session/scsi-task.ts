/**
 * One SCSI command in the transport: the Task that the logical unit sees, the Completion that the
 * device sees, and where the command stands. Pooled by its session; no command makes an object.
 *
 *            ┌─▶ waiting ─▶┐
 *   start ──▶ collecting ──▶ (fenced) ──▶ working ──▶ response      write, out
 *   start ──▶ sending ◀──▶ reading        ─────────▶ last Data-In   read
 *   start ──▶ working ──▶ sending         ─────────▶ last Data-In   in
 *   start ──▶ draining ───────────────────────────▶ response        refused, data still to come
 *
 * Invariant: only in `working` can the command have an effect on the medium.
 */
import type { BlockDevice, Completion, DeviceError } from '../scsi/device.ts';
import type { Nexus } from '../scsi/nexus.ts';
import { type Task, Transfer } from '../scsi/task.ts';
import type { Unit } from '../scsi/unit.ts';
import { CDB_BYTES } from '../wire/command.ts';

export const TaskState = {
  free: 0,
  /** Data from the initiator is on its way. */
  collecting: 1,
  /** The answer is known; data that is on its way is awaited and dropped. */
  draining: 2,
  /** No room for its data yet: no R2T was sent. */
  waiting: 3,
  /** All data is here; an earlier session of the same initiator port is still inside the device. */
  fenced: 4,
  /** Data goes to the initiator, or waits for it to take some. */
  sending: 5,
  /** The device is reading. */
  reading: 6,
  /** The device is writing, or the logical unit executes. */
  working: 7,
} as const;
export type TaskState = (typeof TaskState)[keyof typeof TaskState];

export interface TaskOwner {
  /** The logical unit has ended the command. */
  taskFinished(task: ScsiTask): void;
  /** The device has ended a read or a write. */
  taskCompleted(task: ScsiTask, error: DeviceError | null): void;
}

/** Waits for the end of tasks that it had aborted. */
export interface TaskWatcher {
  taskEnded(task: ScsiTask): void;
}

export class ScsiTask implements Task, Completion {
  readonly #owner: TaskOwner;
  readonly nexus: Nexus;
  /** Where the CDB of a header is copied to. */
  readonly shortCdb = new Uint8Array(CDB_BYTES);

  // Task
  cdb: Uint8Array = this.shortCdb;
  expectedLength = 0;
  transfer: Transfer = Transfer.none;
  offset = 0;
  length = 0;
  fua = false;
  status = 0;
  sense: Uint8Array | null = null;
  dataIn: Uint8Array | null = null;
  aborted = false;
  elsewhere: Unit | null = null;

  // From the command's header
  state: TaskState = TaskState.free;
  tag = 0;
  immediate = false;
  reads = false;
  writes = false;
  lunHigh = 0;
  lunLow = 0;
  unit: Unit | null = null;
  device: BlockDevice | null = null;

  // Data from the initiator
  buffer: Buffer | null = null;
  /** Room taken from the session's budget, and from the server's only. */
  budgetBytes = 0;
  reserveBytes = 0;
  /** Bytes of data-out that the command uses. */
  wanted = 0;
  /** Bytes that came, used or not; they come in order. */
  received = 0;
  unsolicited = false;
  nextDataSn = 0;
  r2tSn = 0;
  /** Up to where R2Ts have asked. */
  asked = 0;
  /** R2Ts in flight, oldest first: transfer tag and end of each. */
  readonly r2tTags: number[] = [];
  readonly r2tEnds: number[] = [];
  /** When data came last, for the data-out timer. Milliseconds of the Clock. */
  progressMs = 0;

  // Data to the initiator
  /** Bytes that go to the initiator in all, and those that have gone. */
  deliver = 0;
  sent = 0;
  dataInSn = 0;
  /** Bytes of the transfer that are here: [stagedAt, stagedEnd), from `stagedFrom` in `staged`. */
  staged: Uint8Array | null = null;
  stagedAt = 0;
  stagedEnd = 0;
  stagedFrom = 0;
  /** `staged`, when it is a buffer to give back. */
  readBuffer: Buffer | null = null;
  blocked = false;

  /** Aborted and out of the table, while the device still holds its buffer. */
  detached = false;
  /** A task management function gave up waiting: the end is reported as an aborted command. */
  reportAbort = false;
  /** Another nexus aborted it and TAS is set: it ends with TASK ABORTED. */
  tellAbort = false;
  readonly watchers: TaskWatcher[] = [];

  constructor(owner: TaskOwner, nexus: Nexus) {
    this.#owner = owner;
    this.nexus = nexus;
  }

  finish(): void {
    this.#owner.taskFinished(this);
  }

  complete(error: DeviceError | null): void {
    this.#owner.taskCompleted(this, error);
  }

  /** Fresh for the next command; what `tasks.start` sets is not repeated here. */
  reset(): void {
    this.cdb = this.shortCdb;
    this.transfer = Transfer.none;
    this.offset = 0;
    this.length = 0;
    this.fua = false;
    this.status = 0;
    this.sense = null;
    this.dataIn = null;
    this.aborted = false;
    this.elsewhere = null;
    this.unit = null;
    this.device = null;
    this.wanted = 0;
    this.received = 0;
    this.unsolicited = false;
    this.nextDataSn = 0;
    this.r2tSn = 0;
    this.asked = 0;
    this.r2tTags.length = 0;
    this.r2tEnds.length = 0;
    this.deliver = 0;
    this.sent = 0;
    this.dataInSn = 0;
    this.staged = null;
    this.stagedAt = 0;
    this.stagedEnd = 0;
    this.stagedFrom = 0;
    this.blocked = false;
    this.detached = false;
    this.reportAbort = false;
    this.tellAbort = false;
  }
}
