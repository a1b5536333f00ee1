/** The bounds of the volume layer, each with its reason; relations are asserted at import. */
import assert from 'node:assert/strict';
import { blockBytes } from '../map/blocks.ts';

export const limits = {
  /** RFC 1123 label and the longest name that leaves room for an IQN of 223 bytes around it. */
  nameLength: 63,
  /** One block: the smallest thing that can be stored. */
  diskBytesMin: blockBytes,
  /** 1 PiB: far below 2^53, so byte offsets stay exact, and above what any host addresses today. */
  diskBytesMax: 2 ** 50,
  /** Living and removed; their records fit the embedded Directory with room for their attributes. */
  disks: 4096,
  /** With the disks' records they fit the embedded Directory, which is written whole with every change. */
  snapshots: 8192,
  /** Disks with a snapshot at one point: each takes two steps of a transaction (cluster/limits.ts). */
  snapshotGroup: 32,
  /** All attributes of one disk, keys and values, in characters: an access list of some hundreds. */
  attributeLength: 64 * 1024,
  /** A write inside one aligned range of so much is there as a whole or not at all after a crash: a chunk,
   *  which is one group of the log. */
  atomicBytes: 64 * 1024,
  /** Address spaces are numbered in 32 bits on disk and a number is never used twice. */
  refMax: 2 ** 32 - 1,
  /** How long a removed disk can be restored, unless its space is needed: a day to notice. */
  keepRemovedMs: 24 * 60 * 60 * 1000,
  /** How often due removals and low space are looked at: coarse, it only gives space back. */
  sweepMs: 60_000,
  /** Below this share of the capacity removed disks are given back without waiting for a writer. */
  lowSpaceShare: 0.02,
  /** Zeroes are written in pieces of this size: a quarter of a log segment. */
  zeroPieceBytes: 256 * 1024,
  /** Pieces of zeroes in flight: enough to keep a group commit full, at 1 MiB of staging. */
  zeroPieces: 4,
  /** Blocks unmapped in one call (1 GiB): about a millisecond of walking the map. */
  unmapPieceBlocks: 256 * 1024,
  /** Blocks copied at once when a disk is flattened: a group or two of the log, whose writers wait that long. */
  flattenPieceBlocks: 64,
  /** How often a flattening's position is kept (64 MiB): what is copied again after a crash, at most. */
  flattenNoteBlocks: 16 * 1024,
  /** Questions to the map for one portion of a difference. */
  diffCalls: 4096,
  /** Content in one record of an exported stream: a quarter of a log segment; what an import holds in memory. */
  streamPieceBytes: 256 * 1024,
  /** Records of an import being written at once: they keep a group commit full. */
  importsInFlight: 8,
  /** Memory for acknowledged blocks of disks with write-back, all of them together, unless it is set. */
  writeBackBytes: 256 * 1024 * 1024,
  /** It grows by slabs, so that nobody pays for what is not used. */
  writeBackSlabBytes: 1024 * 1024,
  /** What is overwritten or unmapped within this time need never reach the log. */
  writeBackAgeMs: 30_000,
  /** What is due so much later goes along, in the same groups. */
  writeBackSlackMs: 1_000,
  /** Blocks given to the store at once (4 MiB): some tens of groups, well below what it lets wait. */
  writeBackFlightBlocks: 1024,
  /** Blocks given to the store before others get their turn: well below a millisecond. */
  writeBackTurnBlocks: 128,
  /** After a refusal (no segment could be freed) the store is left alone for so long. */
  writeBackRetryMs: 1_000,
  /** Map pages for which room is claimed with a chunk: the two leaves that it may lie in and a page above. */
  writeBackChunkPages: 3,
  /** Changes that wait while a cut is made hold at most so much; more is BUSY. */
  heldBytes: 64 * 1024 * 1024,
  /** Extents looked at before others get their turn. */
  extentsPerTurn: 1024,
} as const;

assert.equal(limits.zeroPieceBytes % blockBytes, 0);
assert.equal(limits.diskBytesMax % blockBytes, 0);
assert.equal(limits.writeBackSlabBytes % blockBytes, 0);
assert(limits.atomicBytes / blockBytes <= 16, 'blocks of a chunk are bits of a mask');
assert(limits.diskBytesMax <= Number.MAX_SAFE_INTEGER);
