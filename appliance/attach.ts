/**
 * A virtual disk as the SCSI layer wants it: `Volume` (storage/) behind `BlockDevice` (target/), and
 * the only place where storage errors become device errors.
 *
 * On the hot path: reads that need no waiting go straight through, every other call borrows a relay
 * from a pool, so that no call allocates once the pool has grown to the calls in flight.
 */

import {
  type BlockDevice,
  type Completion,
  type DeviceAllocation,
  type DeviceCapabilities,
  type DeviceChange,
  DeviceError,
  DeviceErrorCode,
  type DeviceIdentity,
  type DeviceListener,
  type DeviceProvisioning,
} from 'node-iscsi-target';
import type { StorageError } from '#storage/base/errors.ts';
import type { Done } from '#storage/map/blocks.ts';
import { limits } from '#storage/volume/limits.ts';
import type { Volume, VolumeListener } from '#storage/volume/volume.ts';
import { naaHex } from './names.ts';
import { version } from './version.ts';

/** The unit of the log: what can be given back. */
const blockBytes = 4096;
/** The pool is looked at in steps of this: finer than hosts count it. */
const toldBytes = 2 ** 18;

/** The SCSI meaning of a storage error, of a call that changes data (`writing`) or not. */
export function deviceError(error: StorageError, writing: boolean): DeviceError {
  return new DeviceError(codeOf(error, writing), error.message, error.offset);
}

function codeOf(error: StorageError, writing: boolean): DeviceErrorCode {
  switch (error.code) {
    case 'NO_SPACE':
      return DeviceErrorCode.noSpace;
    case 'MEDIUM_ERROR':
    case 'CORRUPT':
      return DeviceErrorCode.mediumError;
    case 'DISK_FAILED':
      return writing ? DeviceErrorCode.writeError : DeviceErrorCode.failed;
    case 'MISCOMPARE':
      return DeviceErrorCode.miscompare;
    case 'BUSY':
    case 'CONFLICT':
    case 'UNKNOWN_OUTCOME':
      return DeviceErrorCode.busy;
    case 'IN_USE':
    case 'NOT_FOUND':
    case 'EXISTS':
    case 'INVALID':
    case 'TOO_NEW':
    case 'TOO_OLD':
      return DeviceErrorCode.failed;
  }
}

/** Stands between one call and its completion; goes back to the pool before it tells. */
class Relay implements Done {
  readonly #pool: Relay[];
  readonly #writing: boolean;
  #completion: Completion | null = null;

  constructor(pool: Relay[], writing: boolean) {
    this.#pool = pool;
    this.#writing = writing;
  }

  lend(completion: Completion): this {
    this.#completion = completion;
    return this;
  }

  complete(error: StorageError | null): void {
    const completion = this.#completion!;
    this.#completion = null;
    this.#pool.push(this);
    completion.complete(error === null ? null : deviceError(error, this.#writing));
  }
}

/** One pool per kind of call; holds at most as many relays as calls were ever in flight. */
class Relays {
  readonly #pool: Relay[] = [];
  readonly #writing: boolean;

  constructor(writing: boolean) {
    this.#writing = writing;
  }

  take(completion: Completion): Relay {
    const relay = this.#pool.pop() ?? new Relay(this.#pool, this.#writing);
    return relay.lend(completion);
  }
}

export interface AttachOptions {
  readonly writeProtected: boolean;
  readonly removable: boolean;
  /** Hosts may protect it from writing, all of them, by SWP of the control mode page. */
  readonly hostProtect: boolean;
  /** Hosts may erase it. */
  readonly sanitize: boolean;
  /** Writes may complete before they are durable. */
  readonly writeBack: boolean;
  readonly pool: PoolView;
  /** Replaces its key; only asked of a disk that has one. */
  erase(): Promise<void>;
}

/** What thin disks take from. */
export interface PoolView {
  /** Bytes that nobody has yet. */
  free(): number;
  /** Bytes that a disk holds. */
  used(): number;
  /** Hosts are warned below so many free bytes; 0: not. */
  readonly warnBelowBytes: number;
}

/** A virtual disk's LUN. Lives as long as its target; `close` stops it listening to the volume. */
export class AttachedDisk implements BlockDevice, VolumeListener {
  readonly identity: DeviceIdentity;
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
  #capabilities: DeviceCapabilities;
  readonly #volume: Volume;
  readonly #pool: PoolView;
  readonly #erase: () => Promise<void>;
  /** What hosts could know of the pool, in the unit in which they are told. */
  #told = '';
  readonly #reads = new Relays(false);
  readonly #writes = new Relays(true);
  readonly #listeners = new Set<DeviceListener>();
  readonly #unlisten: () => void;

  constructor(volume: Volume, options: AttachOptions) {
    const { writeProtected, removable, hostProtect, sanitize, writeBack, pool, erase } = options;
    const { record } = volume;
    this.#volume = volume;
    this.#pool = pool;
    this.#erase = erase;
    this.sectorBytes = record.sectorBytes;
    this.physicalSectorBytes = record.physicalSectorBytes;
    this.identity = {
      naa: Buffer.from(naaHex(record.id), 'hex'),
      serial: record.id,
      vendor: 'PETAL',
      product: 'VIRTUAL DISK',
      // At most four characters: 0.1, 12.3.
      revision: version.split('.').slice(0, 2).join('.').slice(0, 4),
    };
    this.#capabilities = {
      readOnly: writeProtected,
      thin: !record.reserved,
      unmapGranularity: blockBytes,
      writeBack,
      removable,
      solidState: true,
      hostMayChange: { writeProtect: hostProtect },
      sanitize,
      cryptographicErase: sanitize,
      atomicBytes: limits.atomicBytes,
    };
    this.#unlisten = volume.listen(this);
  }

  get capabilities(): DeviceCapabilities {
    return this.#capabilities;
  }

  /** Writes that are in flight end; the SCSI layer refuses later ones. */
  setWriteProtected(readOnly: boolean): void {
    if (readOnly === this.#capabilities.readOnly) return;
    this.#capabilities = { ...this.#capabilities, readOnly };
    this.#tell('capabilities');
  }

  setSanitize(sanitize: boolean): void {
    if (sanitize === this.#capabilities.sanitize) return;
    this.#capabilities = { ...this.#capabilities, sanitize, cryptographicErase: sanitize };
    this.#tell('capabilities');
  }

  setHostProtect(writeProtect: boolean): void {
    if (writeProtect === this.#capabilities.hostMayChange?.writeProtect) return;
    this.#capabilities = { ...this.#capabilities, hostMayChange: { writeProtect } };
    this.#tell('capabilities');
  }

  /** What mode page 08h says (WCE); the caller sees to it that it is true. */
  showWriteBack(writeBack: boolean): void {
    if (writeBack === this.#capabilities.writeBack) return;
    this.#capabilities = { ...this.#capabilities, writeBack };
    this.#tell('capabilities');
  }

  #tell(change: DeviceChange): void {
    for (const listener of this.#listeners) listener.changed(change);
  }

  provisioning(): DeviceProvisioning {
    const { warnBelowBytes } = this.#pool;
    const [usedBytes, availableBytes] = [this.#pool.used(), this.#pool.free()];
    return { usedBytes, availableBytes, shared: true, warnBelowBytes };
  }

  /** Called from time to time: hosts are told when a mark of theirs was passed. */
  lookAtPool(): void {
    if (!this.#capabilities.thin) return;
    const { usedBytes, availableBytes } = this.provisioning();
    const now = `${Math.floor(usedBytes / toldBytes)} ${Math.floor(availableBytes / toldBytes)}`;
    if (now === this.#told) return;
    this.#told = now;
    this.#tell('provisioning');
  }

  erase(done: Completion): void {
    this.#erase().then(
      () => done.complete(null),
      (error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        done.complete(new DeviceError(DeviceErrorCode.failed, why));
      },
    );
  }

  get sectors(): number {
    return this.#volume.record.size / this.sectorBytes;
  }

  /** From the volume. `removed` needs no word here: the target has gone before. */
  changed(change: 'size' | 'content' | 'removed'): void {
    if (change === 'size') this.#tell('capacity');
    // The attention by which hosts look at the unit anew (3F/03).
    if (change === 'content') this.#tell('identity');
  }

  close(): void {
    this.#unlisten();
  }

  readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    return this.#volume.readNow(offset, length, into, at);
  }

  read(offset: number, length: number, into: Uint8Array, at: number, done: Completion): void {
    this.#volume.read(offset, length, into, at, this.#reads.take(done));
  }

  write(offset: number, data: Uint8Array, fua: boolean, done: Completion): void {
    this.#volume.write(offset, data, this.#writes.take(done), fua);
  }

  flush(done: Completion): void {
    this.#volume.flush(this.#writes.take(done));
  }

  unmap(offset: number, length: number, done: Completion): void {
    this.#volume.unmap(offset, length, this.#writes.take(done));
  }

  writeZeroes(offset: number, length: number, mayUnmap: boolean, done: Completion): void {
    this.#volume.writeZeroes(offset, length, mayUnmap, this.#writes.take(done));
  }

  compareAndWrite(offset: number, compare: Uint8Array, write: Uint8Array, done: Completion): void {
    this.#volume.compareAndWrite(offset, compare, write, this.#writes.take(done));
  }

  allocation(offset: number, length: number): DeviceAllocation | null {
    return this.#volume.allocation(offset, length);
  }

  locate(offset: number, length: number, done: Completion): void {
    this.#volume.locate(offset, length, this.#reads.take(done));
  }

  listen(listener: DeviceListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
