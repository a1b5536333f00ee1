/**
 * Numbers for address spaces: each is given out once, ever. The counter in the Directory rises in the transaction
 * that takes them, so a crash loses numbers at most.
 */
import { StorageError } from '../base/errors.ts';
import type { Comparison, Mutation, Revision } from '../cluster/directory.ts';
import { keys } from './intents.ts';
import { limits } from './limits.ts';
import { decodeJson, encodeJson } from './record.ts';

const counterVersion = 1;

/** The next number and when the counter was written; 0n: not yet. */
export interface Counter {
  readonly value: number;
  readonly modified: Revision;
}

export interface TakenRefs {
  readonly refs: readonly number[];
  /** For the transaction that takes them. */
  readonly compare: Comparison;
  readonly mutate: Mutation;
  /** They are taken since `modified`. */
  took(modified: Revision): void;
}

export class Refs {
  #counter: Counter;

  constructor(counter: Counter) {
    this.#counter = counter;
  }

  take(count: number): TakenRefs {
    const { value, modified } = this.#counter;
    const next = value + count;
    if (next - 1 > limits.refMax) throw new StorageError('INVALID', 'no address space is left');
    return {
      refs: Array.from({ length: count }, (_, index) => value + index),
      compare: { key: keys.ref, modified },
      mutate: { key: keys.ref, value: encodeJson({ version: counterVersion, next }) },
      took: (since) => {
        this.#counter = { value: next, modified: since };
      },
    };
  }
}

export function decodeCounter(value: Uint8Array, what: string): number {
  const { next } = decodeJson(value, counterVersion, what);
  if (typeof next !== 'number' || !Number.isSafeInteger(next) || next < 1) {
    throw new StorageError('CORRUPT', `the store contradicts itself: ${what} is no counter`);
  }
  return next;
}
