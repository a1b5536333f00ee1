/**
 * Shows a device as one that takes no writes: hosts see a write-protected unit (SPC-4, the WP bit of
 * MODE SENSE), and whatever would change the medium is refused here too, whoever calls. A flush
 * changes nothing and is let through.
 */
import {
  type Completion,
  type DeviceCapabilities,
  DeviceError,
  DeviceErrorCode,
} from '../scsi/device.ts';
import { CallFilter, type DeviceCall, type Pass } from './filter.ts';

export class ReadOnlyFilter extends CallFilter {
  #below: DeviceCapabilities | null = null;
  #shown: DeviceCapabilities | null = null;

  override get capabilities(): DeviceCapabilities {
    const below = this.next.capabilities;
    if (this.#shown !== null && below === this.#below) return this.#shown;
    this.#below = below;
    // Sanitizing is writing, and is not to be offered either.
    this.#shown = { ...below, readOnly: true, sanitize: false };
    return this.#shown;
  }

  protected override call(call: DeviceCall, done: Completion, pass: Pass): void {
    if (call.kind === 'read' || call.kind === 'flush') pass(done);
    else done.complete(new DeviceError(DeviceErrorCode.readOnly, 'the device is read-only'));
  }
}
