/**
 * Waiting for tasks, and other calls, inside the device: whoever had them aborted, or must not answer before they are
 * out, hears of the end once. Without a time limit the wait ends with the last task; with one it may
 * end before, and the tasks that are left report their abort when they come out.
 */
import type { Clock } from '../clock.ts';
import type { ScsiTask, TaskWatcher } from './scsi-task.ts';

export class Pending implements TaskWatcher {
  readonly #tasks = new Set<ScsiTask>();
  readonly #done: (complete: boolean) => void;
  /** Waits for what is no task of a session. */
  #others = 0;
  #started = false;
  #cancel: (() => void) | null = null;

  /** `done` is called once: true when every task has ended, false when time was up. */
  constructor(done: (complete: boolean) => void) {
    this.#done = done;
  }

  add(task: ScsiTask): void {
    this.#tasks.add(task);
    task.watchers.push(this);
  }

  /** Waits for `idle` to call back as well. */
  addOther(idle: (done: () => void) => void): void {
    this.#others++;
    idle(() => {
      this.#others--;
      this.#look();
    });
  }

  /** Nothing more is added: ends at once when nothing is waited for. Null: wait without limit. */
  start(clock: Clock, timeoutMs: number | null): void {
    this.#started = true;
    if (timeoutMs !== null && !this.#isOver) {
      this.#cancel = clock.after(timeoutMs, () => this.#giveUp());
    }
    this.#look();
  }

  taskEnded(task: ScsiTask): void {
    this.#tasks.delete(task);
    this.#look();
  }

  get #isOver(): boolean {
    return this.#tasks.size === 0 && this.#others === 0;
  }

  #look(): void {
    if (!this.#started || !this.#isOver) return;
    this.#started = false;
    this.#cancel?.();
    this.#cancel = null;
    this.#done(true);
  }

  #giveUp(): void {
    this.#cancel = null;
    this.#started = false;
    for (const task of this.#tasks) {
      task.reportAbort = true;
      const index = task.watchers.indexOf(this);
      if (index >= 0) task.watchers.splice(index, 1);
    }
    this.#tasks.clear();
    this.#done(false);
  }
}
