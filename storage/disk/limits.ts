/** The bounds of a store's disk and its areas, each with its reason; relations are asserted at import. */
import assert from 'node:assert/strict';

const mebibyte = 2 ** 20;
const gibibyte = 2 ** 30;

export const limits = {
  /** What disks read and write whole. */
  unitBytes: 4096,
  /** Sizes and areas are multiples of this: a log segment. */
  areaUnitBytes: mebibyte,
  /** 16 MiB of label and Directory, and a log in which the cleaner still has room. */
  storeBytesMin: 64 * mebibyte,
  /** The log addresses 2^32 blocks. */
  storeBytesMax: 2 ** 44,
  /** What is taken when nobody says how much, free space permitting. */
  storeBytesDefault: 20 * gibibyte,
  /** The label's area: two copies, and room around them that partition tools scribble over. */
  labelAreaBytes: mebibyte,
  /** The second copy of the label, far enough from the first that one bad spot spares it. */
  labelCopyOffset: mebibyte / 2,
  directoryOffset: mebibyte,
  directoryBytes: 15 * mebibyte,
  logOffset: 16 * mebibyte,
  /** Of a disk among several: behind the superblocks two copies of the table, then the journal. */
  tableOffset: 17 * mebibyte,
  tableCopyBytes: mebibyte / 2,
  memberFixedBytes: 18 * mebibyte,
  /**
   * Journal of a disk that holds parity: the groups of one segment and their headers take 2 MiB at
   * most, what does not fit before its end 0.7 MiB, and the next segment's begin meanwhile.
   */
  journalBytesMin: 4 * mebibyte,
  journalBytesMax: 16 * mebibyte,
  /** The journal takes at most one in so many bytes of its disk, above its minimum. */
  journalShare: 64,
  /** Disks of one store: what the table's entries have room for, and more than a server takes. */
  disksMax: 64,
  /** Data disks in a row: beyond eight the loss of a second disk becomes too likely. */
  columnsMin: 2,
  columnsMax: 8,
  /** Zones of a new store: so many steps in the progress of a rebuild, and a small table. */
  zonesWanted: 1024,
  zoneSegmentsMin: 4,
  /** Extents of one disk, numbered in 24 bits of an entry of the table. */
  extentsMax: 2 ** 24 - 1,
  /** Time of a disk that moving extents takes while clients work, as a share; alone it takes all. */
  moveShare: 0.3,
  moveShareMin: 0.01,
  /** A path as the table remembers it, for people. */
  pathBytes: 168,
  /** Disks looked at this often: a file that was removed or cut off says nothing by itself. */
  lookMs: 5_000,
  /** Zeros written at once where space cannot be allocated otherwise. */
  zeroBytes: 4 * mebibyte,
  /**
   * How long an opener waits for a holder to let go: one that is ending, or a child of ours that has
   * a copy of the descriptor between its fork and its exec.
   */
  patienceMs: 500,
  patienceStepMs: 50,
  /** A helper program that has not ended by then hangs (a dead disk or network mount). */
  helperMs: 60_000,
  /** What a helper program may say. */
  helperOutputBytes: mebibyte,
} as const;

assert.equal(limits.directoryOffset, limits.labelAreaBytes);
assert.equal(limits.logOffset, limits.directoryOffset + limits.directoryBytes);
assert(limits.logOffset < limits.storeBytesMin);
assert.equal(limits.tableOffset, limits.logOffset + limits.areaUnitBytes);
assert.equal(limits.memberFixedBytes, limits.tableOffset + 2 * limits.tableCopyBytes);
assert(limits.memberFixedBytes + limits.journalBytesMin < limits.storeBytesMin);
assert(limits.labelCopyOffset + limits.unitBytes <= limits.labelAreaBytes);
