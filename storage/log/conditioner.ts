/**
 * Pays for the first write to a place before the log comes there. In a file whose blocks are only
 * promised, the first synced write to each makes the file system change its own metadata as well:
 * two to four times the time on ext4. Zeros written ahead, many segments with one sync, cost little.
 * The pace is bounded: bulk writes, whose groups are large, gain less than the disk loses by writing
 * everything twice.
 *
 * Only segments that are free and were never written are touched; they are nobody else's meanwhile.
 */
import type { Clock } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import type { Segments } from './segments.ts';

const zeroes = Buffer.alloc(limits.segmentBytes);

export class Conditioner {
  readonly #disk: Disk;
  readonly #segments: Segments;
  readonly #clock: Clock;
  #running: Promise<void> | null = null;
  #cancelRest: (() => void) | null = null;
  #stopped = false;

  constructor(disk: Disk, segments: Segments, clock: Clock) {
    this.#disk = disk;
    this.#segments = segments;
    this.#clock = clock;
  }

  /** Look whether something is due; cheap when nothing is. */
  wake(): void {
    if (this.#running !== null || this.#cancelRest !== null || !this.#due()) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
    });
  }

  #rest(bytes: number): void {
    if (this.#stopped) return;
    this.#cancelRest = this.#clock.after((bytes / limits.conditionBytesPerSecond) * 1000, () => {
      this.#cancelRest = null;
      this.wake();
    });
  }

  /** Resolves when nothing of it is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRest?.();
    await this.#running;
  }

  #due(): boolean {
    if (this.#stopped || !this.#disk.allocatesOnWrite) return false;
    return this.#segments.ready < limits.conditionedSegments && this.#batch() > 0;
  }

  /** A small store must not run short of free segments for this. */
  #batch(): number {
    return Math.min(limits.conditionBatch, Math.floor(this.#segments.raw / limits.conditionShare));
  }

  async #run(): Promise<void> {
    const taken = this.#segments.takeRaw(this.#batch());
    const offset = taken[0]! * limits.segmentBytes;
    const content = taken.map(() => zeroes);
    try {
      await this.#disk.write(offset, content, false);
      await this.#disk.sync();
    } catch {
      // The disk has failed for good, and the log's next write says so to everybody.
      this.#stopped = true;
      return;
    }
    this.#segments.conditioned(taken);
    this.#rest(taken.length * limits.segmentBytes);
  }
}
