/**
 * The daemon's log: one JSON object a line on stderr (for journald and files), or a short line for
 * people when stderr is a terminal. Secrets are never logged: keys that hold one are redacted, and
 * nothing passes the token here in the first place.
 */
import pino from 'pino';
import type { LogLevel } from './settings.ts';

export interface Log {
  info(object: object, message: string): void;
  warn(object: object, message: string): void;
  error(object: object, message: string): void;
  fatal(object: object, message: string): void;
}

const redacted = [
  'token',
  'authorization',
  '*.token',
  '*.authorization',
  '*.headers.authorization',
];

export function makeLog(level: LogLevel, terminal: boolean = process.stderr.isTTY === true): Log {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: redacted, censor: '[redacted]' },
  };
  // Synchronous: a line is out before the process can die; the daemon logs rarely.
  const stderr = pino.destination({ fd: 2, sync: true });
  if (!terminal) return pino(options, stderr);
  return pino(options, { write: (line: string) => stderr.write(forPeople(line)) });
}

/** `12:34:56 INFO  message key=value`, from a line of pino's JSON. */
export function forPeople(line: string): string {
  const { level, time, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const clock = String(time).slice(11, 19);
  const detail = Object.entries(rest).map(([key, value]) => ` ${key}=${plain(value)}`);
  const stack = (err as { stack?: unknown } | undefined)?.stack;
  const trace = typeof stack === 'string' ? `\n${stack}` : '';
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${msg}${detail.join('')}${trace}\n`;
}

function plain(value: unknown): string {
  return typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value);
}
