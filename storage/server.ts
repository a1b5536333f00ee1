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
import { type EmbeddedDirectory, formatEmbedded, openEmbedded } from './cluster/embedded.ts';
import type { Disk } from './disk/disk.ts';
import { isBlank, type Label, layOut, readLabel, writeLabel } from './disk/label.ts';
import { ObservedDisk } from './disk/observed.ts';
import { openStoreDisk } from './disk/open.ts';
import { Slice } from './disk/slice.ts';
import { blockBytes } from './map/blocks.ts';
import { formatBlocks, openBlocks, type Store } from './map/open.ts';
import type { BlocksStats } from './map/stats.ts';
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
  readonly log?: Log | undefined;
}

export interface StorageServerOptions extends StorageOptions {
  /** A directory (then `store.petal` in it), a file, or a block device. */
  readonly path: string;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  /** Bytes of a new store; default the device, or the lesser of 20 GiB and half of the free space. */
  readonly size?: number | undefined;
  /** Take a file or device although something else is on it. */
  readonly wipe?: boolean | undefined;
  /** Where the note of who uses a block device lies; default /run/petal. */
  readonly stateDirectory?: string | undefined;
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
  readonly #label: Label;
  readonly #disk: Disk;
  /** The store, and what stands before it. */
  readonly #store: Store;
  readonly #blocks: ImagesWriteBack;
  readonly #embedded: EmbeddedDirectory;
  readonly #volumes = new Map<string, OpenVolume>();
  readonly #failure: Failure;
  readonly flattener: Flattener;
  #release: () => Promise<void>;
  #closing: Promise<void> | null = null;

  private constructor(parts: Parts) {
    this.created = parts.created;
    this.id = Buffer.from(parts.label.storeId).toString('hex');
    this.directory = parts.embedded;
    this.catalog = parts.catalog;
    this.#label = parts.label;
    this.#disk = parts.disk;
    this.#store = parts.store;
    this.#blocks = parts.blocks;
    this.#embedded = parts.embedded;
    this.#failure = parts.failure;
    this.#release = () => parts.disk.close();
    for (const record of this.catalog.list()) this.#show(record);
    this.catalog.listen((change, record) => this.#follow(change, record));
    const { catalog, blocks, clock, log } = parts;
    const host = (id: string) => this.#open(id).raw;
    this.flattener = new Flattener({ catalog, blocks, clock, log, host });
  }

  /** IN_USE (names the holder), INVALID, NOT_FOUND, NO_SPACE, CORRUPT, TOO_NEW, MEDIUM_ERROR. */
  static async open(options: StorageServerOptions): Promise<StorageServer> {
    const { clock = realClock, random = realRandom, log = silentLog } = options;
    const store = await openStoreDisk({ ...options, clock, log });
    try {
      const ports = { clock, random };
      if (store.label === null) {
        await format(store.disk, ports, store.size);
        store.ready();
      }
      const server = await StorageServer.#compose(store.disk, ports, options, store.label === null);
      server.#release = () => store.close();
      return server;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** On a disk that the caller owns, a simulated one for instance; a blank one becomes a store. */
  static async openOn(
    disk: Disk,
    ports: StoragePorts,
    options: StorageOptions = {},
  ): Promise<StorageServer> {
    const log = options.log ?? silentLog;
    const label = await readLabel(disk, (message) => log.warn({ store: disk.name }, message));
    if (label === null) {
      if (!(await isBlank(disk))) {
        throw new StorageError('INVALID', `${disk.name} is no Petal store and not blank`);
      }
      await format(disk, ports, disk.size);
    }
    return await StorageServer.#compose(disk, ports, options, label === null);
  }

  static async #compose(
    raw: Disk,
    ports: StoragePorts,
    options: StorageOptions,
    created: boolean,
  ): Promise<StorageServer> {
    const { log = silentLog, cacheBytes, writeBackBytes } = options;
    const failure = new Failure(log);
    const disk = new ObservedDisk(raw, (error) => failure.set(error));
    const label = await readLabel(disk, (message) => log.warn({ store: disk.name }, message));
    if (label === null) throw new StorageError('CORRUPT', `${disk.name} has lost its label`);
    const directoryArea = areaOf(disk, label.directory);
    const embedded = await openEmbedded(directoryArea, { storeId: label.storeId, log });
    const store = await openBlocks(
      { disk: areaOf(disk, label.log), ...ports },
      { log, ...(cacheBytes === undefined ? {} : { cacheBytes }) },
    );
    const blocks = new ImagesWriteBack({ store, clock: ports.clock, log }, writeBackBytes);
    failure.listen((error) => blocks.fail(error));
    try {
      const catalog = await Catalog.open({ directory: embedded, blocks, ...ports, log });
      const shared = { created, label, disk, embedded, store, blocks, catalog, failure };
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
    const { size } = this.#label;
    const stats = this.#store.stats();
    const writeBack = this.#blocks.stats();
    const { name: path } = this.#disk;
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
      await this.catalog.close();
      await this.#embedded.close();
      await this.#blocks.close();
    } finally {
      await this.#release();
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
  readonly label: Label;
  readonly disk: Disk;
  readonly embedded: EmbeddedDirectory;
  readonly store: Store;
  readonly blocks: ImagesWriteBack;
  readonly catalog: Catalog;
  readonly failure: Failure;
  readonly clock: Clock;
  readonly log: Log;
}

const areaOf = (disk: Disk, area: { offset: number; length: number }): Disk =>
  new Slice(disk, area.offset, area.length);

/** Everything a new store holds; the label last, so that a label means that all of it is there. */
async function format(disk: Disk, ports: StoragePorts, size: number): Promise<void> {
  const { clock, random } = ports;
  const label = layOut(random.bytes(16), clock.wall(), size);
  await formatEmbedded(areaOf(disk, label.directory), label.storeId);
  await formatBlocks(areaOf(disk, label.log), { storeId: label.storeId, random });
  await disk.sync();
  await writeLabel(disk, label);
}

/** The first failure of the disk, and who wants to hear of it. */
class Failure {
  readonly #log: Log;
  readonly #listeners = new Set<(error: StorageError) => void>();
  error: StorageError | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  set(error: StorageError): void {
    this.error = error;
    this.#log.error({ err: error }, 'the disk has failed; nothing more is written to it');
    for (const heard of [...this.#listeners]) heard(error);
  }

  listen(heard: (error: StorageError) => void): () => void {
    this.#listeners.add(heard);
    if (this.error !== null) heard(this.error);
    return () => this.#listeners.delete(heard);
  }
}
