/**
 * Petal's client side: one open virtual disk. Offsets and lengths are bytes, multiples of the
 * disk's sector size and inside its size; the caller has checked (a violation is a bug).
 *
 * Overlapping calls in flight take effect in some order per sector; a sector is never a mixture.
 */
import type { Done } from '../map/blocks.ts';

/** What is kept of a virtual disk in the Directory (an entry of the VDir). */
export interface DiskRecord {
  /** 128 random bits made at creation, 32 hex digits; never reused, never derived. */
  readonly id: string;
  /** The address space on the servers. Never reused. */
  readonly ref: number;
  /** Unique among disks that are not removed: [a-z0-9] then [a-z0-9.-], at most 63. */
  readonly name: string;
  /** Bytes; a multiple of 4096. */
  readonly size: number;
  /** 512 or 4096. */
  readonly sectorBytes: number;
  /** 4096. */
  readonly physicalSectorBytes: number;
  /** Thick: room for every block is promised. */
  readonly reserved: boolean;
  /** Milliseconds since 1970 UTC. */
  readonly created: number;
  /** When it was removed (it can be restored until purged), or null. */
  readonly removed: number | null;
  /** Absent: blocks lie as they were written. Else 128 hex digits under which they are sealed (sealed-blocks.ts);
   *  made at creation, replaced by `erase`. */
  readonly cipherKey?: string;
  /** Opaque to storage/; the appliance keeps the target's name and the access list here. */
  readonly attributes: Readonly<Record<string, string>>;
}

export interface VolumeListener {
  /** `size`: the capacity changed. `removed`: the disk is going; no call may follow. */
  changed(change: 'size' | 'removed'): void;
}

export interface Allocation {
  readonly mapped: boolean;
  /** Bytes for which that holds. */
  readonly length: number;
}

export interface Volume {
  readonly record: DiskRecord;

  /** Copy to `into[at…]` if that needs no waiting; else false and nothing was promised. */
  readNow(offset: number, length: number, into: Uint8Array, at: number): boolean;
  read(offset: number, length: number, into: Uint8Array, at: number, done: Done): void;
  /** `data` is copied before the call returns. Completes when durable. NO_SPACE. */
  write(offset: number, data: Uint8Array, done: Done): void;
  /** What was completed before is durable at completion. */
  flush(done: Done): void;
  /** Whole blocks in the range are given back; the rest of the range is zeroed. Reads as zeros. */
  unmap(offset: number, length: number, done: Done): void;
  /** Reads as zeros afterwards. With `mayUnmap` false, room for the range stays allocated. */
  writeZeroes(offset: number, length: number, mayUnmap: boolean, done: Done): void;
  /** MISCOMPARE with the first differing byte's offset in `error.offset`. Atomic. */
  compareAndWrite(offset: number, compare: Uint8Array, write: Uint8Array, done: Done): void;
  /**
   * Whether the block at `offset` is mapped and for how many bytes (at most `length`) that holds; null: that
   * has to be looked up first, by `locate`.
   */
  allocation(offset: number, length: number): Allocation | null;
  /** `allocation` at `offset` answers once this is done. MEDIUM_ERROR. */
  locate(offset: number, length: number, done: Done): void;
  listen(listener: VolumeListener): () => void;
}
