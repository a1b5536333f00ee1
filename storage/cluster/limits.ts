/** The bounds of the Directory, each with its reason; relations are asserted at import. */
import assert from 'node:assert/strict';

export const limits = {
  /** As etcd's practice: keys are paths, not content. */
  keyLength: 512,
  /** Below etcd's request limit of 1.5 MiB, so that what fits one implementation fits all. */
  valueBytes: 1024 * 1024,
  /** Comparisons and mutations of a transaction, each: etcd's default `--max-txn-ops`. */
  transactionSteps: 128,
  /** Transactions whose events are kept for watches that begin in the past. */
  historyTransactions: 1024,
  /** An image is read and written whole in this unit, which disks write whole. */
  imageUnitBytes: 4096,
  /** The smallest slot that makes sense: a header and some records. */
  slotBytesMin: 64 * 1024,

  /** The cluster's authority: longer than machines live; it is replaced by trusting two for a while. */
  authorityDays: 20 * 365,
  /** A server's certificate: renewed by itself after two thirds, so a month is left to notice when not. */
  certificateDays: 90,
  /** How far the clocks of two servers may be apart when one joins. */
  certificateSkewMs: 3600 * 1000,
  /** A request for a certificate, from a stranger: several times one with a P-256 key. */
  requestBytes: 4096,
} as const;

assert(limits.keyLength < 2 ** 16, 'key lengths are 16 bits on disk');
assert.equal(limits.slotBytesMin % limits.imageUnitBytes, 0);
