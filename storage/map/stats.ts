/** What a store counted since it was opened: for status, benches and tests. */

export interface BlocksStats {
  /** Groups written, and what was in them, in blocks. */
  readonly groups: number;
  /** Durable disk writes and syncs: one for each group and superblock. */
  readonly syncs: number;
  readonly userBlocks: number;
  readonly cleanerBlocks: number;
  readonly mapBlocks: number;
  readonly headerBlocks: number;
  readonly segments: number;
  readonly segmentsFree: number;
  readonly segmentsCleaned: number;
  /** Segments that hold a live block that cannot be read. */
  readonly segmentsDamaged: number;
  readonly checkpoints: number;
  readonly recoveryGroups: number;
  readonly recoveryBytes: number;
  /** Blocks that any space holds, each once. */
  readonly blocksUsed: number;
  readonly mapPages: number;
  /** Of these in memory, and how many were read since opening. */
  readonly mapPagesHere: number;
  readonly mapLoads: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  /** Reads of disk whose checksum did not match. */
  readonly badBlocks: number;
  /** Operations that wait for room now. */
  readonly waiting: number;
  /** The store failed closed: nothing is acknowledged any more. */
  readonly failed: boolean;
}
