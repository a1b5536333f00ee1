/**
 * Data to the initiator (RFC 7143 4.2.5.3, 11.7): a read of the device, or parameter data, in
 * Data-In PDUs, the last of which carries GOOD status.
 *
 * A long PDU is sent from the device's own memory when that lends it (`lend`), a short one is filled by
 * the device in place when it can (`readNow`); else a piece is read into a buffer and PDUs are cut from
 * that. What one connection holds is bounded: when the peer does not
 * keep up, tasks wait in `#blocked`, and no new read is started.
 */
import type { DeviceError } from '../scsi/device.ts';
import { ScsiStatus } from '../scsi/status.ts';
import { DataInFlag, putDataIn } from '../wire/data.ts';
import type { Parameters } from './keys.ts';
import { type Lender, type Output, Stat } from './output.ts';
import type { Residuals } from './residual.ts';
import { type ScsiTask, TaskState } from './scsi-task.ts';
import type { Tasks } from './tasks.ts';

/** From here on a write of several parts costs less than a copy. */
const LENT_FROM_BYTES = 32 * 1024;

export interface DataInOwner {
  /** Everything was sent and no status with it. */
  dataInEnded(task: ScsiTask): void;
  /** Everything was sent, status included; the task has left the table. */
  dataInAnswered(task: ScsiTask): void;
}

export class DataIn {
  readonly #owner: DataInOwner;
  readonly #out: Output;
  readonly #tasks: Tasks;
  readonly #residuals: Residuals;
  #segmentBytes = 0;
  readonly #burstBytes: number;
  readonly #pieceBytes: number;
  readonly #blocked: ScsiTask[] = [];

  constructor(options: {
    readonly owner: DataInOwner;
    readonly out: Output;
    readonly tasks: Tasks;
    readonly residuals: Residuals;
    readonly parameters: Parameters;
    readonly pieceBytes: number;
  }) {
    this.#owner = options.owner;
    this.#out = options.out;
    this.#tasks = options.tasks;
    this.#residuals = options.residuals;
    this.#burstBytes = options.parameters.maxBurstBytes;
    this.#pieceBytes = options.pieceBytes;
    this.setSegmentBytes(options.parameters.sendSegmentBytes);
  }

  /** What the initiator takes in one data segment. */
  setSegmentBytes(bytes: number): void {
    this.#segmentBytes = Math.min(bytes, this.#out.segmentBytesMax, this.#pieceBytes);
  }

  /** A read of the device: `task.deliver` of its bytes go out. */
  read(task: ScsiTask): void {
    task.state = TaskState.sending;
    this.#pump(task);
  }

  /** Parameter data. */
  send(task: ScsiTask, data: Uint8Array): void {
    task.state = TaskState.sending;
    task.staged = data;
    task.stagedAt = 0;
    task.stagedEnd = data.length;
    task.stagedFrom = 0;
    this.#pump(task);
  }

  /** The device has ended a read that `#stage` asked for. */
  arrived(task: ScsiTask, error: DeviceError | null): void {
    if (task.detached) {
      this.#tasks.endSilently(task);
    } else {
      task.state = TaskState.sending;
      if (error === null) {
        this.#pump(task);
      } else {
        task.unit!.fail(task, error);
        this.#owner.dataInEnded(task);
      }
    }
    // A read buffer may have been given back, which counts as output: others may go on.
    this.resume();
  }

  /** The peer has taken some output. */
  resume(): void {
    while (this.#blocked.length !== 0 && !this.#out.full) {
      const task = this.#blocked.shift()!;
      task.blocked = false;
      this.#pump(task);
    }
  }

  /** The task was aborted. */
  forget(task: ScsiTask): void {
    if (!task.blocked) return;
    task.blocked = false;
    this.#blocked.splice(this.#blocked.indexOf(task), 1);
  }

  #pump(task: ScsiTask): void {
    const out = this.#out;
    while (task.sent < task.deliver) {
      const staged = task.stagedEnd - task.sent;
      if (staged <= 0) {
        // Given back before waiting: tasks that wait must not hold what they wait for.
        if (task.readBuffer !== null) this.#tasks.freeReadBuffer(task);
        if (out.full) {
          task.blocked = true;
          this.#blocked.push(task);
          return;
        }
      }
      let bytes = Math.min(
        task.deliver - task.sent,
        this.#segmentBytes,
        this.#burstBytes - (task.sent % this.#burstBytes),
      );
      if (staged > 0) {
        if (bytes > staged) bytes = staged;
        const at = out.reserve(bytes);
        const from = task.stagedFrom + task.sent - task.stagedAt;
        out.bytes.set(task.staged!.subarray(from, from + bytes), at + out.dataAt);
        this.#put(task, at, bytes);
      } else if (!this.#lent(task, bytes) && !this.#now(task, bytes)) {
        // May complete before it returns: then all of this has gone on inside.
        this.#stage(task);
        return;
      }
    }
    if (task.status !== ScsiStatus.good || task.deliver === 0) this.#owner.dataInEnded(task);
    else this.#owner.dataInAnswered(task);
  }

  /** One PDU out of the device's own memory. False: it lends nothing now. */
  #lent(task: ScsiTask, bytes: number): boolean {
    const device = task.device!;
    if (bytes < LENT_FROM_BYTES || device.lend === undefined) return false;
    if (((task.sent | bytes) & (device.sectorBytes - 1)) !== 0) return false;
    const slices: Uint8Array[] = [];
    if (!device.lend(task.offset + task.sent, bytes, slices)) return false;
    const at = this.#out.reserve(0);
    const stat = this.#header(task, at, bytes);
    this.#out.sealLent(at, slices, stat, device as Lender);
    return true;
  }

  /** One PDU filled by the device in place. False: not possible now. */
  #now(task: ScsiTask, bytes: number): boolean {
    const device = task.device!;
    const mask = device.sectorBytes - 1;
    if (((task.sent | bytes) & mask) !== 0) return false;
    const out = this.#out;
    const at = out.reserve(bytes);
    if (!device.readNow(task.offset + task.sent, bytes, out.bytes, at + out.dataAt)) return false;
    this.#put(task, at, bytes);
    return true;
  }

  /** Reads whole sectors from where the transfer stands into a buffer of the task. */
  #stage(task: ScsiTask): void {
    const sector = task.device!.sectorBytes;
    const from = task.sent - (task.sent % sector);
    const end = Math.min(from + this.#pieceBytes, Math.ceil(task.deliver / sector) * sector);
    const buffer = this.#tasks.takeReadBuffer(task, end - from);
    task.staged = buffer;
    task.stagedAt = from;
    task.stagedEnd = end;
    task.stagedFrom = 0;
    task.state = TaskState.reading;
    task.device!.read(task.offset + from, end - from, buffer, 0, task);
  }

  #put(task: ScsiTask, at: number, bytes: number): void {
    const stat = this.#header(task, at, bytes);
    this.#out.seal(at, bytes, stat);
  }

  /** Lays out the header of the next `bytes` bytes, which are taken as sent. */
  #header(task: ScsiTask, at: number, bytes: number): Stat {
    const end = task.sent + bytes;
    const last = end === task.deliver;
    let flags = last || end % this.#burstBytes === 0 ? DataInFlag.final : 0;
    let residual = 0;
    const answers = last && task.status === ScsiStatus.good;
    if (answers) {
      const r = this.#residuals;
      r.compute(task);
      flags |= DataInFlag.status | r.flag;
      residual = r.count;
      this.#tasks.leave(task);
    }
    const out = this.#out;
    putDataIn(out.bytes, at, flags, 0, bytes, task.tag, task.dataInSn++, task.sent, residual);
    task.sent = end;
    return answers ? Stat.advance : Stat.none;
  }
}
