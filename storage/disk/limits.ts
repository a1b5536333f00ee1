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
assert(limits.labelCopyOffset + limits.unitBytes <= limits.labelAreaBytes);
