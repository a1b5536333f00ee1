/**
 * Walks through the trace of one or several disks and says what they may hold after a crash at each
 * point: what was durable, and of the writes that were not, any part.
 */
import type { Image, TraceEvent, TraceWrite } from './disk.ts';
import type { SimRandom } from './random.ts';

/** An event of one of several disks. */
export interface Tagged {
  readonly disk: number;
  readonly event: TraceEvent;
}

/** What a disk records into when several write one trace. */
export class TaggedTrace extends Array<TraceEvent> {
  // What Array makes of itself (slice, map) is no trace.
  static override get [Symbol.species]() {
    return Array;
  }

  #into: Tagged[] = [];
  #disk = 0;

  static tagging(disk: number, into: Tagged[]): TaggedTrace {
    const trace = new TaggedTrace();
    trace.#disk = disk;
    trace.#into = into;
    return trace;
  }

  override push(...events: TraceEvent[]): number {
    for (const event of events) this.#into.push({ disk: this.#disk, event });
    return 0;
  }
}

/**
 * What becomes of writes that are not synced: none is there; all are; of each write some blocks; each
 * write as a whole is there or not, later ones without earlier ones.
 */
export const reorderings = ['drop', 'keep', 'tear', 'some'] as const;
export type Reordering = (typeof reorderings)[number];

/** What a disk holds: an image that others look at as well, and what is different from it. */
export interface DiskState {
  readonly stable: Image;
  readonly changes: ReadonlyMap<number, Uint8Array>;
}

export const blankDisk: DiskState = { stable: [], changes: new Map() };

class OneReplay {
  readonly stable: Image;
  readonly pending = new Map<number, TraceWrite>();

  constructor(image: Image) {
    this.stable = image.slice();
  }

  step(event: TraceEvent): void {
    if (event.kind === 'write') this.pending.set(event.id, event);
    if (event.kind !== 'durable') return;
    for (const id of event.ids) {
      const write = this.pending.get(id);
      // Under way when the trace began: the image that it begins with has it.
      if (write === undefined) continue;
      this.pending.delete(id);
      write.data.forEach((block, index) => {
        this.stable[write.block + index] = block;
      });
    }
  }
}

export class Replay {
  readonly #disks: OneReplay[];

  constructor(images: readonly Image[]) {
    this.#disks = images.map((image) => new OneReplay(image));
  }

  /** Writes that are not synced. */
  get pending(): number {
    return this.#disks.reduce((sum, { pending }) => sum + pending.size, 0);
  }

  step({ disk, event }: Tagged): void {
    this.#disks[disk]!.step(event);
  }

  /** Nothing is copied: the states hold until the next step. */
  crash(how: Reordering, random: SimRandom): DiskState[] {
    const chosen = how === 'some' ? this.#subset(random) : null;
    return this.#disks.map(({ stable, pending }) => {
      const changes = new Map<number, Uint8Array>();
      if (how === 'drop') return { stable, changes };
      for (const write of pending.values()) {
        if (chosen !== null && !chosen.has(write)) continue;
        // Of a torn write each block is there or not; whole writes may be missing as well.
        const share = how === 'tear' ? random.below(5) / 4 : 1;
        write.data.forEach((block, index) => {
          if (share === 1 || random.chance(share)) changes.set(write.block + index, block);
        });
      }
      return { stable, changes };
    });
  }

  /** Neither none nor all of the pending writes, of which there are two at least. */
  #subset(random: SimRandom): Set<TraceWrite> {
    const all = this.#disks.flatMap(({ pending }) => [...pending.values()]);
    const chosen = new Set(all.filter(() => random.chance(0.5)));
    if (chosen.size === all.length) chosen.delete(all[random.below(all.length)]!);
    else if (chosen.size === 0) chosen.add(all[random.below(all.length)]!);
    return chosen;
  }
}
