/**
 * What needs somebody's attention: a store that is short of space or full, or that has failed. `petal status` shows
 * it and ends with a status of its own, the log has a line when it begins and when it ends.
 */
import type { Log } from './log.ts';
import { formatSize } from './sizes.ts';

export type AlarmCode = 'STORE_FAILED' | 'STORE_FULL' | 'LOW_SPACE' | 'FLATTEN_STOPPED';

export interface Alarm {
  readonly code: AlarmCode;
  /** For people. */
  readonly message: string;
}

export interface PoolFacts {
  readonly capacity: number;
  readonly free: number;
  /** Why nothing is written any more, or null. */
  readonly failed: string | null;
}

/** Less than this is of no use to a writer: one piece of a host's write. */
const fullBytes = 1024 * 1024;

/** Space is low below `warnBelowBytes`; 0: never. */
export function alarmsOf(
  { capacity, free, failed }: PoolFacts,
  warnBelowBytes: number,
): readonly Alarm[] {
  const alarms: Alarm[] = [];
  if (failed !== null) alarms.push({ code: 'STORE_FAILED', message: failed });
  const left = `${formatSize(free)} of ${formatSize(capacity)} are free`;
  if (free < fullBytes) {
    alarms.push({ code: 'STORE_FULL', message: `${left}: thin disks refuse new data` });
  } else if (free < warnBelowBytes) {
    alarms.push({ code: 'LOW_SPACE', message: `${left}, less than ${formatSize(warnBelowBytes)}` });
  }
  return alarms;
}

/** Says in the log when an alarm begins and ends. */
export class AlarmLog {
  readonly #log: Log;
  #codes: ReadonlySet<AlarmCode> = new Set();

  constructor(log: Log) {
    this.#log = log;
  }

  look(alarms: readonly Alarm[]): void {
    const now = new Set(alarms.map(({ code }) => code));
    for (const { code, message } of alarms) {
      if (!this.#codes.has(code)) this.#log.warn({ alarm: code }, message);
    }
    for (const code of this.#codes) if (!now.has(code)) this.#log.info({ alarm: code }, 'is over');
    this.#codes = now;
  }
}
