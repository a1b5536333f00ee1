/** One segment read back from disk, whole, for recovery and for the cleaner. */
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import { readOrZeros } from '../disk/read.ts';
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
    await readOrZeros(disk, segment * limits.segmentBytes, this.bytes, limits.blockBytes);
  }
}
