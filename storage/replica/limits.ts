/** The times and bounds of replication, each with its reason. */
import { StorageError } from '../base/errors.ts';

export const limits = {
  /** Bytes of a chunk, the unit of placement and of marks (Petal, section 2.2). */
  chunkBytes: 64 * 1024,
  /** Of the lease, taken off at the holder: only the rates of two clocks may differ, never that much. */
  leaseMargin: 0.1,
  /** A call between servers that is not answered within this is sent again. */
  callMs: 500,
  /** Before something that did not work is tried again. */
  retryMs: 100,
  /** "Committed up to" is told in batches. */
  committedMs: 20,
  /** Chunks in a row that a joining server did not take: it is gone. */
  joinFailures: 5,
  /** A command that no server answered ends BUSY: below every initiator's own timer. */
  commandMs: 5000,
  /** A gateway asks for a server's clock again when what it knows is older. */
  clockMs: 300,
  /** By how much the rates of two clocks may differ: quartz differs by a hundredth of that. */
  rateMargin: 0.01,
  /** A request waits so long for a server that is about to serve. */
  readyMs: 1000,
} as const;

/** Settings of a cluster: the same at all its servers. Milliseconds. */
export interface Times {
  /** How long a grant binds its granter, counted from its reply. */
  readonly lease: number;
  /** Several heartbeats may be lost before a lease runs out. */
  readonly heartbeat: number;
  /** Nothing heard for so long: try to remove. */
  readonly suspect: number;
  /** A write whose last byte came longer ago is refused; overtaking is remembered for as long. */
  readonly lifetime: number;
}

/**
 * A removal takes `suspect` and at most `lease`, together below an initiator's patience; `suspect` is above a
 * collector's pause and a slow disk.
 */
export const defaultTimes: Times = { lease: 2000, heartbeat: 300, suspect: 1500, lifetime: 2000 };

/** INVALID: a lease would run out between two heartbeats, or a call be a suspicion. */
export function checkTimes({ lease, heartbeat, suspect, lifetime }: Times): void {
  const all = [lease, heartbeat, suspect, lifetime];
  if (!all.every((time) => Number.isFinite(time) && time > 0)) {
    throw new StorageError('INVALID', 'times of a cluster are positive');
  }
  if (heartbeat * 2 > lease * (1 - limits.leaseMargin) || limits.callMs >= suspect) {
    throw new StorageError(
      'INVALID',
      'a lease spans several heartbeats, a suspicion several calls',
    );
  }
}
