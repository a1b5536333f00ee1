/** The bounds of the Directory, each with its reason; relations are asserted at import. */
import assert from 'node:assert/strict';

export const limits = {
  /** As etcd's practice: keys are paths, not content. */
  keyLength: 512,
  /** Below etcd's request limit of 1.5 MiB, so that what fits one implementation fits all. */
  valueBytes: 1024 * 1024,
  /** Comparisons and mutations of a transaction, each: etcd's default `--max-txn-ops`, less a few of our own. */
  transactionSteps: 120,
  /** Keys and values of a transaction: etcd's `--max-request-bytes` less what surrounds them. */
  transactionBytes: 1280 * 1024,
  /** Transactions whose events are kept for watches that begin in the past, and the bytes of those. */
  historyTransactions: 1024,
  historyBytes: 16 * 1024 * 1024,
  /** An image is read and written whole in this unit, which disks write whole. */
  imageUnitBytes: 4096,
  /** The smallest slot that makes sense: a header and some records. */
  slotBytesMin: 64 * 1024,

  /** etcd's defaults: `--max-txn-ops`, `--max-request-bytes`. */
  etcdTransactionOps: 128,
  etcdRequestBytes: 1536 * 1024,
  /** Comparisons and mutations that a commit adds: the cluster's record and the slot. */
  etcdOwnOps: 2,
  /** Members of an etcd cluster: etcd advises at most seven. */
  etcdEndpoints: 9,
  /** Keys that tell outcomes, for each client: commits of one client in flight at once. */
  etcdSlots: 4,
  /** Times that the slots are claimed again because somebody else did meanwhile. */
  etcdClaimAttempts: 5,
  /** Keys asked for at once; halved where the answer would be too large. */
  etcdPageKeys: 256,
  /** Connections to one endpoint: what a client has in flight, and some readers. */
  etcdSockets: 16,
  /** Of one answer: a page of small values; a value of the largest size always fits. */
  etcdAnswerBytes: 8 * 1024 * 1024,
  /** Of a whole list: far above the megabytes of a Directory, so that a broken peer takes no more memory. */
  etcdListBytes: 256 * 1024 * 1024,
  /** Times a list starts again because its revision was compacted under it. */
  etcdListAttempts: 5,
  /** One endpoint has so long to answer: above an election of etcd's on a machine that is slow. */
  etcdAttemptMs: 2500,
  /** A call tries endpoints for so long; a commit whose outcome is open gets as long again. */
  etcdRequestMs: 15_000,
  /** Between two rounds over all endpoints. */
  etcdRetryMs: 100,
  /** A watch that says nothing for so long is made anew: its member may be frozen or cut off. */
  etcdSilentMs: 10_000,
  /** First and longest pause before a watch is made anew. */
  etcdWatchRetryMs: 100,
  etcdWatchRetryMsMax: 2000,

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
assert(limits.transactionSteps + limits.etcdOwnOps <= limits.etcdTransactionOps);
assert(limits.valueBytes + limits.keyLength <= limits.transactionBytes);
assert(
  // Comparisons: keys and their frames; 64 bytes frame each step.
  limits.transactionBytes + limits.etcdTransactionOps * (limits.keyLength + 2 * 64) <=
    limits.etcdRequestBytes,
);
assert(limits.etcdAnswerBytes >= 4 * limits.etcdRequestBytes, 'base64 in JSON, with room');
assert(limits.etcdAttemptMs * 2 < limits.etcdRequestMs, 'one endpoint may be frozen');
