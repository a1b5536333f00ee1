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

export interface Disk {
  /** For people: a path. */
  readonly name: string;
  /** Bytes, a multiple of 1 MiB, fixed while open. */
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
}
