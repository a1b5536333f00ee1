/** The times and bounds of replication, each with its reason; relations are asserted at import. */
import assert from 'node:assert/strict';

export const limits = {
  /** Bytes of a chunk, the unit of placement and of marks (Petal, section 2.2). */
  chunkBytes: 64 * 1024,
  /** How long a grant binds its granter, counted from its reply. */
  leaseMs: 2000,
  /** Of the lease, taken off at the holder: only the rates of two clocks may differ, never that much. */
  leaseMargin: 0.1,
  /** Several heartbeats may be lost before a lease runs out. */
  heartbeatMs: 300,
  /** Nothing heard for so long: try to remove. Above a collector's pause and a slow disk, below an initiator's patience. */
  suspectMs: 1500,
  /** A call between servers that is not answered within this is sent again. */
  callMs: 500,
  /** Before something that did not work is tried again. */
  retryMs: 100,
  /** "Committed up to" is told in batches. */
  committedMs: 20,
  /** A write whose last byte came longer ago is refused; overtaking is remembered for as long. */
  lifetimeMs: 2000,
  /** Chunks in a row that a joining server did not take: it is gone. */
  joinFailures: 5,
  /** A command that no server answered ends BUSY: below every initiator's own timer. */
  commandMs: 5000,
  /** By how much the rates of two clocks may differ: quartz differs by a hundredth of that. */
  rateMargin: 0.01,
  /** A request waits so long for a server that is about to serve. */
  readyMs: 1000,
} as const;

assert(limits.heartbeatMs * 3 < limits.leaseMs * (1 - limits.leaseMargin));
assert(limits.callMs < limits.suspectMs);
