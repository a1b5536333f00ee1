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

export class StoreDisks {
  readonly #store: StorageServer;

  constructor(store: StorageServer) {
    this.#store = store;
  }

  view(): PoolView {
    const view = this.#store.disks();
    if (view === null) throw new PetalError('NOT_FOUND', 'the store has no disks of its own');
    return view;
  }

  get isDegraded(): boolean {
    return this.#store.disks()?.state === 'degraded';
  }

  async add({ path, ...options }: AddDiskOptions): Promise<PoolView> {
    if (!isAbsolute(path)) throw new PetalError('INVALID', `'${path}' is no absolute path`);
    await this.#store.addDisk(path, options);
    return this.view();
  }

  async drain(disk: string): Promise<PoolView> {
    await this.#store.drainDisk(disk);
    return this.view();
  }

  async remove(disk: string): Promise<PoolView> {
    await this.#store.removeDisk(disk);
    return this.view();
  }
}
