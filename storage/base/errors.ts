/**
 * Expected failures of storage/: one class, a stable `code`, and whether trying again can help.
 * A broken invariant is not one of these: it throws AssertionError and ends the process.
 */

/** code → whether the same call may succeed later without anyone changing anything. */
const codes = {
  /** The pool has no room for new data; deletes and unmap still work. */
  NO_SPACE: false,
  /** No good copy of a block is left. */
  MEDIUM_ERROR: false,
  /** A write or sync of a disk failed: nothing more is acknowledged from it. */
  DISK_FAILED: false,
  /** Someone else owns the store, disk or name. */
  IN_USE: false,
  NOT_FOUND: false,
  EXISTS: false,
  /** A value from outside is wrong; the message says which and why. */
  INVALID: false,
  /** On-disk data that does not parse, or a checksum that does not match. */
  CORRUPT: false,
  /** Written by a newer version of the software. */
  TOO_NEW: false,
  /** Older than what was seen before, as after an old backup was restored. */
  TOO_OLD: false,
  /** A transaction's comparison did not hold. */
  CONFLICT: true,
  /** The outcome is not known; read back before trying again. */
  UNKNOWN_OUTCOME: true,
  /** Not now: closing, recovering, or too much in flight. */
  BUSY: true,
  MISCOMPARE: false,
} as const;
export type StorageErrorCode = keyof typeof codes;

export class StorageError extends Error {
  readonly code: StorageErrorCode;
  readonly retryable: boolean;
  /** With MISCOMPARE: byte offset of the first difference within the compared data. */
  readonly offset: number;

  constructor(
    code: StorageErrorCode,
    message: string,
    options?: ErrorOptions & { offset?: number },
  ) {
    super(message, options);
    this.name = 'StorageError';
    this.code = code;
    this.offset = options?.offset ?? 0;
    this.retryable = codes[code];
  }
}

/** Whether the medium could not give what stands there: whoever has another copy goes on. */
export const isMediumError = (error: unknown): boolean =>
  error instanceof StorageError && error.code === 'MEDIUM_ERROR';

/** What was caught as one of ours: as it is, or as `code` with its cause. */
export function storageError(
  cause: unknown,
  code: StorageErrorCode,
  message: string,
): StorageError {
  return cause instanceof StorageError ? cause : new StorageError(code, message, { cause });
}

/** Why a disk is not written to any more. */
export function diskFailure(name: string, cause: unknown): StorageError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return storageError(cause, 'DISK_FAILED', `${name}: ${why}`);
}
