/**
 * The Directory of a cluster of one, kept in the store itself: the whole map as one image
 * (image.ts) in two slots, each half of the area.
 *
 * - A commit writes the next revision to one slot, durably, and only then shows it; the other slot
 *   keeps the revision before, so a crash at any point leaves the old or the new, never nothing.
 * - After that, before the next commit, the other slot gets the same image: one block that goes bad
 *   later costs neither the map nor its last revision.
 * - Two bad slots are CORRUPT, never an empty Directory. A failed write fails the Directory for good.
 */

import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { Serial } from '../base/serial.ts';
import type { Disk } from '../disk/disk.ts';
import { readable } from '../disk/read.ts';
import type {
  Comparison,
  Directory,
  DirectoryEntry,
  DirectoryEvent,
  Mutation,
  Revision,
  Seen,
  Snapshot,
} from './directory.ts';
import { claimedBytes, decodeImage, encodeImage, type Image, imageBytes } from './image.ts';
import { limits } from './limits.ts';
import { type Transaction, transaction } from './transaction.ts';
import { Watchers } from './watchers.ts';

export interface EmbeddedOptions {
  /** 16 bytes; an image of another store is not taken for ours. */
  readonly storeId: Uint8Array;
  readonly log: Log;
}

/** Lay out an empty Directory at revision 0. */
export async function formatEmbedded(disk: Disk, storeId: Uint8Array): Promise<void> {
  const image = encodeImage(storeId, { revision: 0n, entries: [] });
  for (const slot of [0, 1]) await disk.write(slot * slotBytesOf(disk), [image], true);
}

/** Read it back. CORRUPT, TOO_NEW, MEDIUM_ERROR never: a slot that cannot be read is a bad slot. */
export async function openEmbedded(
  disk: Disk,
  options: EmbeddedOptions,
): Promise<EmbeddedDirectory> {
  const images: (Image | null)[] = [];
  for (const slot of [0, 1]) images.push(await readSlot(disk, slot, options.storeId));
  const [first, second] = images as [Image | null, Image | null];
  if (first === null && second === null) {
    throw new StorageError('CORRUPT', `${disk.name}: both copies of the Directory are damaged`);
  }
  const newest = second === null || (first !== null && first.revision >= second.revision) ? 0 : 1;
  const alike = first?.revision === second?.revision;
  const slotBytes = slotBytesOf(disk);
  const reach = images.map((image) => (image === null ? slotBytes : imageBytes(image.entries)));
  const directory = new EmbeddedDirectory(disk, options, images[newest]!, {
    slot: newest,
    settled: alike,
    reach,
  });
  if (!alike) {
    options.log.warn(
      { slot: 1 - newest },
      'one copy of the Directory is old or damaged; rewritten',
    );
    await directory.settle();
  }
  return directory;
}

/** The newest revision that can be read from a copy of the area; -1: none. */
export async function newestRevision(disk: Disk, storeId: Uint8Array): Promise<number> {
  const images = [await readSlot(disk, 0, storeId), await readSlot(disk, 1, storeId)];
  return Math.max(...images.map((image) => (image === null ? -1 : Number(image.revision))));
}

const slotBytesOf = (disk: Disk): number => {
  const bytes = Math.floor(disk.size / 2 / limits.imageUnitBytes) * limits.imageUnitBytes;
  if (bytes >= limits.slotBytesMin) return bytes;
  throw new StorageError('INVALID', `${disk.name}: too small for a Directory`);
};

async function readSlot(disk: Disk, slot: number, storeId: Uint8Array): Promise<Image | null> {
  const slotBytes = slotBytesOf(disk);
  const head = new Uint8Array(limits.imageUnitBytes);
  if (!(await readable(disk, slot * slotBytes, head))) return null;
  const length = claimedBytes(head, slotBytes);
  if (length === null) return null;
  const bytes = new Uint8Array(length);
  return (await readable(disk, slot * slotBytes, bytes)) ? decodeImage(storeId, bytes) : null;
}

export class EmbeddedDirectory implements Directory {
  readonly #disk: Disk;
  readonly #options: EmbeddedOptions;
  readonly #slotBytes: number;
  readonly #serial = new Serial();
  readonly #watchers: Watchers;
  #entries: ReadonlyMap<string, DirectoryEntry>;
  #revision: Revision;
  /** The slot that holds `#revision`; the other one holds it too when `#settled`. */
  #slot: number;
  #settled: boolean;
  #failed: StorageError | null = null;
  #closed = false;

  /** Bytes of each slot that may hold something: a shorter image takes what stood behind it away, so that
   *  what was deleted, a key for instance, is gone from the disk. */
  readonly #reach: number[];

  constructor(
    disk: Disk,
    options: EmbeddedOptions,
    image: Image,
    {
      slot,
      settled,
      reach,
    }: { readonly slot: number; readonly settled: boolean; readonly reach: number[] },
  ) {
    this.#reach = reach;
    this.#disk = disk;
    this.#options = options;
    this.#slotBytes = slotBytesOf(disk);
    this.#entries = new Map(image.entries.map((entry) => [entry.key, entry]));
    this.#revision = image.revision;
    this.#slot = slot;
    this.#settled = settled;
    this.#watchers = new Watchers(image.revision);
  }

  /** A cluster of one: the store is the cluster, and no backup of its Directory alone exists. */
  seen(): Seen {
    const clusterId = Buffer.from(this.#options.storeId).toString('hex');
    return { clusterId, generation: 1n, revision: this.#revision };
  }

  async get(key: string): Promise<DirectoryEntry | null> {
    this.#checkReadable();
    const entry = this.#entries.get(key);
    return entry === undefined ? null : copyOf(entry);
  }

  async list(prefix: string): Promise<Snapshot> {
    this.#checkReadable();
    const entries = inOrder(this.#entries.values()).filter(({ key }) => key.startsWith(prefix));
    return { revision: this.#revision, entries: entries.map(copyOf) };
  }

  watch(prefix: string, after: Revision, heard: (event: DirectoryEvent) => void): () => void {
    this.#checkReadable();
    if (after > this.#revision) {
      const now = this.#revision;
      throw new StorageError('INVALID', `revision ${after} is still to come (now ${now})`);
    }
    return this.#watchers.watch(prefix, after, heard);
  }

  async commit(compare: readonly Comparison[], mutate: readonly Mutation[]): Promise<Revision> {
    if (this.#closed) throw closed();
    const checked = transaction(compare, mutate);
    return await this.#serial.run(() => this.#commit(checked));
  }

  async #commit({ compare, mutate }: Transaction): Promise<Revision> {
    if (this.#failed !== null) throw this.#failed;
    for (const { key, modified } of compare) {
      const held = this.#entries.get(key)?.modified ?? 0n;
      if (held === modified) continue;
      throw new StorageError('CONFLICT', `${key} was written at revision ${held}, not ${modified}`);
    }
    if (mutate.length === 0) return this.#revision;
    const revision = this.#revision + 1n;
    const entries = new Map(this.#entries);
    const events: DirectoryEvent[] = [];
    for (const { key, value } of mutate) {
      const existed = entries.delete(key);
      if (value !== null) entries.set(key, { key, value, modified: revision });
      if (value !== null || existed) events.push({ key, value, revision });
    }
    if (imageBytes(entries.values()) > this.#slotBytes) {
      throw new StorageError(
        'NO_SPACE',
        `the Directory is full: at most ${this.#slotBytes} bytes of names and records`,
      );
    }
    if (!this.#settled) await this.settle();
    await this.#write(1 - this.#slot, { revision, entries: inOrder(entries.values()) });
    this.#slot = 1 - this.#slot;
    this.#settled = false;
    this.#entries = entries;
    this.#revision = revision;
    this.#watchers.committed(revision, events);
    void this.#serial.run(() => this.#settleQuietly());
    return revision;
  }

  /** Give the other slot the image in force; callers are serialised. DISK_FAILED. */
  async settle(): Promise<void> {
    const image = { revision: this.#revision, entries: inOrder(this.#entries.values()) };
    await this.#write(1 - this.#slot, image);
    this.#settled = true;
  }

  /** Nobody waits for this one: a failure has failed the Directory, and the next commit says so. */
  async #settleQuietly(): Promise<void> {
    if (this.#settled || this.#failed !== null) return;
    try {
      await this.settle();
    } catch (err) {
      this.#options.log.error({ err }, 'the second copy of the Directory cannot be written');
    }
  }

  async #write(slot: number, image: Image): Promise<void> {
    const bytes = encodeImage(this.#options.storeId, image);
    const behind = new Uint8Array(Math.max(0, this.#reach[slot]! - bytes.length));
    const pieces = behind.length === 0 ? [bytes] : [bytes, behind];
    try {
      await this.#disk.write(slot * this.#slotBytes, pieces, true);
      this.#reach[slot] = bytes.length;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      this.#failed = new StorageError('DISK_FAILED', `the Directory cannot be written: ${why}`, {
        cause,
      });
      throw this.#failed;
    }
  }

  /** Resolves when what was asked for before has ended. The disk is its owner's to close. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#serial.run(() => this.#settleQuietly());
    this.#watchers.close();
  }

  #checkReadable(): void {
    if (this.#closed) throw closed();
  }
}

const closed = (): StorageError => new StorageError('BUSY', 'the Directory is closed');

const copyOf = (entry: DirectoryEntry): DirectoryEntry => ({
  ...entry,
  value: new Uint8Array(entry.value),
});

const inOrder = (entries: Iterable<DirectoryEntry>): DirectoryEntry[] =>
  [...entries].sort((a, b) => (a.key < b.key ? -1 : 1));
