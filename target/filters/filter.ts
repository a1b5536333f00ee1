/**
 * The ground of every filter: a BlockDevice that hands each question and each call to the device
 * under it. A filter overrides what it changes and nothing else, so filters stack in any order:
 *
 *   SCSI ▸ trace ▸ delay ▸ fault ▸ the device
 *
 * Invariant: one call from above is at most one call below, and ends exactly once. Change events of
 * the device below reach those who listen at the top.
 */
import { strict as assert } from 'node:assert';
import type {
  BlockDevice,
  Completion,
  DeviceAllocation,
  DeviceCapabilities,
  DeviceError,
  DeviceIdentity,
  DeviceListener,
  DeviceProvisioning,
} from '../scsi/device.ts';

/** The calls that end through a Completion. */
export const DeviceCallKind = {
  read: 'read',
  write: 'write',
  flush: 'flush',
  unmap: 'unmap',
  writeZeroes: 'writeZeroes',
  compareAndWrite: 'compareAndWrite',
} as const;
export type DeviceCallKind = (typeof DeviceCallKind)[keyof typeof DeviceCallKind];

/** What was asked of a device. */
export interface DeviceCall {
  readonly kind: DeviceCallKind;
  /** Bytes. A flush covers the whole device and has offset 0 and length 0. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** Only a write can have it. */
  readonly fua: boolean;
  /** Only `writeZeroes` can have it. */
  readonly mayUnmap: boolean;
}

/** Every member of the port, the optional ones too: a filter that forgot one would hide it. */
type Whole = { readonly [Member in keyof Required<BlockDevice>]: unknown };

export class Filter implements BlockDevice, Whole {
  /** The device below. */
  protected readonly next: BlockDevice;

  constructor(next: BlockDevice) {
    this.next = next;
  }

  get identity(): DeviceIdentity {
    return this.next.identity;
  }

  get sectorBytes(): number {
    return this.next.sectorBytes;
  }

  get physicalSectorBytes(): number {
    return this.next.physicalSectorBytes;
  }

  get sectors(): number {
    return this.next.sectors;
  }

  get capabilities(): DeviceCapabilities {
    return this.next.capabilities;
  }

  readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    return this.next.readNow(offset, length, into, at);
  }

  /** Never: what is lent would pass by every filter that watches or changes reads. */
  lend(_offset: number, _length: number, _slices: Uint8Array[]): boolean {
    return false;
  }

  takeBack(slice: Uint8Array): void {
    this.next.takeBack?.(slice);
  }

  read(offset: number, length: number, into: Uint8Array, at: number, done: Completion): void {
    this.next.read(offset, length, into, at, done);
  }

  write(offset: number, data: Uint8Array, fua: boolean, done: Completion): void {
    this.next.write(offset, data, fua, done);
  }

  flush(done: Completion): void {
    this.next.flush(done);
  }

  unmap(offset: number, length: number, done: Completion): void {
    this.next.unmap(offset, length, done);
  }

  writeZeroes(offset: number, length: number, mayUnmap: boolean, done: Completion): void {
    this.next.writeZeroes(offset, length, mayUnmap, done);
  }

  compareAndWrite(offset: number, compare: Uint8Array, write: Uint8Array, done: Completion): void {
    this.next.compareAndWrite(offset, compare, write, done);
  }

  allocation(offset: number, length: number): DeviceAllocation | null {
    return this.next.allocation(offset, length);
  }

  locate(offset: number, length: number, done: Completion): void {
    if (this.next.locate === undefined) done.complete(null);
    else this.next.locate(offset, length, done);
  }

  provisioning(): DeviceProvisioning | null {
    return this.next.provisioning?.() ?? null;
  }

  /** Its capabilities say whether the device below has this; so with `erase`. */
  setWriteBack(on: boolean, done: Completion): void {
    assert(this.next.setWriteBack);
    this.next.setWriteBack(on, done);
  }

  erase(done: Completion): void {
    assert(this.next.erase);
    this.next.erase(done);
  }

  listen(listener: DeviceListener): () => void {
    return this.next.listen(listener);
  }
}

/** Carries a call out on the device below, telling `done` of its end. */
export type Pass = (done: Completion) => void;

/** A filter that treats all calls alike: they come through `call`, and readNow where it is let. */
export abstract class CallFilter extends Filter {
  /** Must end with exactly one `done.complete`; `pass` is called at most once, before returning. */
  protected abstract call(call: DeviceCall, done: Completion, pass: Pass): void;

  override read(
    offset: number,
    length: number,
    into: Uint8Array,
    at: number,
    done: Completion,
  ): void {
    const call = describe('read', offset, length);
    this.call(call, done, (end) => this.next.read(offset, length, into, at, end));
  }

  override write(offset: number, data: Uint8Array, fua: boolean, done: Completion): void {
    const call = describe('write', offset, data.length, fua);
    this.call(call, done, (end) => this.next.write(offset, data, fua, end));
  }

  override flush(done: Completion): void {
    this.call(describe('flush', 0, 0), done, (end) => this.next.flush(end));
  }

  override unmap(offset: number, length: number, done: Completion): void {
    const call = describe('unmap', offset, length);
    this.call(call, done, (end) => this.next.unmap(offset, length, end));
  }

  override writeZeroes(offset: number, length: number, mayUnmap: boolean, done: Completion): void {
    const call = describe('writeZeroes', offset, length, false, mayUnmap);
    this.call(call, done, (end) => this.next.writeZeroes(offset, length, mayUnmap, end));
  }

  override compareAndWrite(
    offset: number,
    compare: Uint8Array,
    write: Uint8Array,
    done: Completion,
  ): void {
    const call = describe('compareAndWrite', offset, compare.length);
    this.call(call, done, (end) => this.next.compareAndWrite(offset, compare, write, end));
  }
}

export function describe(
  kind: DeviceCallKind,
  offset: number,
  length: number,
  fua = false,
  mayUnmap = false,
): DeviceCall {
  return { kind, offset, length, fua, mayUnmap };
}

/** A Completion from a function. */
export function completion(ended: (error: DeviceError | null) => void): Completion {
  return { complete: ended };
}
