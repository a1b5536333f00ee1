/**
 * The port to storage: all that this package knows of where blocks live.
 *
 * Offsets and lengths are bytes and always whole multiples of `sectorBytes`; the SCSI layer has
 * checked them against `sectors` before any call. Numbers are safe up to 2^53, so a device holds at
 * most 8 PiB. Calls complete through a `Completion`, which may be called before the method returns
 * (a cache hit, a write-back acknowledgement) or later, but exactly once.
 */

/** Who is told when a call ends. Implemented by pooled objects, so it costs no closure per command. */
export interface Completion {
  /** `error` is null when the call succeeded. */
  complete(error: DeviceError | null): void;
}

/** Why a device refused; the SCSI layer turns each into status and sense (see scsi/sense.ts). */
export const DeviceErrorCode = {
  /** No good copy of a block is left. MEDIUM ERROR, UNRECOVERED READ ERROR. */
  mediumError: 'mediumError',
  /** A write could not be made durable. MEDIUM ERROR, WRITE ERROR. */
  writeError: 'writeError',
  /** The thin pool is full. DATA PROTECT, SPACE ALLOCATION FAILED WRITE PROTECT. */
  noSpace: 'noSpace',
  /** The device does not take writes now. DATA PROTECT, WRITE PROTECTED. */
  readOnly: 'readOnly',
  /** Try again: status BUSY, no sense. */
  busy: 'busy',
  /** `compareAndWrite` found other data; `miscompareOffset` says where. MISCOMPARE. */
  miscompare: 'miscompare',
  /** The device is gone or failed for good. HARDWARE ERROR, INTERNAL TARGET FAILURE. */
  failed: 'failed',
} as const;
export type DeviceErrorCode = (typeof DeviceErrorCode)[keyof typeof DeviceErrorCode];

export class DeviceError extends Error {
  readonly code: DeviceErrorCode;
  /** Byte offset, within the compared data, of the first difference; only with `miscompare`. */
  readonly miscompareOffset: number;

  constructor(code: DeviceErrorCode, message: string, miscompareOffset = 0) {
    super(message);
    this.name = 'DeviceError';
    this.code = code;
    this.miscompareOffset = miscompareOffset;
  }
}

/** What makes a logical unit the same one to every host, on every path, for ever. */
export interface DeviceIdentity {
  /** NAA locally assigned or IEEE registered extended designator: 16 bytes (SPC-4 7.8.6.6). */
  readonly naa: Uint8Array;
  /** Unit serial number, printable ASCII (SPC-4 7.8.15). */
  readonly serial: string;
  /** T10 vendor identification, at most 8 printable ASCII characters. */
  readonly vendor: string;
  /** Product identification, at most 16. */
  readonly product: string;
  /** Product revision level, at most 4. */
  readonly revision: string;
}

export interface DeviceCapabilities {
  readonly readOnly: boolean;
  /** Thin provisioned: `unmap` gives space back and `allocation` tells (SBC-3 4.7.3). */
  readonly thin: boolean;
  /** Natural unmap granularity in bytes; a multiple of the sector size. */
  readonly unmapGranularity: number;
  /** Volatile write cache: `write` may complete before the data is durable. Mode page 08h, WCE. */
  readonly writeBack: boolean;
  readonly removable: boolean;
  /** True: VPD B1h says non-rotating medium. */
  readonly solidState: boolean;
  /** Offers SANITIZE: after a whole overwrite, or an unmap or zeroing of everything, nothing of the old
   *  data can be had again. False while anything shares its blocks. Absent: false. */
  readonly sanitize?: boolean;
  /** SANITIZE by `erase`, which the device then has. Absent: false. */
  readonly cryptographicErase?: boolean;
  /** WRITE SAME of zero blocks means "to the end" (VPD page B0h, WSNZ=0). Absent: it is refused, so that a
   *  host that meant nothing does not wipe a unit. */
  readonly writeSameToEnd?: boolean;
  /** What hosts may change by MODE SELECT, where the administrator lets them. Absent: neither. */
  readonly hostMayChange?: {
    /** WCE of the caching page; the device has `setWriteBack`. */
    readonly writeBack?: boolean;
    /** SWP of the control page. */
    readonly writeProtect?: boolean;
  };
  /** Writes inside one aligned range of so many bytes are all or nothing; 0 = per sector only. */
  readonly atomicBytes: number;
}

export interface DeviceAllocation {
  readonly mapped: boolean;
  /** Bytes from the asked offset on that share this state; at least one sector. */
  readonly length: number;
}

/** What a thin device takes and can still take; SBC-3 4.7.3 calls them LBA mapping resources. */
export interface DeviceProvisioning {
  /** Bytes that this device holds. */
  readonly usedBytes: number;
  /** Bytes that it could still be given. */
  readonly availableBytes: number;
  /** Others take of them, too. */
  readonly shared: boolean;
  /** Hosts are warned below this many available bytes, unless they set another mark; 0: not. */
  readonly warnBelowBytes: number;
}

/** A change that hosts are told of by a unit attention. `provisioning`: what a device takes or what is left
 *  has changed enough to be looked at (SBC-3 4.7.3.8); an attention follows when a mark was passed. */
export type DeviceChange = 'capacity' | 'capabilities' | 'identity' | 'provisioning';

/** Hears of a device's changes. */
export interface DeviceListener {
  changed(change: DeviceChange): void;
}

export interface BlockDevice {
  readonly identity: DeviceIdentity;
  /** 512 or 4096. */
  readonly sectorBytes: number;
  /** A power-of-two multiple of `sectorBytes`. */
  readonly physicalSectorBytes: number;
  /** May change while in use; `changed('capacity')` follows. */
  readonly sectors: number;
  /** May change while in use; `changed('capabilities')` follows. */
  readonly capabilities: DeviceCapabilities;

  /**
   * Copy `length` bytes at `offset` to `into[at…]` if that needs no waiting. False: nothing was
   * promised and nothing need be undone; call `read`. Never throws for I/O reasons.
   */
  readNow(offset: number, length: number, into: Uint8Array, at: number): boolean;

  /**
   * As `readNow`, without the copy: appends arrays to `slices` that together are the `length` bytes at
   * `offset`. What they hold does not change, whatever is written there meanwhile, until each was given
   * back by `takeBack`, once. False: nothing was lent. Absent: nothing ever is. Only long reads ask.
   */
  lend?(offset: number, length: number, slices: Uint8Array[]): boolean;
  takeBack?(slice: Uint8Array): void;

  /** Copy `length` bytes at `offset` to `into[at…]`; `into` is the device's until completion. */
  read(offset: number, length: number, into: Uint8Array, at: number, done: Completion): void;

  /**
   * Write `data` at `offset`. The device has copied what it needs when the call returns: the caller
   * may reuse `data` at once. Completion means durable, unless `capabilities.writeBack` and not `fua`.
   * How much may be in flight is bounded by the caller.
   */
  write(offset: number, data: Uint8Array, fua: boolean, done: Completion): void;

  /** All writes completed before this call are durable at completion. */
  flush(done: Completion): void;

  /** Deallocate; the range reads as zeros afterwards. Called only when `capabilities.thin`. */
  unmap(offset: number, length: number, done: Completion): void;

  /** The range reads as zeros afterwards; with `mayUnmap` the device may deallocate it. */
  writeZeroes(offset: number, length: number, mayUnmap: boolean, done: Completion): void;

  /**
   * Atomically compare `compare.length` bytes at `offset` and, if equal, write `write` there; else
   * complete with `miscompare`. Both are borrowed until completion.
   */
  compareAndWrite(offset: number, compare: Uint8Array, write: Uint8Array, done: Completion): void;

  /**
   * Whether storage is allocated at `offset`, and how far that holds (GET LBA STATUS). Null: that has to be
   * looked up by `locate`, which the device then has, and asked again.
   */
  allocation(offset: number, length: number): DeviceAllocation | null;

  /** Completes when `allocation` at `offset` can answer. */
  locate?(offset: number, length: number, done: Completion): void;

  /** Null or absent: nothing is known of it, and there are no thresholds. */
  provisioning?(): DeviceProvisioning | null;

  /** Only with `capabilities.hostMayChange.writeBack`. Off: all that was written is durable at completion. */
  setWriteBack?(on: boolean, done: Completion): void;

  /**
   * Only with `capabilities.cryptographicErase`. At completion nothing that was written can be had again,
   * for instance because its key is gone, and everything reads as zeros. Nothing else is in flight.
   */
  erase?(done: Completion): void;

  /** Be told of changes; returns the way to stop. */
  listen(listener: DeviceListener): () => void;
}
