/**
 * Gives back what removed disks hold: when their time is up, and earlier, oldest first, when the
 * space is needed. Its caller serialises all of it with the other changes of the catalog.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { blockBytes } from '../map/blocks.ts';
import type { ImageBlocks } from '../map/images.ts';
import { dropSpace, encodeIntent, keys } from './intents.ts';
import { limits } from './limits.ts';
import type { Held, Shelf } from './shelf.ts';
import type { DiskRecord } from './volume.ts';

export interface PurgerPorts {
  readonly blocks: ImageBlocks;
  readonly clock: Clock;
  readonly log: Log;
}

/** Until when (wall clock, ms) a removed disk is kept unless its space is needed. */
export const keptUntil = (record: DiskRecord): number | null =>
  record.removed === null ? null : record.removed + limits.keepRemovedMs;

export class Purger {
  readonly #ports: PurgerPorts;
  readonly #shelf: Shelf;
  /** Monotonic time of removals in this life: a wall clock set forward must not purge early. */
  readonly #removedAt = new Map<string, number>();
  #purges = 0;

  constructor(ports: PurgerPorts, shelf: Shelf) {
    this.#ports = ports;
    this.#shelf = shelf;
  }

  /** Rises with every purge. */
  get purges(): number {
    return this.#purges;
  }

  noteRemoved(id: string): void {
    this.#removedAt.set(id, this.#ports.clock.now());
  }

  noteRestored(id: string): void {
    this.#removedAt.delete(id);
  }

  async purge({ record, modified }: Held): Promise<void> {
    const { blocks, log } = this.#ports;
    const { id, ref } = record;
    const revision = await this.#shelf.commit(
      [
        { key: keys.disk(id), modified },
        { key: keys.intent(id), modified: 0n },
      ],
      [
        { key: keys.disk(id), value: null },
        { key: keys.intent(id), value: encodeIntent({ op: 'purge', ref }) },
      ],
    );
    this.#shelf.forget(id);
    this.#removedAt.delete(id);
    await dropSpace(blocks, ref);
    await this.#shelf.commit(
      [{ key: keys.intent(id), modified: revision }],
      [{ key: keys.intent(id), value: null }],
    );
    this.#purges++;
    log.info({ disk: record.name, id }, 'purged a removed disk');
    this.#shelf.tell('purged', record);
  }

  /** Purge removed disks, oldest first, until `bytes` are free. False: that cannot be had. */
  async reclaim(bytes: number): Promise<boolean> {
    const { blocks, log } = this.#ports;
    const removed = this.#shelf.removed();
    // Purging what would not be enough anyway helps nobody.
    if (removed.length === 0) return false;
    if (blocks.total().free + (await this.#heldBytes(removed)) < bytes) return false;
    for (const [index, record] of removed.entries()) {
      if (index > 0 && blocks.total().free >= bytes) break;
      log.warn({ disk: record.name, id: record.id }, 'space is short: a removed disk gives way');
      await this.purge(this.#shelf.heldRemoved(record.id));
    }
    return true;
  }

  /** What purging all of them gives back, and not what clones go on holding. */
  async #heldBytes(removed: readonly DiskRecord[]): Promise<number> {
    const { blocks } = this.#ports;
    const refs = removed.map(({ ref }) => ref);
    let mapped = 0;
    let promised = 0;
    for (const ref of refs) {
      const usage = blocks.usage(ref);
      mapped += usage.mapped;
      promised += Math.max(0, usage.reserved - usage.mapped);
    }
    if (this.#shelf.hasClones) mapped = await blocks.exclusive(refs);
    return (mapped + promised) * blockBytes;
  }

  /** Run `work`; on NO_SPACE make room once and run it again. */
  async withSpace(bytes: number, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'NO_SPACE') throw error;
      if (!(await this.reclaim(bytes))) throw error;
      await work();
    }
  }

  /** Purge what is due, and the oldest removed disks when space is low. */
  async sweep(): Promise<void> {
    const { blocks, clock } = this.#ports;
    const wall = clock.wall();
    for (const record of this.#shelf.removed()) {
      const since = this.#removedAt.get(record.id);
      const kept = since === undefined || clock.now() - since >= limits.keepRemovedMs;
      if (kept && wall >= keptUntil(record)!) {
        await this.purge(this.#shelf.heldRemoved(record.id));
      }
    }
    const total = blocks.total();
    const low = total.capacity * limits.lowSpaceShare;
    if (total.free < low) await this.reclaim(low);
  }
}
