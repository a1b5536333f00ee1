/**
 * Where the transport says what happened, and the bound on what strangers can make it say: logins
 * that come to nothing are logged one by one up to so many a minute, and then counted.
 */
import type { Clock } from '../clock.ts';

export interface Log {
  info(object: object, message: string): void;
  warn(object: object, message: string): void;
  error(object: object, message: string): void;
}

export const quietLog: Log = { info() {}, warn() {}, error() {} };

/** What anyone can make us say before proving anything: bounded. */
export const LOGIN_REFUSED = 'login refused';
export const NOT_REDIRECTED = 'login not redirected but served here';

const LINES_MAX = 30;
const WINDOW_MS = 60_000;

export function limitedLog(log: Log, clock: Clock): Log {
  let windowEnds = 0;
  let count = 0;
  return {
    warn: (object, message) => log.warn(object, message),
    error: (object, message) => log.error(object, message),
    info(object, message) {
      if (message !== LOGIN_REFUSED && message !== NOT_REDIRECTED) {
        log.info(object, message);
        return;
      }
      const now = clock.now();
      if (now >= windowEnds) {
        if (count > LINES_MAX) log.warn({ count }, 'many logins were refused or not redirected');
        windowEnds = now + WINDOW_MS;
        count = 0;
      }
      if (++count <= LINES_MAX) log.info(object, message);
    },
  };
}
