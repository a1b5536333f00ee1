/**
 * The port to one physical disk: a file or a block device of fixed size.
 *
 * Contract (the simulated disk in test/sim/ checks it):
 * - offsets and lengths are multiples of 4096;
 * - a write is in no defined state until `sync` (or the `durable` write itself) has resolved: a
 *   crash may keep, lose or tear it at 4096-byte boundaries, in any order among unsynced writes;
 *   within one 4096-byte block a sector is old or new;
 * - `sync` makes durable all writes that resolved before it was called;
 * - after a failed write or sync the disk is failed for good: every later write or sync rejects with
 *   DISK_FAILED, and nothing is retried (a second fsync may lie; see PostgreSQL's "fsyncgate");
 *   reads may go on, since who reads checks what it reads;
 * - buffers belong to the disk until the call has resolved.
 */

/** Bytes of several buffers together. */
export const bytesIn = (data: readonly Uint8Array[]): number =>
  data.reduce((sum, part) => sum + part.length, 0);

export interface Disk {
  /** For people: a path. */
  readonly name: string;
  /** Bytes, a multiple of 1 MiB, fixed while open but for a disk made of several. */
  readonly size: number;
  /**
   * Whether the first write to a place costs more than later ones, as in a file whose blocks the
   * file system has only promised: whoever cares writes zeros there beforehand.
   */
  readonly allocatesOnWrite: boolean;
  /** Rejects with MEDIUM_ERROR when the device says so; never short. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** Several buffers are laid one behind the other from `offset`. `durable`: as if synced after. */
  write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
  /** Present where what is stored may be had in more than one way. */
  readonly redundancy?: Redundancy | undefined;
  /** Whether what the disk stands for has gone: a file cut off or removed, a device unplugged. */
  readonly gone?: boolean;
}

/** What a disk made of several disks can do for the log above it. Offsets as in `Disk`. */
export interface Redundancy {
  /**
   * Fill `into` in one way after the other until `good` says that the content is right; bad places
   * are then written anew. False: no way leads to it. The caller sees to it that nobody writes there.
   */
  recover(offset: number, into: Uint8Array, good: (bytes: Uint8Array) => boolean): Promise<boolean>;
  /** The segment at `offset` gets no more writes before it begins anew with its first block. */
  sealed(offset: number): void;
  /** Recovery relies on `bytes` at `offset`: every copy and the parity say the same afterwards. */
  settle(offset: number, bytes: Uint8Array): Promise<void>;
  /** As `settle`, where nothing is thought to differ: returns how many blocks did. */
  audit(offset: number, bytes: Uint8Array): Promise<number>;
}
