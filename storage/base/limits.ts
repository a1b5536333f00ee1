/**
 * The bounds of the store (storage/log and storage/map), each with its reason; the relations
 * between them are asserted at import.
 */
import assert from 'node:assert/strict';

export const limits = {
  /** The unit of the log, the map and of checksums: what disks write whole. */
  blockBytes: 4096,
  /** Pegasus' segment: large enough that seeks and headers do not count, small enough to clean. */
  segmentBytes: 1024 * 1024,
  blocksPerSegment: 256,
  /** Fifteen segments: the ten kept back for cleaning and a few to fill. */
  storeBytesMin: 16 * 1024 * 1024,
  /** A log address is a block number in 32 bits. */
  storeBytesMax: 2 ** 32 * 4096,
  /** A block number inside a space: 256 PiB, above any virtual disk; 48 bits are on disk. */
  spaceBlocksMax: 2 ** 45,
  /** Address spaces of one store: their roots fit the blocks that one superblock can name. */
  spaces: 32_768,

  /** Entries of a group: what fits its header block beside the 64 bytes at its front. */
  groupEntries: 168,
  /** Groups being written at once: enough to hide one sync behind the next, few to lose. */
  groupsInFlight: 4,
  /** A group this large (blocks) is sent although another is in flight. */
  groupEagerBlocks: 32,
  /** Blocks written at once inside one aligned run of so many are one group: all or nothing after a crash.
   *  64 KiB is a chunk, what hosts lock and write atomically. */
  atomicBlocks: 16,
  /** A segment's end with fewer free blocks than this is not worth a group. */
  segmentTailBlocks: 2,

  /** Never written segments made ready ahead of the log: more than a burst fills. */
  conditionedSegments: 64,
  /** Made ready at once, with one sync; at most one in `conditionShare` of what is left. */
  conditionBatch: 8,
  conditionShare: 8,
  /** Above what single synced writes fill, well below what a disk takes. */
  conditionBytesPerSecond: 64 * 1024 * 1024,

  /** Segment buffers kept at least: those in flight, the open one and one to move on to. */
  recentSegmentsMin: 8,
  recentBytes: 64 * 1024 * 1024,
  cacheBytes: 256 * 1024 * 1024,
  /** The cache grows by slabs, so that a small store never touches the whole budget. */
  cacheSlabBytes: 1024 * 1024,
  /** Blocks looked at for one that may leave the cache: some ten microseconds at most. */
  cacheSteps: 1024,
  /** Consecutive blocks read in one disk call. */
  readRunBlocks: 64,
  /** Disk calls in flight for reads; more wait their turn. */
  readsInFlight: 64,
  /** Blocks that a stream has read before anything is read ahead of it. */
  aheadAfterBlocks: 16,
  /** Blocks read ahead of one stream: what a disk delivers in some milliseconds. */
  aheadBlocks: 512,
  /** Disk calls in flight that read ahead, each at most a segment: bounds their buffers. */
  aheadsInFlight: 8,
  /** With so many demand reads in flight or waiting nothing is read ahead. */
  aheadPressure: 32,
  /** Disk calls in flight while the map is loaded. */
  loadsInFlight: 16,

  /** Writes that wait for the cleaner hold at most this much copied data; more is BUSY. */
  waitingBytes: 64 * 1024 * 1024,
  /** Operations that wait, whatever their size: above every window of the layers above. */
  waitingOperations: 65_536,

  /** Log written between checkpoints: what recovery reads at most, a second of disk time. */
  checkpointBytes: 192 * 1024 * 1024,
  /** Small stores: a share of the store, so that checkpoints come before the log runs out. */
  checkpointShare: 8,
  /** Map pages copied before others get their turn: well below a millisecond. */
  pagesPerTurn: 128,
  /** Map pages kept in memory at least: what the largest operations in flight need at once, many times. */
  mapPagesMin: 1024,
  /** Memory for map pages: those of 25 GiB of scattered blocks. */
  mapBytes: 128 * 1024 * 1024,
  /** What a map page takes in memory: its 4 KiB, and what stands around them. */
  mapPageBytes: 5 * 1024,
  /** Spaces frozen at one point: their records are one group. */
  snapshotSpaces: 160,
  /** Leaves visited by an unmap or drop before others get their turn. */
  leavesPerTurn: 64,
  /** Sheets of the garbage file below which it is left as it is. */
  garbageSheetsMin: 8,
  /** The file is gone through for one more segment for each so many of its sheets. */
  garbageSheetsPerSegment: 64,
  /** Segments compared before others get their turn when the cleaner picks. */
  segmentsPerTurn: 32_768,

  /** Between two segments that are scrubbed: leaves the disk to others, and does not oversleep. */
  scrubRestMsMin: 10,
  scrubRestMsMax: 600_000,
  /** How often it is noted how far scrubbing is. */
  scrubSaveMs: 300_000,

  /**
   * Segments kept back: at least this many, and one in `keptShare`. The more, the less a full store
   * moves for each block that is overwritten: about six blocks with one in eight.
   */
  keptSegmentsMin: 10,
  keptShare: 8,
  /** Blocks of a segment that hold content when the cleaner or a checkpoint fills it. */
  segmentContentBlocks: 250,
  /**
   * Blocks of room taken for each map page: the live copy, the one a checkpoint writes, and the one
   * that recovery writes after a crash in the middle of that checkpoint.
   */
  pageCopies: 3,
} as const;

assert.equal(limits.segmentBytes, limits.blockBytes * limits.blocksPerSegment);
assert(limits.segmentContentBlocks <= limits.blocksPerSegment - 3, 'headers need room');
assert(limits.groupEntries < limits.blocksPerSegment);
assert(
  limits.atomicBlocks <= limits.groupEntries && limits.atomicBlocks < limits.segmentContentBlocks,
);
assert(limits.storeBytesMin >= (limits.keptSegmentsMin + 5) * limits.segmentBytes);
assert(limits.recentSegmentsMin > limits.groupsInFlight + 2);
assert(limits.groupEagerBlocks <= limits.groupEntries);
assert(limits.snapshotSpaces <= limits.groupEntries);
assert(limits.cacheSlabBytes % limits.blockBytes === 0);
assert(limits.spaceBlocksMax <= 2 ** 48);
assert(limits.aheadPressure <= limits.readsInFlight);
