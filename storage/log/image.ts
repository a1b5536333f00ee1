/** One segment read back from disk, whole, for recovery and for the cleaner. */
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import { wordsOf } from './frame.ts';
import { slotOf } from './segments.ts';

export class SegmentImage {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(limits.segmentBytes);
  readonly words: Uint32Array = wordsOf(this.bytes);

  /** The content of the block at `address`, which lies in this segment. */
  block(address: number): Buffer {
    const from = slotOf(address) * limits.blockBytes;
    return this.bytes.subarray(from, from + limits.blockBytes);
  }

  /**
   * Read `segment`. What the medium cannot give reads as zeros, which match no checksum of ours.
   * Rejects when the disk as a whole fails.
   */
  async read(disk: Disk, segment: number): Promise<void> {
    const offset = segment * limits.segmentBytes;
    if (await this.#piece(disk, offset, this.bytes)) return;
    for (let at = 0; at < limits.segmentBytes; at += limits.blockBytes) {
      const block = this.bytes.subarray(at, at + limits.blockBytes);
      if (!(await this.#piece(disk, offset + at, block))) block.fill(0);
    }
  }

  async #piece(disk: Disk, offset: number, into: Uint8Array): Promise<boolean> {
    try {
      await disk.read(offset, into);
      return true;
    } catch (error) {
      if (error instanceof StorageError && error.code === 'MEDIUM_ERROR') return false;
      throw error;
    }
  }
}
