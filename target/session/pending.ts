/**
 * Waiting for tasks inside the device: whoever had them aborted, or must not answer before they are
 * out, hears of the end once.
 *
 * With a time limit the wait may end before the tasks do. Then their units are held (BUSY to whatever
 * would touch the medium, from every nexus) until each of them is out: what was aborted may still
 * land, but not on anything newer.
 */
import type { Clock } from '../clock.ts';
import type { Unit } from '../scsi/unit.ts';
import type { ScsiTask, TaskWatcher } from './scsi-task.ts';

export interface PendingOwner {
  /** Every task has ended. Not called after `late`. */
  settled(): void;
  /**
   * Time is up, and the units of the tasks that are left are held. They report their abort when they
   * come out. Null: `settled` is still wanted, and they end as they would have.
   */
  readonly late: (() => void) | null;
}

export class Pending implements TaskWatcher {
  readonly #tasks = new Set<ScsiTask>();
  /** After the time limit: what is held for each task, once for each. */
  readonly #holds = new Map<ScsiTask, readonly Unit[]>();
  readonly #owner: PendingOwner;
  #started = false;
  #over = false;
  #cancel: (() => void) | null = null;

  constructor(owner: PendingOwner) {
    this.#owner = owner;
  }

  add(task: ScsiTask): void {
    this.#tasks.add(task);
    task.watchers.push(this);
  }

  /** Nothing more is added: ends at once when nothing is waited for. Null: wait without limit. */
  start(clock: Clock, timeoutMs: number | null): void {
    this.#started = true;
    if (this.#tasks.size === 0) this.#settle();
    else if (timeoutMs !== null) this.#cancel = clock.after(timeoutMs, () => this.#timeIsUp());
  }

  taskEnded(task: ScsiTask): void {
    this.#tasks.delete(task);
    for (const unit of this.#holds.get(task) ?? []) unit.lift();
    this.#holds.delete(task);
    if (this.#tasks.size === 0 && this.#started) this.#settle();
  }

  #settle(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (this.#over) return;
    this.#over = true;
    this.#owner.settled();
  }

  #timeIsUp(): void {
    this.#cancel = null;
    for (const task of this.#tasks) {
      const { unit, elsewhere } = task;
      const units = elsewhere === null ? [unit!] : [unit!, elsewhere];
      for (const each of units) each.hold();
      this.#holds.set(task, units);
    }
    if (this.#owner.late === null) return;
    this.#over = true;
    for (const task of this.#tasks) task.reportAbort = true;
    this.#owner.late();
  }
}
