/**
 * What every sector may hold, from what was issued and acknowledged.
 *
 * A write, once acknowledged, rules out every write to its sectors that had been acknowledged before
 * it was issued. Writes that overlap in flight may take effect in either order, and a write that was
 * never acknowledged may have landed or not, so all of these stay allowed. What a crash left behind is
 * then read once and is from there on the only value: a write of before the crash never lands later.
 *
 * With a volatile cache a write completes first and is acknowledged for good by the flush that covers
 * it; what a later flush covers then rules out what had completed before it was issued.
 */

/** A write in flight. Times are ticks of the ledger: the order of events, not a clock. */
export interface IssuedWrite {
  readonly sequence: number;
  readonly lba: number;
  readonly sectors: number;
  readonly issuedAt: number;
}

interface Candidate {
  readonly sequence: number;
  /** Tick of its completion, or Infinity. */
  completedAt: number;
}

export const Finding = {
  right: 'right',
  /** An acknowledged write is gone: older data, zeros, or another sector's data. */
  lost: 'lost',
} as const;
export type Finding = (typeof Finding)[keyof typeof Finding];

const UNWRITTEN: readonly Candidate[] = [{ sequence: 0, completedAt: 0 }];

export class Ledger {
  #tick = 0;
  #nextSequence = 1;
  #candidates = new Map<number, readonly Candidate[]>();
  #acknowledged = 0;

  /** Writes acknowledged so far. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  issue(lba: number, sectors: number): IssuedWrite {
    const issued = { sequence: this.#nextSequence++, lba, sectors, issuedAt: ++this.#tick };
    for (let at = lba; at < lba + sectors; at++) {
      const candidate = { sequence: issued.sequence, completedAt: Number.POSITIVE_INFINITY };
      this.#candidates.set(at, [...this.#allowed(at), candidate]);
    }
    return issued;
  }

  /** Status GOOD; nothing is promised yet. */
  complete(write: IssuedWrite): void {
    const now = ++this.#tick;
    for (let at = write.lba; at < write.lba + write.sectors; at++) {
      for (const candidate of this.#allowed(at)) {
        if (candidate.sequence === write.sequence) candidate.completedAt = now;
      }
    }
  }

  /** A completed write survives every crash from here on. */
  secure(write: IssuedWrite): void {
    this.#acknowledged++;
    for (let at = write.lba; at < write.lba + write.sectors; at++) {
      const left = this.#allowed(at).filter(
        ({ sequence, completedAt }) => sequence === write.sequence || completedAt > write.issuedAt,
      );
      this.#candidates.set(at, left);
    }
  }

  acknowledge(write: IssuedWrite): void {
    this.complete(write);
    this.secure(write);
  }

  /** After a crash: the sector was read and holds the write `sequence` (0: zeros). */
  settle(lba: number, sequence: number): Finding {
    const allowed = this.#allowed(lba).some((candidate) => candidate.sequence === sequence);
    this.#candidates.set(lba, [{ sequence, completedAt: ++this.#tick }]);
    return allowed ? Finding.right : Finding.lost;
  }

  /** For messages: the sequence numbers that the sector may hold. */
  allowedSequences(lba: number): number[] {
    return this.#allowed(lba).map(({ sequence }) => sequence);
  }

  #allowed(lba: number): readonly Candidate[] {
    return this.#candidates.get(lba) ?? UNWRITTEN;
  }
}
