/**
 * Soft thresholds of a thin device (SBC-4 4.7.3.7, 6.5.9): hosts are told once when what is left falls
 * below a mark, or what is used rises above one, and again only after it went back across it.
 *
 *   body of the logical block provisioning mode page (1Ch/02h), from byte 4 of the page
 *    0  SITUA (0) = 0: every nexus is told         12  threshold descriptors, 8 bytes each
 *   descriptor
 *    0  ENABLED (7) THRESHOLD TYPE (5:3) = 0 ARMING (2:0): 0 decreasing, 1 increasing
 *    1  THRESHOLD RESOURCE: 1 available, 2 used    4  THRESHOLD COUNT, 4, in threshold sets
 *
 * A threshold set is 1 MiB; a mark is half a set wide on both sides, so that it does not chatter.
 */
import { putU32, u32 } from './bytes.ts';
import type { BlockDevice, DeviceProvisioning } from './device.ts';
import { scsiLimits } from './limits.ts';
import { Sense, type SenseCode } from './sense.ts';

const pageHeaderLength = 4;
const headLength = 12;
const descriptorLength = 8;
const enabledBit = 0x80;

/** Codes of the log page's parameters and of the descriptors (SBC-4 table 196). */
export const Resource = { available: 1, used: 2 } as const;
export type Resource = (typeof Resource)[keyof typeof Resource];

const setBytes = scsiLimits.thresholdSetBytes;

/** Threshold sets of so many bytes; a field of four bytes holds 4 PiB of them. */
export function setsOf(bytes: number): number {
  return Math.min(0xffffffff, Math.floor(bytes / setBytes));
}

/** THRESHOLD EXPONENT of VPD B2h: a set is 2^exponent logical blocks. */
export function thresholdExponent(device: BlockDevice): number {
  return Math.log2(setBytes / device.sectorBytes);
}

/** What a thin device takes and leaves, or null where that is not known. */
export function provisioningOf(device: BlockDevice): DeviceProvisioning | null {
  return device.capabilities.thin ? (device.provisioning?.() ?? null) : null;
}

/** INFORMATION says where in its page the `index`th descriptor stands (SBC-4 4.7.3.7.6). */
function toldOf(index: number): SenseCode {
  const information = pageHeaderLength + headLength + index * descriptorLength;
  return Object.freeze({ ...Sense.thinThreshold, information });
}

class Threshold {
  readonly resource: Resource;
  readonly sense: SenseCode;
  enabled = false;
  count = 0;
  /** It was passed and told, and has not been left since. */
  passed = false;

  constructor(resource: Resource, sense: SenseCode) {
    this.resource = resource;
    this.sense = sense;
  }

  set(enabled: boolean, count: number): void {
    this.enabled = enabled;
    this.count = count;
    this.passed = false;
  }

  /** True: it is passed now and was not before. */
  look({ usedBytes, availableBytes }: DeviceProvisioning): boolean {
    // Mirrored for what rises, so that both fall.
    const rises = this.resource === Resource.used;
    const distance = (rises ? -usedBytes : availableBytes) / setBytes;
    const mark = rises ? -this.count : this.count;
    if (!this.enabled || distance > mark + 0.5) this.passed = false;
    else if (distance < mark - 0.5 && !this.passed) {
      this.passed = true;
      return true;
    }
    return false;
  }
}

export class Thresholds {
  readonly #device: BlockDevice;
  readonly #available = new Threshold(Resource.available, toldOf(0));
  readonly #used = new Threshold(Resource.used, toldOf(1));
  /** LBPERE of the error recovery page. */
  reported = true;

  constructor(device: BlockDevice) {
    this.#device = device;
    this.reset();
  }

  get #all(): readonly Threshold[] {
    return [this.#available, this.#used];
  }

  /** The unit has this page, the log page 0Ch and a threshold exponent. */
  get offered(): boolean {
    return provisioningOf(this.#device) !== null;
  }

  /** Whether what is left, or used, is beyond a mark that is in force. */
  get passed(): boolean {
    return this.reported && this.#all.some((each) => each.passed);
  }

  reset(): void {
    this.reported = true;
    const count = this.#defaultCount;
    this.#available.set(count > 0, count);
    this.#used.set(false, 0);
  }

  get #defaultCount(): number {
    return setsOf(provisioningOf(this.#device)?.warnBelowBytes ?? 0);
  }

  report(on: boolean): boolean {
    const changed = on !== this.reported;
    this.reported = on;
    return changed;
  }

  /** The conditions to tell of now. */
  look(): readonly SenseCode[] {
    const now = provisioningOf(this.#device);
    if (now === null) return [];
    const passed = this.#all.filter((each) => each.look(now));
    return this.reported ? passed.map((each) => each.sense) : [];
  }

  values(defaults: boolean): Uint8Array {
    const body = this.#body();
    this.#all.forEach((each, i) => {
      const at = headLength + i * descriptorLength;
      const standard = each === this.#available ? this.#defaultCount : 0;
      const enabled = defaults ? standard > 0 : each.enabled;
      body[at] = (enabled ? enabledBit : 0) | (each.resource === Resource.used ? 1 : 0);
      body[at + 1] = each.resource;
      putU32(body, at + 4, defaults ? standard : each.count);
    });
    return body;
  }

  changeable(): Uint8Array {
    const body = this.#body();
    this.#all.forEach((_each, i) => {
      const at = headLength + i * descriptorLength;
      body[at] = enabledBit;
      putU32(body, at + 4, 0xffffffff);
    });
    return body;
  }

  #body(): Uint8Array {
    return new Uint8Array(headLength + this.#all.length * descriptorLength);
  }

  /** Takes over a checked body; whether anything changed. */
  apply(body: Uint8Array): boolean {
    let changed = false;
    this.#all.forEach((each, i) => {
      const at = headLength + i * descriptorLength;
      const enabled = ((body[at] ?? 0) & enabledBit) !== 0;
      const count = u32(body, at + 4);
      if (enabled === each.enabled && count === each.count) return;
      each.set(enabled, count);
      changed = true;
    });
    return changed;
  }
}
