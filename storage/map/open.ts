/**
 * The public face of one server's store: lay one out on a disk, open it.
 *
 * Opening recovers: the newest superblock, its checkpoint, the log since then; then the log goes on
 * in a new segment under a higher incarnation, and a new checkpoint is durable before anything is
 * served. The incarnation is raised in the superblock before the first write under it, so that no
 * two lives share one.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Log, silentLog } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Disk } from '../disk/disk.ts';
import { BlockCache } from '../log/cache.ts';
import { Conditioner } from '../log/conditioner.ts';
import type { Entry } from '../log/format.ts';
import { wordsOf } from '../log/frame.ts';
import { Garbage, type ReadSheet } from '../log/garbage.ts';
import { LogReader } from '../log/reader.ts';
import { Ring } from '../log/ring.ts';
import { Scan, type ScanResult } from '../log/scan.ts';
import { Scrubber } from '../log/scrub.ts';
import { Segments } from '../log/segments.ts';
import {
  eraseSuperblocks,
  readSuperblock,
  type Superblock,
  writeSuperblock,
} from '../log/superblock.ts';
import { LogWriter } from '../log/writer.ts';
import { Account } from './account.ts';
import type { Blocks, Claims } from './blocks.ts';
import { Checkpointer } from './checkpoint.ts';
import { Cleaner } from './cleaner.ts';
import { Content } from './content.ts';
import type { Images } from './images.ts';
import { Keeper } from './keeper.ts';
import { loadCheckpoint } from './load.ts';
import { Operations } from './operations.ts';
import { Places } from './places.ts';
import { Removals } from './removals.ts';
import { Room } from './room.ts';
import { LogSource } from './source.ts';
import type { BlocksStats } from './stats.ts';
import { LogStore, type StoreParts } from './store.ts';

export interface FormatOptions {
  /** 16 bytes that no other store has. */
  readonly storeId: Uint8Array;
  readonly random: Random;
}

export interface BlocksPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
}

export interface BlocksOptions {
  /** Verified blocks kept in memory; default 256 MiB. */
  readonly cacheBytes?: number;
  /**
   * Segments written last kept in memory, the open one included; default 64 MiB, at least 8 MiB.
   */
  readonly recentBytes?: number;
  /** Memory for pages of the map; default 128 MiB, at least 5 MiB. */
  readonly mapBytes?: number;
  /** Log between two checkpoints; default 192 MiB, or an eighth of a smaller store. */
  readonly checkpointBytes?: number;
  readonly log?: Log;
}

export type Store = Blocks &
  Claims &
  Images & {
    stats(): BlocksStats;
    /** Clean up to `segments` segments now, those with most garbage; returns how many were. */
    clean(segments: number): Promise<number>;
    /**
     * The disk has, or is to have, so many bytes. NO_SPACE: what is held and promised does not fit;
     * nothing has changed then.
     */
    resize(bytes: number): void;
    readonly scrubber: Scrubber;
    /** Whether anything may need what a segment, by its number, holds. */
    needs(segment: number): boolean;
  };

/** Lay out an empty store. What was on the disk is lost. Durable when it resolves. INVALID. */
export async function formatBlocks(disk: Disk, options: FormatOptions): Promise<void> {
  assert(options.storeId.length === 16);
  await eraseSuperblocks(disk);
  await writeSuperblock(disk, wordsOf(Uint8Array.from(options.storeId)), {
    sequence: 1,
    incarnation: 1,
    segments: segmentsOf(disk),
    spaces: 0,
    position: null,
    wholeAt: 0,
    touched: 0,
    blocks: [],
  });
}

/** Segments behind the first MiB, which is the superblocks'. */
function segmentsOf(disk: Disk): number {
  const { storeBytesMin, storeBytesMax, segmentBytes } = limits;
  if (disk.size < storeBytesMin || disk.size > storeBytesMax || disk.size % segmentBytes !== 0) {
    throw new StorageError(
      'INVALID',
      `${disk.name}: ${disk.size} bytes is no size for a store: 16 MiB to 16 TiB, in whole MiB`,
    );
  }
  return disk.size / segmentBytes - 1;
}

/**
 * Recover and serve. Rejects with CORRUPT (no store, or one that is damaged where that would mean
 * serving old data), TOO_NEW, INVALID, MEDIUM_ERROR or DISK_FAILED. The disk stays the caller's to
 * close.
 */
export async function openBlocks(ports: BlocksPorts, options: BlocksOptions): Promise<Store> {
  const { disk } = ports;
  const log = options.log ?? silentLog;
  const { storeId, superblock: found } = await readSuperblock(disk);
  const segmentCount = segmentsOf(disk);
  // A store on several disks may have become smaller, where the log had never been.
  const least = disk.redundancy === undefined ? found.segments : found.touched;
  if (segmentCount < least) {
    throw new StorageError('CORRUPT', `${disk.name} is smaller than the store on it`);
  }
  const superblock: Superblock = {
    ...found,
    sequence: found.sequence + 1,
    incarnation: found.incarnation + 1,
    segments: segmentCount,
  };
  await writeSuperblock(disk, storeId, superblock);

  const garbage = new Garbage();
  const hooks: Hooks = { reused: (segment) => garbage.reused(segment), ring: null };
  const segments = new Segments(segmentCount, (segment) => hooks.reused(segment));
  const places = new Places();
  const source = new LogSource({
    disk,
    segments,
    ring: () => hooks.ring,
    place: (kind, number) => places.get(kind, number),
  });
  const account = new Account(segmentCount);
  segments.hole = (address) => garbage.hole(address);
  const content = new Content(segments, account, source, options.mapBytes ?? limits.mapBytes);
  const readGarbage: ReadSheet = (number) => source.garbage(number);
  const loading = { content, places, garbage, readGarbage };
  const scanned = await recover(disk, storeId, found, loading);
  if (scanned.badBlocks > 0) {
    log.error({ blocks: scanned.badBlocks, disk: disk.name }, 'acknowledged blocks are damaged');
  }
  const recovered = { storeId, superblock, content, places, garbage, source, scanned, hooks, log };
  const parts = compose(ports, options, recovered);
  await parts.checkpointer.run();
  log.info({ disk: disk.name, ...parts.recovery }, 'the store is recovered');
  const store = new LogStore(parts);
  parts.removals.resume();
  return store;
}

/** What is known only later. */
interface Hooks {
  reused: (segment: number) => void;
  ring: Ring | null;
}

/** What a checkpoint is read into. */
interface Loading {
  readonly content: Content;
  readonly places: Places;
  readonly garbage: Garbage;
  readonly readGarbage: ReadSheet;
}

/** The state that the checkpoint and the log behind it lead to. */
async function recover(
  disk: Disk,
  storeId: Uint32Array,
  superblock: Superblock,
  loading: Loading,
): Promise<ScanResult> {
  const { content, places, garbage, readGarbage } = loading;
  const { segments, pages } = content;
  await loadCheckpoint(disk, superblock, content, places, garbage, readGarbage);
  // A segment that the checkpoint names may lose its last block in the log behind it.
  const named = new Set<number>();
  segments.emptied = (segment) => named.add(segment);
  const here = { ...superblock, segments: segments.count };
  const replay = async (entries: readonly Entry[]): Promise<void> => {
    for (const entry of entries) {
      for (;;) {
        const missing = content.missingFor(entry);
        if (missing === null) break;
        await pages.load(missing);
      }
      content.replay(entry);
    }
  };
  const scan = new Scan(disk, storeId, here);
  const scanned = await scan.run(replay, (segment) => garbage.reused(segment));
  for (const segment of scanned.segments) named.add(segment);
  segments.emptied = () => {};
  segments.settleAtOpen(named, superblock.touched);
  return scanned;
}

interface Recovered {
  readonly storeId: Uint32Array;
  readonly superblock: Superblock;
  readonly content: Content;
  readonly places: Places;
  readonly garbage: Garbage;
  readonly source: LogSource;
  readonly scanned: ScanResult;
  readonly hooks: Hooks;
  readonly log: Log;
}

/** Blocks in memory: those read from disk, and those written last. */
function memoryFor(options: BlocksOptions, segments: number): { cache: BlockCache; ring: Ring } {
  const { cacheBytes = limits.cacheBytes, recentBytes = limits.recentBytes } = options;
  const cache = new BlockCache(cacheBytes);
  const ring = new Ring(segments, recentBytes, (address, from, at, count) =>
    cache.insert(address, from, at, count - 1),
  );
  return { cache, ring };
}

function compose(ports: BlocksPorts, options: BlocksOptions, recovered: Recovered): StoreParts {
  const { disk, clock } = ports;
  const { storeId, superblock, content, places, garbage, source, scanned, hooks, log } = recovered;
  const { segments, account } = content;
  const { cache, ring } = memoryFor(options, segments.count);
  const { incarnation } = superblock;
  const writer = new LogWriter(
    { disk, clock, segments, ring, storeId, incarnation },
    scanned.groupSequence + 1,
    scanned.segmentSequence + 1,
  );
  const checkpointing = { disk, clock, storeId, writer, content, places, garbage };
  const checkpointer = new Checkpointer(checkpointing, superblock);
  const room = new Room(writer, segments, checkpointer, account);
  const cleaning = {
    disk,
    clock,
    storeId,
    writer,
    content,
    ring,
    room,
    checkpointer,
    garbage,
    log,
  };
  const readGarbage: ReadSheet = (number) => source.garbage(number);
  const cleaner = new Cleaner({ ...cleaning, readGarbage });
  const operations = new Operations((fire) => clock.soon(fire));
  const share = Math.floor((segments.count * limits.segmentBytes) / limits.checkpointShare);
  const keeper = new Keeper({
    clock,
    writer,
    segments,
    checkpointer,
    cleaner,
    room,
    checkpointBytes: options.checkpointBytes ?? Math.min(limits.checkpointBytes, share),
    pagesDue: () => content.pages.due,
    starving: () => operations.starving,
    resume: () => operations.pump(),
    giveUp: () => {
      log.error({ disk: disk.name, damaged: segments.damaged }, 'no room can be made for writes');
      operations.failAll(new StorageError('NO_SPACE', 'no segment can be freed'));
    },
  });
  hooks.ring = ring;
  hooks.reused = (segment) => {
    garbage.reused(segment);
    ring.forget(segment);
    cache.forget(segment * limits.blocksPerSegment, limits.blocksPerSegment);
  };
  // A read that held a segment may have been all that a writer waited for.
  segments.released = () => {
    if (operations.starving) clock.soon(() => operations.pump());
  };
  const pump = (): void => operations.pump();
  const progress = (): void => {
    pump();
    keeper.wake();
  };
  const removals = new Removals({ clock, content, log, room, writer, progress });
  return {
    clock,
    content,
    writer,
    reader: new LogReader(disk, segments, ring, cache, log),
    room,
    checkpointer,
    cleaner,
    operations,
    keeper,
    conditioner: new Conditioner(disk, segments, clock),
    scrubber: new Scrubber({ disk, clock, segments, storeId, log }),
    removals,
    garbage,
    pump,
    recovery: { groups: scanned.groups, bytes: scanned.bytes },
  };
}
