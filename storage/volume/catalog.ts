/**
 * The virtual disks of a store: made, named, resized, removed, restored and purged, each as a
 * Directory transaction, with an intent where the blocks must follow (see intents.ts).
 *
 * - A record and its address space exist together or not at all, whatever crashes.
 * - A name is unique among the living; a removed disk keeps its content, and its promise, until it
 *   is purged: 24 h later, or earlier, oldest first, when the space is needed.
 * - An address space and an id are never used twice.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { Serial } from '../base/serial.ts';
import type { Directory, Revision } from '../cluster/directory.ts';
import { blockBytes } from '../map/blocks.ts';
import type { ImageBlocks } from '../map/images.ts';
import { Importer } from './import.ts';
import { encodeIntent, flushed, type Intent, keys } from './intents.ts';
import { limits } from './limits.ts';
import { encodeName, type Loaded, load } from './load.ts';
import { Maker, type NewClone, type NewDisk, promisedBlocks } from './maker.ts';
import { keptUntil, Purger } from './purger.ts';
import { attributesFault, encodeRecord, nameFault, refuse, sizeFault } from './record.ts';
import { Refs } from './refs.ts';
import { type CatalogListener, type Held, Shelf } from './shelf.ts';
import { SnapshotShelf } from './snapshot-shelf.ts';
import { Snapshots } from './snapshots.ts';
import { trim } from './trim.ts';
import type { DiskRecord, Flattening } from './volume.ts';

export interface CatalogPorts {
  readonly directory: Directory;
  readonly blocks: ImageBlocks;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class Catalog {
  readonly #ports: CatalogPorts;
  readonly #shelf: Shelf;
  readonly #purger: Purger;
  readonly #serial = new Serial();
  readonly #maker: Maker;
  readonly #held: SnapshotShelf;
  readonly snapshots: Snapshots;
  readonly imports: Importer;
  #stopSweep: () => void = () => {};

  private constructor(ports: CatalogPorts, loaded: Loaded) {
    this.#ports = ports;
    this.#shelf = new Shelf(ports.directory, loaded.disks);
    this.#purger = new Purger(ports, this.#shelf);
    const refs = new Refs(loaded.nextRef);
    this.#maker = new Maker(ports, this.#shelf, this.#purger, refs);
    this.#held = new SnapshotShelf(loaded.snapshots);
    const parts = {
      ...{ ports, serial: this.#serial, shelf: this.#shelf, snapshots: this.#held },
      ...{ purger: this.#purger, refs, maker: this.#maker },
    };
    this.snapshots = new Snapshots(parts);
    this.imports = new Importer(parts, this);
  }

  /** Reads the records, finishes or undoes what a crash interrupted. CORRUPT, TOO_NEW. */
  static async open(ports: CatalogPorts): Promise<Catalog> {
    const catalog = new Catalog(ports, await load(ports));
    catalog.#sweepLater();
    return catalog;
  }

  /** Living disks, by name. */
  list(): readonly DiskRecord[] {
    return this.#shelf.list();
  }

  /** Removed disks that can still be restored, the oldest removal first. */
  removed(): readonly DiskRecord[] {
    return this.#shelf.removed();
  }

  /** By id, living or removed. */
  get(id: string): DiskRecord | null {
    return this.#shelf.get(id);
  }

  /** The living disk of that name. */
  find(name: string): DiskRecord | null {
    return this.#shelf.find(name);
  }

  /** Until when (wall clock, ms) a removed disk is kept unless its space is needed. */
  keptUntil(record: DiskRecord): number | null {
    return keptUntil(record);
  }

  /** Told of every change once it is durable. */
  listen(listener: CatalogListener): () => void {
    return this.#shelf.listen(listener);
  }

  /** INVALID, EXISTS, NO_SPACE (a thick disk). Removed disks give way when space is short. */
  async create(wanted: NewDisk): Promise<DiskRecord> {
    return await this.#serial.run(() => this.#maker.create(wanted));
  }

  /** A writable disk with the content of a snapshot; no data is written. NOT_FOUND, INVALID, EXISTS, NO_SPACE. */
  async clone(snapshot: string, wanted: NewClone): Promise<DiskRecord> {
    return await this.#serial.run(async () => {
      const { record } = this.#held.held(snapshot);
      const origin = `${this.#shelf.held(record.disk).record.name}@${record.name}`;
      return await this.#maker.clone(record, origin, wanted);
    });
  }

  /** NOT_FOUND, INVALID, EXISTS. */
  async rename(id: string, name: string): Promise<DiskRecord> {
    refuse(`disk "${name}"`, nameFault(name));
    return await this.#serial.run(async () => {
      const { record, modified } = this.#shelf.heldLiving(id);
      if (record.name === name) return record;
      this.#shelf.checkNameFree(name);
      const renamed = { ...record, name };
      const revision = await this.#shelf.commit(
        [
          { key: keys.disk(id), modified },
          { key: keys.name(name), modified: 0n },
        ],
        [
          { key: keys.disk(id), value: encodeRecord(renamed) },
          { key: keys.name(record.name), value: null },
          { key: keys.name(name), value: encodeName(id) },
        ],
      );
      return this.#shelf.put(renamed, revision, 'updated');
    });
  }

  /** Replace the attributes with what `change` makes of them. NOT_FOUND, INVALID. */
  async setAttributes(
    id: string,
    change: (old: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
  ): Promise<DiskRecord> {
    return await this.#serial.run(async () => {
      const { record, modified } = this.#shelf.held(id);
      const attributes = Object.freeze({ ...change(record.attributes) });
      refuse(`disk "${record.name}"`, attributesFault(attributes));
      const changed = { ...record, attributes };
      const revision = await this.#shelf.commit(
        [{ key: keys.disk(id), modified }],
        [{ key: keys.disk(id), value: encodeRecord(changed) }],
      );
      return this.#shelf.put(changed, revision, 'updated');
    });
  }

  /** How far flattening a clone is; null: it is given up; `done`: it has no origin any more. NOT_FOUND. */
  async setFlatten(id: string, state: Flattening | 'done' | null): Promise<DiskRecord> {
    return await this.#serial.run(async () => {
      const { record, modified } = this.#shelf.heldLiving(id);
      const { flatten: _, origin, ...rest } = record;
      const changed: DiskRecord = {
        ...rest,
        ...(state === 'done' || origin === undefined ? {} : { origin }),
        ...(state === 'done' || state === null ? {} : { flatten: state }),
      };
      const revision = await this.#shelf.commit(
        [{ key: keys.disk(id), modified }],
        [{ key: keys.disk(id), value: encodeRecord(changed) }],
      );
      return this.#shelf.put(changed, revision, 'updated');
    });
  }

  /**
   * Growing shows at once. Shrinking needs `force` and loses what lies past the new end, for good.
   * NOT_FOUND, INVALID, NO_SPACE (a thick disk), BUSY (an earlier shrink has not ended).
   */
  async resize(id: string, size: number, options: { force?: boolean } = {}): Promise<DiskRecord> {
    refuse('new size', sizeFault(size));
    return await this.#serial.run(async () => {
      const held = this.#shelf.heldLiving(id);
      const { record } = held;
      if (size === record.size) return record;
      if (size > record.size) return await this.#grow(held, size);
      if (options.force !== true) {
        throw new StorageError(
          'INVALID',
          `disk "${record.name}" has ${record.size} bytes; shrinking it loses what lies past ` +
            `${size} for good and must be forced`,
        );
      }
      return await this.#shrink(held, size);
    });
  }

  async #grow({ record, modified }: Held, size: number): Promise<DiskRecord> {
    const grown = { ...record, size };
    const more = promisedBlocks(grown) - promisedBlocks(record);
    if (more > 0) {
      await this.#purger.withSpace(more * blockBytes, () =>
        this.#ports.blocks.reserve(record.ref, promisedBlocks(grown)),
      );
    }
    // A crash here leaves a promise that is too large; load.ts sets it right.
    const revision = await this.#shelf.commit(
      [
        { key: keys.disk(record.id), modified },
        { key: keys.intent(record.id), modified: 0n },
      ],
      [{ key: keys.disk(record.id), value: encodeRecord(grown) }],
    );
    return this.#shelf.put(grown, revision, 'resized');
  }

  async #shrink({ record, modified }: Held, size: number): Promise<DiskRecord> {
    const shrunk = { ...record, size };
    const from = size / blockBytes;
    const gone = { from, to: record.size / blockBytes, reserved: promisedBlocks(shrunk) };
    return await this.#trimmed(record, modified, shrunk, gone, 'resized');
  }

  /** The record becomes `next`, then blocks `from`…`to`-1 are given back; after a crash load.ts goes on. */
  async #trimmed(
    record: DiskRecord,
    modified: Revision,
    next: DiskRecord,
    gone: { readonly from: number; readonly to: number; readonly reserved: number },
    change: 'updated' | 'resized',
  ): Promise<DiskRecord> {
    const { id, ref } = record;
    const intent: Intent = { op: 'trim', ref, ...gone };
    const revision = await this.#shelf.commit(
      [
        { key: keys.disk(id), modified },
        { key: keys.intent(id), modified: 0n },
      ],
      [
        { key: keys.disk(id), value: encodeRecord(next) },
        { key: keys.intent(id), value: encodeIntent(intent) },
      ],
    );
    // From here on the open volume refuses what lies past the end, so nothing lands behind the trim.
    this.#shelf.put(next, revision, change);
    await trim(this.#ports, ref, gone.from, gone.to);
    if (record.reserved) await this.#ports.blocks.reserve(ref, gone.reserved);
    await flushed(this.#ports.blocks, ref);
    await this.#shelf.commit(
      [{ key: keys.intent(id), modified: revision }],
      [{ key: keys.intent(id), value: null }],
    );
    return next;
  }

  /**
   * What the disk holds becomes irretrievable: its key is replaced, in both copies of the Directory, and
   * its blocks are given back. It reads as zeros when this resolves. The caller sees to it that no
   * call is in flight. NOT_FOUND, INVALID (not erasable), BUSY (an earlier change has not ended).
   */
  async erase(id: string): Promise<DiskRecord> {
    return await this.#serial.run(async () => {
      const { record, modified } = this.#shelf.heldLiving(id);
      if (record.cipherKey === undefined) {
        throw new StorageError('INVALID', `disk "${record.name}" was not made to be erased`);
      }
      const sharers = this.keySharers(record);
      if (sharers.length > 0) {
        const text = `its key is also that of ${sharers.join(', ')}: what they hold could still be read`;
        throw new StorageError('IN_USE', `disk "${record.name}" cannot be erased: ${text}`);
      }
      const erased = { ...record, cipherKey: this.#maker.newKey() };
      const to = record.size / blockBytes;
      const reserved = promisedBlocks(record);
      return await this.#trimmed(record, modified, erased, { from: 0, to, reserved }, 'updated');
    });
  }

  /** What beside this disk lies under its key: snapshots of it and clones, removed ones included. */
  keySharers({ id, cipherKey }: DiskRecord): string[] {
    if (cipherKey === undefined) return [];
    const others = [...this.#shelf.list(), ...this.#shelf.removed()].filter(
      (other) => other.cipherKey === cipherKey && other.id !== id,
    );
    const snapshots = this.#held.all().filter((one) => one.cipherKey === cipherKey);
    return [
      ...snapshots.map((one) => `snapshot "${one.name}"`),
      ...others.map((one) => `disk "${one.name}"${one.removed === null ? '' : ' (removed)'}`),
    ];
  }

  /** The name is free at once; the content is kept (see `keptUntil`). NOT_FOUND, IN_USE (it has snapshots). */
  async remove(id: string): Promise<DiskRecord> {
    return await this.#serial.run(async () => {
      const { record, modified } = this.#shelf.heldLiving(id);
      const names = this.#held.of(id).map(({ name }) => name);
      if (names.length > 0) {
        throw new StorageError(
          'IN_USE',
          `disk "${record.name}" has snapshots: ${names.join(', ')}`,
        );
      }
      const removed = { ...record, removed: this.#ports.clock.wall() };
      const revision = await this.#shelf.commit(
        [{ key: keys.disk(id), modified }],
        [
          { key: keys.disk(id), value: encodeRecord(removed) },
          { key: keys.name(record.name), value: null },
        ],
      );
      this.#purger.noteRemoved(id);
      return this.#shelf.put(removed, revision, 'removed');
    });
  }

  /** Restore a removed disk, under a new name if the old one is taken. NOT_FOUND, EXISTS. */
  async undelete(id: string, name?: string): Promise<DiskRecord> {
    if (name !== undefined) refuse(`disk "${name}"`, nameFault(name));
    return await this.#serial.run(async () => {
      const { record, modified } = this.#shelf.heldRemoved(id);
      const restored = { ...record, name: name ?? record.name, removed: null };
      this.#shelf.checkNameFree(restored.name);
      const revision = await this.#shelf.commit(
        [
          { key: keys.disk(id), modified },
          { key: keys.name(restored.name), modified: 0n },
        ],
        [
          { key: keys.disk(id), value: encodeRecord(restored) },
          { key: keys.name(restored.name), value: encodeName(id) },
        ],
      );
      this.#purger.noteRestored(id);
      return this.#shelf.put(restored, revision, 'restored');
    });
  }

  /** Give a removed disk's space back now; it cannot be restored any more. NOT_FOUND. */
  async purge(id: string): Promise<void> {
    await this.#serial.run(() => this.#purger.purge(this.#shelf.heldRemoved(id)));
  }

  /** Whether purging could help a writer that met NO_SPACE. */
  reclaimable(): boolean {
    return this.#shelf.removed().length > 0;
  }

  /** Rises with every purge: what a caller of `reclaim` saw when it met NO_SPACE. */
  get purges(): number {
    return this.#purger.purges;
  }

  /**
   * Make room for `bytes` by purging removed disks, oldest first. `seen` is `purges` at the time of
   * the NO_SPACE: who waited while others purged tries again before more is given up. True: try again.
   */
  async reclaim(bytes: number, seen: number): Promise<boolean> {
    return await this.#serial.run(async () => {
      if (this.purges !== seen && this.#ports.blocks.total().free >= bytes) return true;
      return await this.#purger.reclaim(bytes);
    });
  }

  /** Purge what is due, and the oldest removed disks when space is low. */
  async sweep(): Promise<void> {
    await this.#serial.run(() => this.#purger.sweep());
  }

  #sweepLater(): void {
    this.#stopSweep = this.#ports.clock.after(limits.sweepMs, () => {
      this.sweep().then(
        () => this.#shelf.closed || this.#sweepLater(),
        (err: unknown) => {
          this.#ports.log.error(
            { err },
            'removed disks cannot be purged; tried again at next start',
          );
        },
      );
    });
  }

  /** Ends when the change in hand has ended; later calls are refused. */
  async close(): Promise<void> {
    this.#shelf.closed = true;
    this.#stopSweep();
    await this.#serial.idle();
  }
}
