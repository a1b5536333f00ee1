/** How calls end other than with a result: errors that the other side sent, and those of the way. */

import { StorageError, type StorageErrorCode } from '../base/errors.ts';
import type { Reader, Writer } from './bytes.ts';
import { limits } from './limits.ts';

export type RpcReason =
  /** The channel died, or there is none. */
  | 'closed'
  /** Time is up. */
  | 'deadline'
  /** The caller cancelled it before it was sent. */
  | 'cancelled'
  /** Too much in flight or waiting. */
  | 'full'
  /** The other side, or the version that both speak, does not know the kind of message. */
  | 'unsupported'
  /** No version is spoken by both. */
  | 'version'
  /** The other side is not who it should be, or no member. */
  | 'stranger';

/**
 * A call that got no answer. `sent` with code UNKNOWN_OUTCOME: it may or may not have been carried
 * out. Not `sent`: nothing of it has left, so nothing was done.
 */
export class RpcError extends StorageError {
  readonly reason: RpcReason;
  readonly sent: boolean;

  constructor(reason: RpcReason, sent: boolean, message: string, options?: ErrorOptions) {
    const settled = reason === 'unsupported' || reason === 'version' || reason === 'stranger';
    super(settled ? 'INVALID' : sent ? 'UNKNOWN_OUTCOME' : 'BUSY', message, options);
    this.name = 'RpcError';
    this.reason = reason;
    this.sent = sent;
  }
}

/** Numbers on the wire; they never change their meaning. */
const numbers: Readonly<Record<StorageErrorCode, number>> = {
  NO_SPACE: 1,
  MEDIUM_ERROR: 2,
  DISK_FAILED: 3,
  IN_USE: 4,
  NOT_FOUND: 5,
  EXISTS: 6,
  INVALID: 7,
  CORRUPT: 8,
  TOO_NEW: 9,
  CONFLICT: 10,
  UNKNOWN_OUTCOME: 11,
  BUSY: 12,
  MISCOMPARE: 13,
  TOO_OLD: 14,
};
const codes = new Map(
  Object.entries(numbers).map(([code, number]) => [number, code as StorageErrorCode]),
);
/** The kind of message is not known, or nobody serves it. */
const unsupported = 255;

/** The body of a failure; returns its number. */
export function writeFailure(to: Writer, error: StorageError): number {
  const text = error.message.slice(0, limits.rpcFailureLetters).toWellFormed();
  to.text(text, limits.rpcFailureLetters * 3);
  to.safe(error.offset);
  const refused = error instanceof RpcError && error.reason === 'unsupported';
  return refused ? unsupported : numbers[error.code];
}

/** What the other side's handler threw, as an error of this side. CORRUPT. */
export function readFailure(number: number, from: Reader): StorageError {
  const message = from.text(limits.rpcFailureLetters * 3);
  const offset = from.safe();
  from.end();
  if (number === unsupported) return new RpcError('unsupported', true, message);
  const code = codes.get(number);
  if (code === undefined) throw new StorageError('CORRUPT', `no error has the number ${number}`);
  return new StorageError(code, message, { offset });
}
