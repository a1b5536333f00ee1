/**
 * Whether a history of reads and writes of one register is linearizable, every write having a value of its own
 * (Gibbons and Korach, "Testing shared memories", 1997, section 4): operations that touch one value make a cluster,
 * a cluster makes a zone, and zones must not cross. A write without an answer may have happened or not, and late.
 */

export interface RegisterWrite {
  readonly value: number;
  readonly start: number;
  /** Infinity: never answered. */
  end: number;
  /** Acknowledged then: what its initiator sent before, elsewhere, and gave up must not show any more. */
  readonly givenUp: readonly number[];
}

export interface RegisterRead {
  readonly value: number;
  readonly start: number;
  readonly end: number;
}

interface Zone {
  readonly value: number;
  readonly from: number;
  readonly to: number;
}

/** Null, or what is wrong. Value 0 is what stood there before. */
export function judgeRegister(
  writes: readonly RegisterWrite[],
  reads: readonly RegisterRead[],
): string | null {
  const clusters = new Map<number, { write: RegisterWrite; reads: RegisterRead[] }>();
  const first = { value: 0, start: -1, end: -1, givenUp: [] };
  for (const write of [first, ...writes]) clusters.set(write.value, { write, reads: [] });
  for (const read of reads) {
    const cluster = clusters.get(read.value);
    if (cluster === undefined) return `${read.value} was never written`;
    if (read.end < cluster.write.start) return `${read.value} was read before it was written`;
    cluster.reads.push(read);
  }
  const ghost = judgeGhosts(writes, reads);
  if (ghost !== null) return ghost;
  const forward: Zone[] = [];
  const backward: Zone[] = [];
  for (const { write, reads: seen } of clusters.values()) {
    if (write.end === Number.POSITIVE_INFINITY && seen.length === 0) continue;
    const end = Math.min(write.end, ...seen.map((read) => read.end));
    const start = Math.max(write.start, ...seen.map((read) => read.start));
    if (end < start) forward.push({ value: write.value, from: end, to: start });
    else backward.push({ value: write.value, from: start, to: end });
  }
  return judgeZones(forward, backward);
}

function judgeGhosts(
  writes: readonly RegisterWrite[],
  reads: readonly RegisterRead[],
): string | null {
  for (const write of writes) {
    if (write.end === Number.POSITIVE_INFINITY) continue;
    for (const value of write.givenUp) {
      const seen = reads.find((read) => read.value === value && read.start > write.end);
      if (seen !== undefined)
        return `${value} came back over ${write.value} (read at ${seen.start})`;
    }
  }
  return null;
}

function judgeZones(forward: Zone[], backward: readonly Zone[]): string | null {
  forward.sort((a, b) => a.from - b.from);
  for (const [index, zone] of forward.entries()) {
    const next = forward[index + 1];
    if (next !== undefined && next.from < zone.to) {
      return `${zone.value} and ${next.value} were each seen before and after the other (${next.from})`;
    }
  }
  for (const zone of backward) {
    const around = forward.find((each) => each.from < zone.from && zone.to < each.to);
    if (around !== undefined) {
      return `${zone.value} lies between two sights of ${around.value} (${zone.from})`;
    }
  }
  return null;
}
