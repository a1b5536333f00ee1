/**
 * A session that has gone while tasks of it were inside a device (SAM-5 6.3.4: the loss of a nexus
 * aborts its tasks; a call into a device cannot be taken back).
 *
 * Its host comes back at once, by a new session in place of the old one or by another path, and sends
 * again what was not answered. For the time that task management would wait, the writes of that host
 * are held back: nearly always the device lets go within milliseconds, and the host sees nothing but
 * a slow command. After that they would only pile up and run into the time limit of the host, so the
 * units concerned answer BUSY until the tasks are out (pending.ts), and all others are served.
 */
import type { Clock } from '../clock.ts';
import { Pending } from './pending.ts';
import { TaskState } from './scsi-task.ts';
import type { Session } from './session.ts';

export class Leftover {
  readonly session: Session;
  #passed = false;
  #watchers: (() => void)[] = [];

  constructor(session: Session) {
    this.session = session;
  }

  /** Begins to wait. */
  start(clock: Clock, timeoutMs: number): void {
    const pass = (): void => {
      this.#passed = true;
      for (const watcher of this.#watchers.splice(0)) watcher();
    };
    const pending = new Pending({ settled: pass, late: pass });
    for (const task of this.session.commands.tasks.table.values()) {
      if (task.state === TaskState.working) pending.add(task);
    }
    pending.start(clock, timeoutMs);
  }

  /** Whether `other` is of the same host, through whatever port. */
  isOf(other: Session): boolean {
    const { nexus } = this.session;
    return nexus.initiator === other.nexus.initiator && nexus.target === other.nexus.target;
  }

  /** Holds back what `session` would do to a medium. */
  fence(session: Session): void {
    if (this.#passed) return;
    session.commands.fence();
    this.#watchers.push(() => session.commands.unfence());
  }
}
