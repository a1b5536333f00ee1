/**
 * Buffers for data that has to wait: writes being collected, reads that the device answers later,
 * PDUs that arrive in pieces. Size classes are powers of two; idle buffers are kept up to a bound.
 *
 * `WriteBudget` says how much of them the writes of one session, and of all, may hold at once.
 */
import { strict as assert } from 'node:assert';

const SMALLEST_BYTES = 4096;
const CLASSES = 13;
/** Idle buffers kept for reuse, all classes together. */
const IDLE_BYTES_MAX = 64 * 1024 * 1024;

function classOf(bytes: number): number {
  return bytes <= SMALLEST_BYTES ? 0 : 32 - Math.clz32(bytes - 1) - 12;
}

/** Bytes that a buffer for `bytes` really takes. */
export function bufferBytes(bytes: number): number {
  return SMALLEST_BYTES << classOf(bytes);
}

export class BufferPool {
  readonly #idle: Buffer[][] = Array.from({ length: CLASSES }, () => []);
  #idleBytes = 0;

  /** A buffer of at least `bytes` bytes, with any content. */
  take(bytes: number): Buffer {
    const index = classOf(bytes);
    assert(index < CLASSES, `no buffer of ${bytes} bytes`);
    const idle = this.#idle[index]!.pop();
    if (idle === undefined) return Buffer.alloc(SMALLEST_BYTES << index);
    this.#idleBytes -= idle.length;
    return idle;
  }

  give(buffer: Buffer): void {
    if (this.#idleBytes + buffer.length > IDLE_BYTES_MAX) return;
    this.#idleBytes += buffer.length;
    this.#idle[classOf(buffer.length)]!.push(buffer);
  }
}

/** Wants to be told when room may have come back. */
export interface BudgetWaiter {
  budgetFreed(): void;
}

/** Room for the write buffers of all sessions of a server. */
export class WriteBudget {
  readonly #total: number;
  #used = 0;
  readonly #waiters = new Set<BudgetWaiter>();

  constructor(totalBytes: number) {
    this.#total = totalBytes;
  }

  get used(): number {
    return this.#used;
  }

  /** Most of it is in use: sessions should ask for less. */
  get tight(): boolean {
    return this.#used * 4 > this.#total * 3;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#total) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    assert(this.#used >= 0, 'more room was given back than taken');
    if (this.#waiters.size === 0) return;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.budgetFreed();
  }

  wait(waiter: BudgetWaiter): void {
    this.#waiters.add(waiter);
  }

  forget(waiter: BudgetWaiter): void {
    this.#waiters.delete(waiter);
  }
}
