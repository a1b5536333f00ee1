/**
 * Residual counts (RFC 7143 11.4.5): what the command would move against what the initiator
 * expected. One reusable result per session, so no command makes an object.
 */
import { ScsiStatus } from '../scsi/status.ts';
import { Transfer } from '../scsi/task.ts';
import { ResidualFlag } from '../wire/command.ts';
import type { ScsiTask } from './scsi-task.ts';

export class Residuals {
  flag: number = ResidualFlag.none;
  count = 0;

  compute(task: ScsiTask): void {
    const expected = task.expectedLength;
    const out = task.transfer === Transfer.write || task.transfer === Transfer.out;
    let needed = 0;
    let allowed = expected;
    if (out) {
      needed = task.length;
      if (!task.writes) allowed = 0;
    } else if (task.status !== ScsiStatus.good) {
      // A read that failed: what was not delivered is missing.
      needed = task.sent;
    } else if (task.transfer === Transfer.read) {
      needed = task.length;
      if (!task.reads) allowed = 0;
    } else if (task.dataIn !== null) {
      needed = task.dataIn.length;
      if (!task.reads) allowed = 0;
    }
    if (needed > allowed) {
      this.flag = ResidualFlag.overflow;
      this.count = needed - allowed;
    } else if (needed < allowed) {
      this.flag = ResidualFlag.underflow;
      this.count = allowed - needed;
    } else {
      this.flag = ResidualFlag.none;
      this.count = 0;
    }
  }
}
