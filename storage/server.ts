/**
 * A storage server composed from its ports: the public face of storage/.
 *
 * One process owns a store for its life. Opening brings label, Directory, blocks and catalog into
 * agreement before the first call is served; closing ends in the reverse order. After a failed write
 * or sync of the disk nothing more is acknowledged; `failed` says why, reads go on.
 */
import { type Clock, realClock } from './base/clock.ts';
import { StorageError } from './base/errors.ts';
import { type Log, silentLog } from './base/log.ts';
import { type Random, realRandom } from './base/random.ts';
import type { Directory } from './cluster/directory.ts';
import { type EmbeddedDirectory, openEmbedded } from './cluster/embedded.ts';
import type { Disk } from './disk/disk.ts';
import { isBlank, layOut, readLabel, writeLabel } from './disk/label.ts';
import { ObservedDisk } from './disk/observed.ts';
import type { Disks } from './disk/open.ts';
import { Slice } from './disk/slice.ts';
import { Failure } from './failure.ts';
import type { ScrubState } from './log/scrub.ts';
import { blockBytes } from './map/blocks.ts';
import { type BlocksOptions, openBlocks, type Store } from './map/open.ts';
import type { BlocksStats } from './map/stats.ts';
import { type AddOptions, Pool } from './pool.ts';
import { type Base, baseOf, fill } from './pool-base.ts';
import type { LayoutChoice } from './pool-disks.ts';
import type { PoolView } from './pool-view.ts';
import { keepScrubbing } from './scrub-state.ts';
import { Catalog } from './volume/catalog.ts';
import { type Diff, diff } from './volume/diff.ts';
import { Flattener } from './volume/flatten.ts';
import type { Imported } from './volume/import.ts';
import { OpenVolume } from './volume/open.ts';
import type { CatalogChange } from './volume/shelf.ts';
import { type SnapshotRecord, snapshotAsDisk } from './volume/snapshot.ts';
import type { Begin } from './volume/stream-format.ts';
import { exportFrom, type ImportTarget, importInto } from './volume/transfer.ts';
import type { DiskRecord, Volume } from './volume/volume.ts';
import type { WriteBackStats } from './volume/write-back.ts';
import { ImagesWriteBack } from './volume/write-back-images.ts';

export interface StorageOptions {
  /** Memory for reads; default 256 MiB. */
  readonly cacheBytes?: number | undefined;
  /** Memory for what disks with write-back have not written yet, together; default 256 MiB. */
  readonly writeBackBytes?: number | undefined;
  /** Every live block is verified once in this time; default 0: only when asked. */
  readonly scrubPeriodMs?: number | undefined;
  /** Other memory, and how often checkpoints come. */
  readonly tuning?: Omit<BlocksOptions, 'cacheBytes' | 'log'> | undefined;
  readonly log?: Log | undefined;
}

export interface StorageServerOptions extends StorageOptions {
  /** Directories (then `store.petal` in it), files, block devices: the disks of the store. */
  readonly paths: readonly string[];
  /** Paths that disks of the store had when it was open last; a disk of another store is let be. */
  readonly remembered?: readonly string[] | undefined;
  /** Of a new store on several disks, or one that is to take more. */
  readonly layout?: LayoutChoice | null | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  /** Bytes of each new disk; default the device, or the lesser of 20 GiB and half of the free space. */
  readonly size?: number | undefined;
  /** Take a file or device although something else is on it. */
  readonly wipe?: boolean | undefined;
  /** Where the note of who uses a block device lies; default /run/petal. */
  readonly stateDirectory?: string | undefined;
  readonly disks?: Disks | undefined;
}

export interface StoragePorts {
  readonly clock: Clock;
  readonly random: Random;
}

/** Sizes in bytes. */
export interface StorageStatus {
  readonly path: string;
  /** Of the store on its disk. */
  readonly size: number;
  /** What virtual disks can ever fill. */
  readonly capacity: number;
  readonly used: number;
  readonly reserved: number;
  readonly free: number;
  /** Held by removed disks that can still be restored; part of `used`. */
  readonly removed: number;
  readonly stats: BlocksStats;
  readonly writeBack: WriteBackStats;
}

export class StorageServer {
  /** Whether opening made the store. */
  readonly created: boolean;
  /** The store's id, 32 hex digits. */
  readonly id: string;
  readonly directory: Directory;
  readonly catalog: Catalog;
  readonly #base: Base;
  /** The store, and what stands before it. */
  readonly #store: Store;
  readonly #blocks: ImagesWriteBack;
  readonly #embedded: EmbeddedDirectory;
  readonly #volumes = new Map<string, OpenVolume>();
  readonly #failure: Failure;
  readonly flattener: Flattener;
  #pool: Pool | null = null;
  /** A disk that was handed over. */
  #own: Disk | null = null;
  #closing: Promise<void> | null = null;

  private constructor(parts: Parts) {
    this.created = parts.created;
    this.id = Buffer.from(parts.base.storeId).toString('hex');
    this.directory = parts.embedded;
    this.catalog = parts.catalog;
    this.#store = parts.store;
    this.#base = parts.base;
    this.#blocks = parts.blocks;
    this.#embedded = parts.embedded;
    this.#failure = parts.failure;
    for (const record of this.catalog.list()) this.#show(record);
    this.catalog.listen((change, record) => this.#follow(change, record));
    const { catalog, blocks, clock, log } = parts;
    const host = (id: string) => this.#open(id).raw;
    this.flattener = new Flattener({ catalog, blocks, clock, log, host });
  }

  /** IN_USE (names the holder), INVALID, NOT_FOUND, NO_SPACE, CORRUPT, TOO_NEW, MEDIUM_ERROR. */
  static async open(options: StorageServerOptions): Promise<StorageServer> {
    const { clock = realClock, random = realRandom, log = silentLog, layout = null } = options;
    const ports = { clock, random };
    const pool = await Pool.open({ ...options, ...ports, log, layout });
    try {
      if (pool.created) {
        await fill(pool, pool.storeId, random);
        await pool.ready();
      }
      const base = baseOf(pool);
      const server = await StorageServer.#compose(base, ports, options, pool.created);
      server.#serve(pool);
      return server;
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  #serve(pool: Pool): void {
    this.#pool = pool;
    pool.onSize = (bytes) => this.#store.resize(bytes);
    pool.start((segment) => this.#store.needs(segment));
  }

  /** On a disk that the caller owns, a simulated one for instance; a blank one becomes a store. */
  static async openOn(
    disk: Disk,
    ports: StoragePorts,
    options: StorageOptions = {},
  ): Promise<StorageServer> {
    const log = options.log ?? silentLog;
    const label = await readLabel(disk, (message) => log.warn({ store: disk.name }, message));
    const made = label ?? layOut(ports.random.bytes(16), ports.clock.wall(), disk.size);
    const base = {
      storeId: made.storeId,
      log: new Slice(disk, made.log.offset, made.log.length),
      directory: new Slice(disk, made.directory.offset, made.directory.length),
      name: disk.name,
      bytes: made.size,
    };
    if (label === null) {
      if (!(await isBlank(disk))) {
        throw new StorageError('INVALID', `${disk.name} is no Petal store and not blank`);
      }
      await fill(base, base.storeId, ports.random);
      await writeLabel(disk, made);
    }
    const server = await StorageServer.#compose(base, ports, options, label === null);
    server.#own = disk;
    return server;
  }

  static async #compose(
    base: Base,
    ports: StoragePorts,
    options: StorageOptions,
    created: boolean,
  ): Promise<StorageServer> {
    const { log = silentLog, cacheBytes, writeBackBytes, tuning } = options;
    const { storeId } = base;
    const failure = new Failure(log);
    const observed = (disk: Disk): Disk => new ObservedDisk(disk, (error) => failure.set(error));
    const embedded = await openEmbedded(observed(base.directory), { storeId, log });
    const store = await openBlocks(
      { disk: observed(base.log), ...ports },
      { ...tuning, log, ...(cacheBytes === undefined ? {} : { cacheBytes }) },
    );
    const blocks = new ImagesWriteBack({ store, clock: ports.clock, log }, writeBackBytes);
    failure.listen((error) => blocks.fail(error));
    try {
      const catalog = await Catalog.open({ directory: embedded, blocks, ...ports, log });
      await keepScrubbing(store.scrubber, embedded, options.scrubPeriodMs ?? 0, log);
      const shared = { created, base, embedded, store, blocks, catalog, failure };
      return new StorageServer({ ...shared, clock: ports.clock, log });
    } catch (error) {
      await blocks.close();
      throw error;
    }
  }

  /** An open, living disk by id. NOT_FOUND. */
  volume(id: string): Volume {
    return this.#open(id);
  }

  /** A snapshot to read, as a disk that refuses every change. NOT_FOUND. */
  snapshotVolume(id: string): Volume {
    const record = this.catalog.snapshots.get(id);
    if (record === null) throw new StorageError('NOT_FOUND', `there is no snapshot ${id}`);
    return new OpenVolume(snapshotAsDisk(record), this.#blocks, this.catalog);
  }

  /**
   * The disk has the content and size of its snapshot again; what it has now is kept as the snapshot `keep`. Changes
   * that come meanwhile wait, and land on what was gone back to. NOT_FOUND, EXISTS, NO_SPACE, BUSY.
   */
  async rollback(
    snapshot: string,
    keep: string,
  ): Promise<{ readonly disk: DiskRecord; readonly kept: SnapshotRecord }> {
    const record = this.catalog.snapshots.get(snapshot);
    if (record === null) throw new StorageError('NOT_FOUND', `there is no snapshot ${snapshot}`);
    const release = await this.#open(record.disk).still();
    try {
      return await this.catalog.snapshots.rollback(snapshot, keep);
    } finally {
      release();
    }
  }

  /** A snapshot, or what differs from `base`, as a stream; neither is deleted before its end. NOT_FOUND, INVALID. */
  export(snapshot: string, base: string | null): AsyncGenerator<Uint8Array> {
    return exportFrom(this.catalog, this.#blocks, snapshot, base);
  }

  /** `into` says where a stream that begins so goes; what does not end well leaves nothing. */
  async import(
    source: AsyncIterable<Uint8Array>,
    into: (begin: Begin) => ImportTarget,
  ): Promise<Imported> {
    return await importInto(this.catalog, (id) => this.#open(id).still(), source, into);
  }

  #open(id: string): OpenVolume {
    const volume = this.#volumes.get(id);
    if (volume === undefined) throw new StorageError('NOT_FOUND', `there is no disk ${id}`);
    return volume;
  }

  volumes(): readonly Volume[] {
    return [...this.#volumes.values()];
  }

  /** Bytes of data that a disk, living or removed, or a snapshot holds, shared or not. */
  used(record: { readonly ref: number }): number {
    return this.#blocks.usage(record.ref).mapped * blockBytes;
  }

  /** Bytes that only these disks and snapshots hold together; a walk over their maps. */
  async exclusive(records: readonly { readonly ref: number }[]): Promise<number> {
    const refs = records.map(({ ref }) => ref);
    return (await this.#blocks.exclusive(refs)) * blockBytes;
  }

  /** Where the contents of two disks or snapshots differ, from byte `from` on, at most `most` ranges. */
  async diff(a: Sized, b: Sized, from: number, most: number): Promise<Diff> {
    const size = Math.max(a.size, b.size);
    return await diff(this.#blocks, a.ref, b.ref, { from, size, most });
  }

  /** Bytes that virtual disks can ever fill, and those that are still free. */
  get space(): { readonly capacity: number; readonly free: number } {
    return this.#blocks.total();
  }

  status(): StorageStatus {
    const { capacity, used, reserved, free } = this.#blocks.total();
    let removed = 0;
    for (const record of this.catalog.removed()) removed += this.used(record);
    const stats = this.#store.stats();
    const writeBack = this.#blocks.stats();
    const { name: path, bytes: size } = this.#base;
    return { path, size, capacity, used, reserved, free, removed, stats, writeBack };
  }

  /**
   * Whether writes to a disk may complete in memory (write-back.ts). Off: all that was written is
   * durable when it resolves. Kept nowhere: the caller asks for it again at the next start.
   */
  async setWriteBack(id: string, on: boolean): Promise<void> {
    await this.#blocks.setWriteBack(this.volume(id).record.ref, on);
  }

  /** The power is failing: everything is written through. Resolves when all is durable. */
  async suspendWriteBack(): Promise<void> {
    await this.#blocks.suspend();
  }

  /** Acknowledged and not written yet. */
  get dirtyBytes(): number {
    return this.#blocks.stats().dirty * 4096;
  }

  resumeWriteBack(): void {
    this.#blocks.resume();
  }

  /** The disks of the store. Null: it lies on a disk that its owner looks after. */
  disks(): PoolView | null {
    const view = this.#pool?.view() ?? null;
    return view !== null && this.failed !== null ? { ...view, state: 'failed', spare: 0 } : view;
  }

  /** How far verifying every live block is, and what it found. */
  get scrub(): ScrubState {
    return this.#store.scrubber.state;
  }

  /** Verify everything from now on, or what is left of a pass under way. */
  startScrub(): void {
    if (this.failed !== null) throw this.failed;
    this.#store.scrubber.start();
  }

  /** Change the disks of the store. INVALID, IN_USE, NOT_FOUND, NO_SPACE, DISK_FAILED. */
  async addDisk(path: string, options?: AddOptions): Promise<void> {
    await this.#changeable().add(path, options);
  }

  async drainDisk(which: string): Promise<void> {
    await this.#changeable().drain(which);
  }

  async removeDisk(which: string): Promise<void> {
    await this.#changeable().remove(which);
  }

  /** Share of the time that moving extents takes while clients work, 0…1. */
  setMoveShare(share: number): void {
    this.#changeable().moveShare = share;
  }

  /** Hear now and whenever they change under which paths the disks of the store are. */
  onPaths(heard: (paths: readonly string[]) => void): void {
    const pool = this.#changeable();
    pool.onPaths = heard;
    heard(pool.paths);
  }

  #changeable(): Pool {
    if (this.#pool === null) throw new StorageError('INVALID', "the disk is its owner's");
    if (this.failed !== null) throw this.failed;
    return this.#pool;
  }

  /** Why nothing is written any more, or null. */
  get failed(): StorageError | null {
    return this.#failure.error;
  }

  /** Hear of the failure, at once if it has happened; returns the way to stop. */
  onFailed(heard: (error: StorageError) => void): () => void {
    return this.#failure.listen(heard);
  }

  /**
   * Ends in order: no new changes, writes in flight complete, a checkpoint, the lock. Rejects when
   * the store could not be closed cleanly; it is let go nevertheless.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.flattener.close();
      await this.#store.scrubber.stop();
      await this.catalog.close();
      await this.#embedded.close();
      await this.#blocks.close();
    } finally {
      await this.#pool?.close();
      await this.#own?.close();
    }
  }

  #follow(change: CatalogChange, record: DiskRecord): void {
    switch (change) {
      case 'created':
      case 'restored':
        this.#show(record);
        break;
      case 'updated':
      case 'resized':
        this.#volumes.get(record.id)?.update(record);
        break;
      case 'reverted':
        this.#volumes.get(record.id)?.update(record, true);
        break;
      case 'removed':
        this.#volumes.get(record.id)?.end();
        this.#volumes.delete(record.id);
        // It can be restored, so what is in memory belongs to it; should it fail, the store has failed.
        this.#blocks.setWriteBack(record.ref, false).catch(() => {});
        break;
      case 'purged':
        break; // Its volume went when it was removed.
    }
  }

  #show(record: DiskRecord): void {
    this.#volumes.set(record.id, new OpenVolume(record, this.#blocks, this.catalog));
  }
}

interface Sized {
  readonly ref: number;
  readonly size: number;
}

interface Parts {
  readonly created: boolean;
  readonly base: Base;
  readonly embedded: EmbeddedDirectory;
  readonly store: Store;
  readonly blocks: ImagesWriteBack;
  readonly catalog: Catalog;
  readonly failure: Failure;
  readonly clock: Clock;
  readonly log: Log;
}
