/**
 * Expected failures of the control side: a stable `code` for programs and a message for people.
 * The API answers with both; the CLI prints the message.
 */
import { StorageError } from '#storage/base/errors.ts';

/** code → HTTP status. */
const statuses = {
  INVALID: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  EXISTS: 409,
  /** A session uses the disk; or somebody else owns the name or the store. */
  IN_USE: 409,
  TOO_LARGE: 413,
  UNSUPPORTED: 415,
  NO_SPACE: 507,
  /** Not now: starting, closing, too much in flight. */
  BUSY: 503,
  /** The store has failed: changes are refused, reads go on. */
  STORE_FAILED: 503,
  INTERNAL: 500,
} as const;
export type PetalErrorCode = keyof typeof statuses;

export class PetalError extends Error {
  readonly code: PetalErrorCode;

  constructor(code: PetalErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PetalError';
    this.code = code;
  }

  get httpStatus(): number {
    return statuses[this.code];
  }
}

/** What storage/ refuses, in the API's words; null when it is not an expected failure. */
export function fromStorage(error: unknown): PetalError | null {
  if (!(error instanceof StorageError)) return null;
  const options = { cause: error };
  switch (error.code) {
    case 'INVALID':
    case 'NOT_FOUND':
    case 'EXISTS':
    case 'IN_USE':
    case 'NO_SPACE':
      return new PetalError(error.code, error.message, options);
    case 'BUSY':
    case 'CONFLICT':
    case 'UNKNOWN_OUTCOME':
      return new PetalError('BUSY', error.message, options);
    case 'DISK_FAILED':
    case 'MEDIUM_ERROR':
    case 'CORRUPT':
    case 'TOO_NEW':
    case 'TOO_OLD':
      return new PetalError('STORE_FAILED', error.message, options);
    case 'MISCOMPARE':
      return null;
  }
}

/** Why the daemon cannot start; the message is one line for people. */
export class StartError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
  }
}

/** Failures of the world, not of the program: bad data, no permission, no space, a port taken. */
export function isExpected(error: unknown): error is Error {
  if (error instanceof StartError || error instanceof PetalError) return true;
  if (error instanceof StorageError) return true;
  // A system call's error: it has a name like EACCES and says what was tried with which path.
  const { syscall, code } = error as NodeJS.ErrnoException;
  return typeof syscall === 'string' && typeof code === 'string';
}
