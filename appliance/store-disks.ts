/** The disks of the store, as the API shows and changes them. */
import { isAbsolute } from 'node:path';
import type { PoolView } from '#storage/pool-view.ts';
import type { StorageServer } from '#storage/server.ts';
import { PetalError } from './errors.ts';

export interface AddDiskOptions {
  readonly path: string;
  readonly size?: number | undefined;
  readonly wipe?: boolean | undefined;
  /** Path or id of the disk that it takes the place of. */
  readonly replaces?: string | undefined;
}

/** Times are ISO 8601, UTC. */
export interface ScrubView {
  readonly running: boolean;
  /** Share of the store that this pass has looked at, 0…1. */
  readonly share: number;
  readonly begun: string | null;
  /** When the last whole pass ended. */
  readonly ended: string | null;
  readonly segments: number;
  readonly blocks: number;
  readonly repaired: number;
  /** Blocks of which no disk has a good copy; some may belong to data that was overwritten since. */
  readonly bad: number;
}

export interface StoreView extends PoolView {
  readonly scrub: ScrubView;
}

export class StoreDisks {
  readonly #store: StorageServer;

  constructor(store: StorageServer) {
    this.#store = store;
  }

  view(): StoreView {
    const view = this.#store.disks();
    if (view === null) throw new PetalError('NOT_FOUND', 'the store has no disks of its own');
    return { ...view, scrub: this.scrub() };
  }

  scrub(): ScrubView {
    const { next, begun, ended, ...counts } = this.#store.scrub;
    const time = (at: number | null): string | null =>
      at === null ? null : new Date(at).toISOString();
    const share =
      begun === null ? 1 : Math.min(1, (next - 1) / this.#store.status().stats.segments);
    return { running: begun !== null, share, begun: time(begun), ended: time(ended), ...counts };
  }

  startScrub(): ScrubView {
    this.#store.startScrub();
    return this.scrub();
  }

  get isDegraded(): boolean {
    return this.#store.disks()?.state === 'degraded';
  }

  async add({ path, ...options }: AddDiskOptions): Promise<StoreView> {
    if (!isAbsolute(path)) throw new PetalError('INVALID', `'${path}' is no absolute path`);
    await this.#store.addDisk(path, options);
    return this.view();
  }

  async drain(disk: string): Promise<StoreView> {
    await this.#store.drainDisk(disk);
    return this.view();
  }

  async remove(disk: string): Promise<StoreView> {
    await this.#store.removeDisk(disk);
    return this.view();
  }
}
