/**
 * Waiting for tasks, and calls of copies, inside the device: whoever had them aborted, or must not
 * answer before they are out, hears of the end once.
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

/** Calls inside the devices of some units that belong to no task there. */
interface Calls {
  units: readonly Unit[];
  held: boolean;
}

export class Pending implements TaskWatcher {
  readonly #tasks = new Set<ScsiTask>();
  /** After the time limit: what is held for each task, once for each. */
  readonly #holds = new Map<ScsiTask, readonly Unit[]>();
  readonly #calls = new Set<Calls>();
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

  /** Waits as well until `begin` calls back, which returns the units that it is about. */
  addCalls(begin: (done: () => void) => readonly Unit[]): void {
    const calls: Calls = { units: [], held: false };
    this.#calls.add(calls);
    calls.units = begin(() => {
      this.#calls.delete(calls);
      if (calls.held) for (const unit of calls.units) unit.lift();
      this.#look();
    });
  }

  /** Nothing more is added: ends at once when nothing is waited for. Null: wait without limit. */
  start(clock: Clock, timeoutMs: number | null): void {
    this.#started = true;
    this.#look();
    if (this.#over || timeoutMs === null) return;
    this.#cancel = clock.after(timeoutMs, () => this.#timeIsUp());
  }

  taskEnded(task: ScsiTask): void {
    this.#tasks.delete(task);
    for (const unit of this.#holds.get(task) ?? []) unit.lift();
    this.#holds.delete(task);
    this.#look();
  }

  #look(): void {
    if (this.#started && this.#tasks.size === 0 && this.#calls.size === 0) this.#settle();
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
    for (const calls of this.#calls) {
      for (const unit of calls.units) unit.hold();
      calls.held = true;
    }
    if (this.#owner.late === null) return;
    this.#over = true;
    for (const task of this.#tasks) task.reportAbort = true;
    this.#owner.late();
  }
}
