/** What a transaction of any Directory may look like, and the copy that is kept of it. */
import { StorageError } from '../base/errors.ts';
import type { Comparison, Mutation } from './directory.ts';
import { limits } from './limits.ts';

export interface Transaction {
  readonly compare: readonly Comparison[];
  readonly mutate: readonly Mutation[];
}

/** What is wrong with a key, or null. Printable ASCII, so that key order is byte order everywhere. */
export function keyFault(key: string): string | null {
  if (key.length === 0) return 'a key is not empty';
  if (key.length > limits.keyLength) return `a key has at most ${limits.keyLength} characters`;
  if (!/^[!-~]+$/.test(key)) return 'a key is printable ASCII without spaces';
  return null;
}

/**
 * Checked, and copied, since what the caller hands over may change while it waits for its turn.
 * `bytesMax`: of keys and values, where the implementation bounds them. INVALID.
 */
export function transaction(
  compare: readonly Comparison[],
  mutate: readonly Mutation[],
  bytesMax = Number.POSITIVE_INFINITY,
): Transaction {
  checkComparisons(compare);
  const bytes = checkMutations(mutate);
  if (bytes > bytesMax) {
    throw new StorageError('INVALID', `a transaction has at most ${bytesMax} bytes, not ${bytes}`);
  }
  return {
    compare: compare.map(({ key, modified }) => ({ key, modified })),
    // A Buffer's own `slice` is no copy.
    mutate: mutate.map(({ key, value }) => ({
      key,
      value: value === null ? null : new Uint8Array(value),
    })),
  };
}

function checkComparisons(compare: readonly Comparison[]): void {
  checkSteps(compare.length);
  for (const { key, modified } of compare) {
    checkKey(key);
    if (modified >= 0n && modified < 2n ** 63n) continue;
    throw new StorageError('INVALID', `${key}: ${modified} is no revision`);
  }
}

/** Bytes of keys and values. */
function checkMutations(mutate: readonly Mutation[]): number {
  checkSteps(mutate.length);
  const seen = new Set<string>();
  let bytes = 0;
  for (const { key, value } of mutate) {
    checkKey(key);
    if (seen.has(key)) throw new StorageError('INVALID', `key ${key} is written twice`);
    seen.add(key);
    bytes += key.length + (value?.length ?? 0);
    if (value === null || value.length <= limits.valueBytes) continue;
    throw new StorageError('INVALID', `${key}: a value has at most ${limits.valueBytes} bytes`);
  }
  return bytes;
}

function checkSteps(steps: number): void {
  const most = limits.transactionSteps;
  if (steps <= most) return;
  throw new StorageError('INVALID', `a transaction has at most ${most} steps, not ${steps}`);
}

function checkKey(key: string): void {
  const fault = keyFault(key);
  if (fault === null) return;
  const shown = JSON.stringify(key.slice(0, limits.keyLength));
  throw new StorageError('INVALID', `key ${shown}: ${fault}`);
}
