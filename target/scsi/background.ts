/**
 * Work that goes on after its command was answered (IMMED=1, SPC-4 5.17.4.3): a task of its own for it,
 * and the unit's list of such tasks, through which a reset or the end of a session ends them.
 *
 * A call into the device cannot be taken back. From the abort until the work has come out of the device
 * the unit takes no writes (BUSY): nothing that a host was told is over lands on what it writes next.
 */
import type { Nexus } from './nexus.ts';
import { ScsiStatus } from './status.ts';
import { type Task, Transfer } from './task.ts';
import type { Unit } from './unit.ts';

export class BackgroundTask implements Task {
  readonly cdb: Uint8Array;
  readonly nexus: Nexus;
  readonly expectedLength = 0;
  transfer: Transfer = Transfer.none;
  offset = 0;
  length = 0;
  fua = false;
  status: number = ScsiStatus.good;
  sense: Uint8Array | null = null;
  dataIn: Uint8Array | null = null;
  aborted = false;
  elsewhere: Unit | null = null;
  /** It changes the medium. */
  readonly writes: boolean;
  readonly #finished: (task: BackgroundTask) => void;

  constructor(from: Task, writes: boolean, finished: (task: BackgroundTask) => void) {
    this.cdb = new Uint8Array(from.cdb);
    this.nexus = from.nexus;
    this.writes = writes;
    this.#finished = finished;
  }

  finish(): void {
    this.#finished(this);
  }
}

export class BackgroundWork {
  readonly #tasks = new Set<BackgroundTask>();
  /** Aborted work that may still be inside the device, writing. */
  #lingering = 0;

  #closed = false;

  /** The unit was taken away: nothing goes on, nothing begins. */
  get closed(): boolean {
    return this.#closed;
  }

  get size(): number {
    return this.#tasks.size;
  }

  get lingering(): number {
    return this.#lingering;
  }

  /** A task for the rest of the work of `from`, which may be answered and reused. */
  begin(from: Task, writes: boolean): BackgroundTask {
    const task = new BackgroundTask(from, writes, (each) => {
      this.#tasks.delete(each);
      if (each.aborted && each.writes) this.#lingering--;
    });
    this.#tasks.add(task);
    if (this.#closed) this.abort(null);
    return task;
  }

  close(): void {
    this.#closed = true;
    this.abort(null);
  }

  /** Ends the work of `nexus`, or of all. */
  abort(nexus: Nexus | null): void {
    for (const task of this.#tasks) {
      if (task.aborted || (nexus !== null && task.nexus !== nexus)) continue;
      task.aborted = true;
      if (task.writes) this.#lingering++;
    }
  }
}
