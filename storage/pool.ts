/**
 * The disks of a store: found by their paths, made into a new store, changed while it is in use.
 *
 * One path and no layout is the simple store: the log lies on that disk as it is, and nothing stands
 * between. Several disks, or a layout, are an array (disk/array/). An existing store is what its
 * labels say, in whatever order and under whatever names its disks are given.
 */

import { StorageError } from './base/errors.ts';
import { Serial } from './base/serial.ts';
import { newestRevision } from './cluster/embedded.ts';
import type { ArrayDisk } from './disk/array/array.ts';
import { addDisk, planAdd, planDrain, planRemoval } from './disk/array/change.ts';
import type { Member } from './disk/array/member.ts';
import { Mover } from './disk/array/mover.ts';
import { entryOf, openArray } from './disk/array/open.ts';
import { DiskState } from './disk/array/table.ts';
import type { Disk } from './disk/disk.ts';
import { layOutMember, writeLabel } from './disk/label.ts';
import { limits } from './disk/limits.ts';
import { realDisks, type StoreDisk } from './disk/open.ts';
import { Slice } from './disk/slice.ts';
import { readSuperblock } from './log/superblock.ts';
import { type FoundDisks, findDisks, makeArray, type PoolOptions } from './pool-disks.ts';
import { type PoolView, viewOfArray, viewOfDisk } from './pool-view.ts';

export interface AddOptions {
  /** Bytes of a new file; default: as large as the smallest disk of the store. */
  readonly size?: number | undefined;
  readonly wipe?: boolean | undefined;
  /** Path or id of a disk that it takes the place of. */
  readonly replaces?: string | undefined;
}

export class Pool {
  /** Whether opening made the store: what is in it is still to be laid out. */
  readonly created: boolean;
  readonly storeId: Uint8Array;
  /** What the log lies on. */
  readonly log: Disk;
  readonly directory: Disk;
  readonly #options: PoolOptions;
  readonly #array: ArrayDisk | null;
  readonly #mover: Mover | null;
  readonly #stores: StoreDisk[];
  readonly #serial = new Serial();
  #unlook: () => void = () => {};
  #size = 0;
  /** The log's disk is to have, or has, so many bytes. May throw NO_SPACE when that is less. */
  onSize: (bytes: number) => void = () => {};
  /** The disks of the store are others now: their paths. */
  onPaths: (paths: readonly string[]) => void = () => {};

  private constructor(options: PoolOptions, found: FoundDisks, array: ArrayDisk | null) {
    const [first] = found.stores;
    const { disk, label } = first!;
    this.#options = options;
    this.#stores = found.stores;
    this.#array = array;
    this.created = found.created;
    this.storeId = label!.storeId;
    this.log = array ?? new Slice(disk, label!.log.offset, label!.log.length);
    this.directory =
      array?.directory ?? new Slice(disk, label!.directory.offset, label!.directory.length);
    this.#mover = array === null ? null : new Mover(array, options);
    if (array === null) return;
    this.#size = array.size;
    array.members.onChange(() => this.#resized());
    this.#mover!.left = (member) => this.#left(member);
  }

  /** IN_USE, INVALID, NOT_FOUND, NO_SPACE, CORRUPT, TOO_NEW. A new store has no content yet. */
  static async open(options: PoolOptions): Promise<Pool> {
    const found = await findDisks(options);
    try {
      if (found.simple) return new Pool(options, found, null);
      if (found.created) await makeArray(found, options);
      const disks = found.stores.map(({ disk, label }) => ({ disk, label: label! }));
      const name = disks.map(({ disk }) => disk.name).join(', ');
      const { array, refused } = await openArray(name, disks, options);
      for (const { disk } of refused) {
        const at = found.stores.findIndex((store) => store.disk === disk);
        for (const store of found.stores.splice(at, 1)) await store.close();
      }
      const { layout } = array.members.table;
      if (options.layout !== null && options.layout.layout !== layout) {
        throw new StorageError('INVALID', `the store on ${name} is ${layout}; that cannot change`);
      }
      const pool = new Pool(options, found, array);
      if (!found.created) await pool.#align(array);
      return pool;
    } catch (error) {
      for (const store of found.stores) await store.close();
      throw error;
    }
  }

  async #align(array: ArrayDisk): Promise<void> {
    const { storeId } = this;
    await array.directory.align((copy) => newestRevision(copy, storeId));
    await array.superblocks.align(async (copy) => {
      try {
        return (await readSuperblock(copy)).superblock.sequence;
      } catch {
        return -1; // None that could be read: any other copy is better.
      }
    });
  }

  /** What is in a new store is there: labels and names make it one. */
  async ready(): Promise<void> {
    for (const { disk, label } of this.#stores) await writeLabel(disk, label!);
    for (const store of this.#stores) store.ready();
  }

  /** The log is open: extents may move. `needed`: whether it needs what a segment holds. */
  start(needed: (segment: number) => boolean): void {
    this.onPaths(this.paths);
    if (this.#mover === null) return;
    this.#mover.needed = needed;
    this.#mover.wake();
    this.#look();
  }

  async close(): Promise<void> {
    this.#unlook();
    await this.#mover?.stop();
    await this.#serial.idle();
    await this.#array?.close();
    for (const store of this.#stores) await store.close();
  }

  get paths(): readonly string[] {
    return this.#stores.map((store) => store.disk.name);
  }

  get name(): string {
    return this.paths.join(', ');
  }

  /** Bytes of all disks together. */
  get bytes(): number {
    return this.#stores.reduce((sum, store) => sum + store.label!.size, 0);
  }

  view(): PoolView {
    const array = this.#array;
    if (array !== null) return viewOfArray(array, this.#mover!.progress);
    return viewOfDisk(this.#stores[0]!.disk, this.#stores[0]!.label!);
  }

  /** A disk more, used at once. INVALID, IN_USE, NO_SPACE, NOT_FOUND. */
  add(path: string, options: AddOptions = {}): Promise<void> {
    return this.#serial.run(() => this.#add(this.#several(), path, options));
  }

  async #add(array: ArrayDisk, path: string, options: AddOptions): Promise<void> {
    const { clock, random, log, stateDirectory, disks = realDisks } = this.#options;
    const { table } = array.members;
    const replaced = options.replaces === undefined ? [] : [this.#find(array, options.replaces)];
    const sizes = table.disks.flatMap((entry) => (entry === null ? [] : [entry.size]));
    const size = options.size ?? Math.min(...sizes);
    const { wipe } = options;
    const store = await disks.open({ path, size, wipe, stateDirectory, clock, log });
    let kept = false;
    try {
      this.#refuseOthers(array, store);
      const bytes = store.label?.size ?? store.size;
      const parity = table.layout === 'parity';
      const id = random.bytes(16);
      const label = layOutMember(this.storeId, id, clock.wall(), bytes, parity);
      const added = { ...store, label };
      const entry = entryOf(added, array.zones.extentBytes, clock.wall());
      this.#shrinkTo(planAdd(table, entry, replaced, clock.wall()).size);
      // An old label goes first: at no moment do the two copies tell two stories.
      if (store.label !== null) await blank(store.disk);
      await writeLabel(store.disk, label);
      store.ready();
      kept = true;
      await addDisk(array, added, replaced, clock.wall());
      this.#stores.push(added);
      this.#options.log.info({ disk: store.disk.name, id: entry.id }, 'a disk was added');
      this.onPaths(this.paths);
    } catch (error) {
      this.#resized();
      if (kept) await blank(store.disk);
      await store.close();
      throw error;
    }
  }

  /** A disk that was lost or removed may come again, as a new one; another store's never. */
  #refuseOthers(array: ArrayDisk, { disk, label }: StoreDisk): void {
    if (label === null) return;
    const ours = Buffer.compare(label.storeId, this.storeId) === 0 && label.member !== null;
    const id = Buffer.from(label.member?.diskId ?? []).toString('hex');
    const entry = array.members.table.disks.find((each) => each?.id === id);
    if (ours && (entry === undefined || entry?.state === DiskState.out)) return;
    throw new StorageError('IN_USE', `${disk.name} belongs to ${ours ? 'this' : 'another'} store`);
  }

  /** What is on a disk goes to the others. NOT_FOUND, NO_SPACE, INVALID. */
  drain(which: string): Promise<void> {
    return this.#serial.run(async () => {
      const array = this.#several();
      const index = this.#find(array, which);
      const now = this.#options.clock.wall();
      const { state, path } = array.members.table.disks[index]!;
      if (state === DiskState.out) {
        throw new StorageError('INVALID', `${path} is lost: add a disk that takes its place`);
      }
      if (state !== DiskState.in) return;
      this.#shrinkTo(planDrain(array.members.table, index, false, now).size);
      await array.members.change((table) => planDrain(table, index, false, now).table);
    });
  }

  /** A disk with nothing on it is one of the store no more. NOT_FOUND, IN_USE, NO_SPACE. */
  remove(which: string): Promise<void> {
    return this.#serial.run(async () => {
      const array = this.#several();
      const { members } = array;
      const index = this.#find(array, which);
      this.#shrinkTo(planRemoval(members.table, index).size);
      await members.change((table) => planRemoval(table, index).table);
      const member = members.all().find((each) => each.index === index);
      if (member === undefined) return;
      members.leave(member);
      this.#left(member);
    });
  }

  /** Share of the time that moving extents takes while clients work, 0…1. */
  set moveShare(share: number) {
    if (this.#mover !== null) this.#mover.share = Math.max(limits.moveShareMin, Math.min(1, share));
  }

  #several(): ArrayDisk {
    if (this.#array !== null) return this.#array;
    throw new StorageError(
      'INVALID',
      'this store was made for one disk alone; a store made with --layout takes more',
    );
  }

  /** The number of a disk by its path or the beginning of its id. NOT_FOUND, INVALID. */
  #find(array: ArrayDisk, which: string): number {
    const { disks } = array.members.table;
    const byPath = disks.findIndex((entry) => entry?.path === which);
    if (byPath >= 0) return byPath;
    const byId = disks.flatMap((entry, index) =>
      entry?.id.startsWith(which.toLowerCase()) && which !== '' ? [index] : [],
    );
    if (byId.length === 1) return byId[0]!;
    if (byId.length === 0) throw new StorageError('NOT_FOUND', `the store has no disk '${which}'`);
    throw new StorageError('INVALID', `'${which}' is the beginning of several disks' ids`);
  }

  /** Before a change that makes the store smaller: the log gives up what it will not have. */
  #shrinkTo(bytes: number): void {
    if (bytes < this.#size) this.onSize(bytes);
  }

  #resized(): void {
    const { size } = this.#array!;
    this.#size = size;
    try {
      this.onSize(size);
    } catch (err) {
      this.#options.log.warn({ err, size }, 'the store keeps its size until it has room to shrink');
    }
  }

  #left(member: Member): void {
    const at = this.#stores.findIndex((store) => store.disk === member.disk);
    const [store] = at < 0 ? [] : this.#stores.splice(at, 1);
    const facts = { disk: member.disk.name, id: member.id };
    this.#options.log.info(facts, 'a disk has left the store');
    this.onPaths(this.paths);
    if (store === undefined) return;
    const away = async (): Promise<void> => {
      if (member.failure === null) await blank(store.disk);
      await store.close();
    };
    void this.#serial.run(away);
  }

  /** A file that was removed or cut off says nothing until it is read beyond its end. */
  #look(): void {
    const { members } = this.#array!;
    for (const member of members.alive()) {
      if (member.disk.gone !== true) continue;
      const gone = new StorageError('DISK_FAILED', `${member.disk.name} was removed or cut off`);
      members.lost(member, gone).catch(() => {});
    }
    this.#unlook = this.#options.clock.after(limits.lookMs, () => this.#look());
  }
}

/** Take the label away, as far as the disk lets us: it is nobody's now. */
async function blank(disk: Disk): Promise<void> {
  await disk.write(0, [new Uint8Array(limits.labelAreaBytes)], true).catch(() => {});
}
