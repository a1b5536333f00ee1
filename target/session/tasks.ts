/**
 * The tasks of one session: pool, table by Initiator Task Tag, their buffers, and the ways in which
 * a task ends.
 *
 * A task that ended while data for it was still on its way leaves its tag in `discards`, so that
 * this data is dropped quietly (RFC 7143 4.2.3.3) and not taken for a mistake.
 */
import { strict as assert } from 'node:assert';
import type { Limits } from '../limits.ts';
import type { Nexus } from '../scsi/nexus.ts';
import { type BufferPool, bufferBytes, type WriteBudget } from './buffers.ts';
import type { Output } from './output.ts';
import { ScsiTask, type TaskOwner, TaskState } from './scsi-task.ts';
import type { CommandWindow } from './window.ts';

export interface TasksOwner {
  /** `buffer` goes back to the pool: nothing may be written to it any more. */
  bufferGone(buffer: Buffer): void;
  /** The window was closed and is open again, and no response says so. */
  windowOpened(): void;
}

export class Tasks {
  /** Keyed by the tag as a signed integer, which the engine keeps unboxed. */
  readonly table = new Map<number, ScsiTask>();
  immediate = 0;
  /** Tasks that can still have an effect on a medium. */
  working = 0;
  readonly #discards = new Map<number, number>();
  readonly #idle: ScsiTask[] = [];
  readonly #limits: Limits;
  readonly #pool: BufferPool;
  readonly #budget: WriteBudget;
  readonly #window: CommandWindow;
  readonly #out: Output;
  readonly #nexus: Nexus;
  readonly #taskOwner: TaskOwner;
  readonly #owner: TasksOwner;
  #sessionBytes = 0;

  constructor(options: {
    readonly limits: Limits;
    readonly pool: BufferPool;
    readonly budget: WriteBudget;
    readonly window: CommandWindow;
    readonly out: Output;
    readonly nexus: Nexus;
    readonly taskOwner: TaskOwner;
    readonly owner: TasksOwner;
  }) {
    this.#limits = options.limits;
    this.#pool = options.pool;
    this.#budget = options.budget;
    this.#window = options.window;
    this.#out = options.out;
    this.#nexus = options.nexus;
    this.#taskOwner = options.taskOwner;
    this.#owner = options.owner;
  }

  get(tag: number): ScsiTask | undefined {
    return this.table.get(tag | 0);
  }

  /** A task for a new command; it stands in the table until it ends. */
  start(tag: number, immediate: boolean): ScsiTask {
    const task = this.#idle.pop() ?? new ScsiTask(this.#taskOwner, this.#nexus);
    task.state = TaskState.sending;
    task.tag = tag;
    task.immediate = immediate;
    if (immediate) this.immediate++;
    else this.#window.outstanding++;
    if (this.#discards.size !== 0) this.#discards.delete(tag | 0);
    this.table.set(tag | 0, task);
    return task;
  }

  /** The command is being answered: it no longer counts in the window that the answer announces. */
  leave(task: ScsiTask): void {
    const removed = this.table.delete(task.tag | 0);
    assert(removed, 'a task left twice');
    if (task.immediate) this.immediate--;
    else this.#window.outstanding--;
  }

  /** As `end`, without an answer: data still on its way is dropped when it comes. */
  endSilently(task: ScsiTask): void {
    const wasClosed = !task.detached && this.#window.closed;
    if (!task.detached) {
      this.remember(task);
      this.leave(task);
    }
    this.release(task);
    if (wasClosed) this.#owner.windowOpened();
  }

  /** The initiator sees the end of the task now; the device ends it later (a read in flight). */
  detach(task: ScsiTask): void {
    const wasClosed = this.#window.closed;
    this.leave(task);
    task.detached = true;
    if (wasClosed) this.#owner.windowOpened();
  }

  /** Data for `tag` is late news of a task that ended. `final`: the last of a sequence. */
  discarded(tag: number, final: boolean): boolean {
    const left = this.#discards.get(tag | 0);
    if (left === undefined) return false;
    if (final && left <= 1) this.#discards.delete(tag | 0);
    else if (final) this.#discards.set(tag | 0, left - 1);
    return true;
  }

  /** What is still to come for a task that is about to end is dropped when it comes. */
  remember(task: ScsiTask): void {
    const sequences = task.r2tTags.length + (task.unsolicited ? 1 : 0);
    if (sequences === 0) return;
    this.#discards.set(task.tag | 0, sequences);
    if (this.#discards.size <= this.#limits.discards) return;
    for (const oldest of this.#discards.keys()) {
      this.#discards.delete(oldest);
      break;
    }
  }

  /** The answer is laid out: the task goes back to the pool. */
  release(task: ScsiTask): void {
    assert(task.state !== TaskState.free, 'a task ended twice');
    this.freeBuffer(task);
    this.freeReadBuffer(task);
    task.state = TaskState.free;
    if (task.watchers.length !== 0) {
      const watchers = task.watchers.splice(0);
      for (const watcher of watchers) watcher.taskEnded(task);
    }
    task.reset();
    if (this.#idle.length < this.#limits.window) this.#idle.push(task);
  }

  /** A buffer for all the data of a write; false: there is no room now. */
  takeBuffer(task: ScsiTask): boolean {
    const bytes = bufferBytes(task.wanted);
    if (this.#sessionBytes + bytes > this.#limits.sessionWriteBytes) return false;
    if (!this.#budget.take(bytes)) return false;
    this.#sessionBytes += bytes;
    this.#adopt(task, bytes, 0);
    this.#fitWindow();
    return true;
  }

  /** A buffer for data that comes unasked: the window has promised room for it. */
  takeReserve(task: ScsiTask): boolean {
    const bytes = bufferBytes(Math.min(task.wanted, this.#limits.firstBurstBytes));
    if (!this.#budget.take(bytes)) return false;
    this.#adopt(task, 0, bytes);
    return true;
  }

  /** A task in a reserve buffer that is too small for all of its data gets one that is not. */
  growBuffer(task: ScsiTask): boolean {
    const small = task.buffer;
    const reserve = task.reserveBytes;
    if (small !== null && small.length >= task.wanted) return true;
    task.buffer = null;
    task.reserveBytes = 0;
    if (!this.takeBuffer(task)) {
      task.buffer = small;
      task.reserveBytes = reserve;
      return false;
    }
    if (small !== null) {
      task.buffer!.set(small.subarray(0, Math.min(task.received, task.wanted)));
      this.#owner.bufferGone(small);
      this.#pool.give(small);
      this.#budget.give(reserve);
    }
    return true;
  }

  freeBuffer(task: ScsiTask): void {
    const buffer = task.buffer;
    if (buffer === null) return;
    const { budgetBytes, reserveBytes } = task;
    task.buffer = null;
    task.budgetBytes = 0;
    task.reserveBytes = 0;
    this.#sessionBytes -= budgetBytes;
    this.#owner.bufferGone(buffer);
    this.#pool.give(buffer);
    this.#budget.give(budgetBytes + reserveBytes);
    this.#fitWindow();
  }

  /** When memory is short the initiators wait, not the commands. */
  #fitWindow(): void {
    this.#window.resize(this.#budget.tight ? this.#limits.windowTight : this.#limits.window);
  }

  /** A buffer for data that the device reads later; it counts as output held for the peer. */
  takeReadBuffer(task: ScsiTask, bytes: number): Buffer {
    assert(task.readBuffer === null, 'a task reads one piece at a time');
    const buffer = this.#pool.take(bytes);
    this.#out.held += buffer.length;
    task.readBuffer = buffer;
    return buffer;
  }

  freeReadBuffer(task: ScsiTask): void {
    const buffer = task.readBuffer;
    if (buffer === null) return;
    task.readBuffer = null;
    task.staged = null;
    this.#out.held -= buffer.length;
    this.#pool.give(buffer);
  }

  #adopt(task: ScsiTask, budgetBytes: number, reserveBytes: number): void {
    task.buffer = this.#pool.take(budgetBytes + reserveBytes);
    task.budgetBytes = budgetBytes;
    task.reserveBytes = reserveBytes;
  }
}
