/** What an initiator is told of a device's refusal (SBC-3 4.18, SPC-4 annex F). */
import { type DeviceError, DeviceErrorCode } from './device.ts';
import { setCheck } from './outcome.ts';
import { Sense, type SenseCode } from './sense.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';

const codes: Record<Exclude<DeviceErrorCode, 'busy'>, SenseCode> = {
  mediumError: Sense.unrecoveredReadError,
  writeError: Sense.writeError,
  noSpace: Sense.spaceAllocationFailed,
  readOnly: Sense.writeProtected,
  miscompare: Sense.miscompareVerify,
  failed: Sense.internalTargetFailure,
};

export function failTask(
  unit: { readonly descriptorSense: boolean },
  task: Task,
  error: DeviceError,
): void {
  task.dataIn = null;
  task.sense = null;
  if (error.code === DeviceErrorCode.busy) {
    task.status = ScsiStatus.busy;
    return;
  }
  const detail =
    error.code === DeviceErrorCode.miscompare ? { information: error.miscompareOffset } : {};
  setCheck(task, codes[error.code], unit.descriptorSense, detail);
}
