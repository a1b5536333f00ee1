/**
 * Numbers of writes: pairs of the configuration's version and a counter, the version first, so that a number
 * given under a later configuration is above all earlier ones (replication.md, [H9]).
 */

export interface WriteNumber {
  readonly version: number;
  readonly counter: number;
}

/** Of a chunk that was never written. */
export const noNumber: WriteNumber = { version: 0, counter: 0 };

/** Below, at or above zero as `a` is below, at or above `b`. */
export function compareNumbers(a: WriteNumber, b: WriteNumber): number {
  return a.version !== b.version ? a.version - b.version : a.counter - b.counter;
}

export function nextNumber(version: number, last: WriteNumber): WriteNumber {
  return { version, counter: last.version === version ? last.counter + 1 : 1 };
}
