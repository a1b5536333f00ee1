/**
 * Where storage/ tells people what happened: facts first, then one sentence. The shape is pino's, so
 * that the daemon hands its logger down as it is.
 */

export interface Log {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** For callers that do not want to hear. */
export const silentLog: Log = {
  info: () => {},
  warn: () => {},
  error: () => {},
};
