/**
 * The keeper runs what a store does on its own, one thing at a time: checkpoints when enough log
 * was written or when dead segments wait for one, and the cleaner when free segments are short. It
 * sleeps when nothing is due.
 */
import { type Clock, turn } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import type { Segments } from '../log/segments.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Checkpointer } from './checkpoint.ts';
import type { Cleaner } from './cleaner.ts';
import type { Room } from './room.ts';

export interface KeeperPorts {
  readonly clock: Clock;
  readonly writer: LogWriter;
  readonly segments: Segments;
  readonly checkpointer: Checkpointer;
  readonly cleaner: Cleaner;
  readonly room: Room;
  /** Log between two checkpoints. */
  readonly checkpointBytes: number;
  /** Whether so many map pages have changed that they are to be written. */
  pagesDue(): boolean;
  /** Whether an operation waits for room. */
  starving(): boolean;
  /** Room may have come. */
  resume(): void;
  /** No room can be made for what waits. */
  giveUp(): void;
}

/** Rounds without any gain after which what waits is refused rather than left to hang. */
const fruitlessMax = 8;

/** Segments chosen at once. */
const batch = 16;

export class Keeper {
  readonly #ports: KeeperPorts;
  #awake = false;
  #stopping = false;
  #ended: Promise<void> = Promise.resolve();
  /** Log blocks when nothing could be gained: not tried again before more was written. */
  #idleAt = -1;
  #fruitless = 0;

  constructor(ports: KeeperPorts) {
    this.#ports = ports;
  }

  /** Look whether something is due; cheap when nothing is. */
  wake(): void {
    if (this.#awake || this.#stopping || !this.#due()) return;
    this.#awake = true;
    this.#ended = this.#run();
  }

  /**
   * Clean up to `most` segments, those most worth it, although room is not short; returns how many were. What
   * they held is free with the checkpoint that this ends with.
   */
  async clean(most: number): Promise<number> {
    while (this.#awake) await this.#ended;
    this.#awake = true;
    const cleaned = this.#clean(most).finally(() => {
      this.#awake = false;
    });
    this.#ended = cleaned.then(
      () => {},
      () => {},
    );
    return await cleaned;
  }

  async #clean(most: number): Promise<number> {
    const { cleaner, pagesDue } = this.#ports;
    const before = cleaner.cleaned;
    for (let stuck = false; !stuck && !this.#stopping && cleaner.cleaned - before < most; ) {
      const victims = await cleaner.next(most - (cleaner.cleaned - before), true);
      stuck = victims.length === 0;
      for (const segment of victims) {
        if (stuck) break;
        stuck = !(await cleaner.clean(segment));
        if (pagesDue()) await this.#checkpoint();
      }
    }
    await this.#checkpoint();
    return cleaner.cleaned - before;
  }

  /** Ends after what is under way, and writes a last checkpoint. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#ended;
    const { writer, checkpointer } = this.#ports;
    if (writer.failure !== null) throw writer.failure;
    await checkpointer.run();
  }

  #due(): boolean {
    const { writer, checkpointer, checkpointBytes, pagesDue } = this.#ports;
    if (writer.failure !== null) return false;
    return checkpointer.behindBytes >= checkpointBytes || pagesDue() || this.#pressed();
  }

  #pressed(): boolean {
    const { writer, room, starving } = this.#ports;
    return starving() || (room.short && writer.blocks !== this.#idleAt);
  }

  async #run(): Promise<void> {
    const { clock, writer, checkpointer, checkpointBytes, pagesDue, resume } = this.#ports;
    try {
      while (!this.#stopping && this.#due()) {
        if (checkpointer.behindBytes >= checkpointBytes || pagesDue()) await this.#checkpoint();
        else await this.#makeRoom();
        resume();
        await turn(clock);
      }
    } catch (error) {
      // The log has failed and everybody who waits was told; anything else is a bug.
      if (error !== writer.failure) throw error;
    } finally {
      this.#awake = false;
    }
  }

  async #checkpoint(): Promise<void> {
    const { checkpointer, cleaner } = this.#ports;
    await cleaner.tidy();
    await checkpointer.run();
  }

  /** One round: segments are cleaned, and a checkpoint makes them free. */
  async #makeRoom(): Promise<void> {
    const { writer, segments, cleaner, room, starving, giveUp, pagesDue } = this.#ports;
    const freeBefore = segments.free;
    const cleanedBefore = cleaner.cleaned;
    let stuck = false;
    while (!stuck && !this.#stopping && segments.coming < this.#wanted()) {
      const victims = await cleaner.next(batch, starving());
      stuck = victims.length === 0;
      for (const segment of victims) {
        if (segments.coming >= this.#wanted()) break;
        // What is moved changes pages of the map all over: they stay in memory until they are written.
        stuck = !(await cleaner.clean(segment)) || pagesDue();
        if (stuck) break;
      }
    }
    await this.#checkpoint();
    const gained = segments.free > freeBefore || cleaner.cleaned > cleanedBefore;
    this.#fruitless = gained || !starving() ? 0 : this.#fruitless + 1;
    if (!gained && room.missing > 0) this.#idleAt = writer.blocks;
    // The accounting sees to it that there is garbage; only damaged segments can make it wrong.
    if (this.#fruitless >= fruitlessMax) giveUp();
  }

  /**
   * Segments to gather before a checkpoint: what is missing, and more than the checkpoint costs.
   */
  #wanted(): number {
    const { checkpointer, room } = this.#ports;
    if (room.missing <= 0) return 0;
    const cost = Math.ceil((2 * checkpointer.debtBlocks) / limits.segmentContentBlocks);
    return Math.max(room.missing, cost, 2);
  }
}
