/**
 * The two small files through which programs of the same user find the daemon: `token`, the API's
 * secret, made once and kept; `daemon.json`, where the running daemon is. Both mode 0600, written
 * to the side and renamed, so a reader sees all or nothing.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { StartError } from './errors.ts';

/** What daemon.json holds. */
export interface DaemonInfo {
  readonly pid: number;
  readonly version: string;
  /** `HOST:PORT` with the ports really bound; IPv6 in brackets. */
  readonly iscsi: readonly string[];
  /** `http://HOST:PORT`. */
  readonly api: string;
  readonly token: string;
}

/** 256 bits as 64 hex digits. Read from `path`, or made there at the first start. */
export function ensureToken(path: string): string {
  const known = readOrNull(path);
  if (known !== null) {
    const token = known.trim();
    if (/^[0-9a-f]{64}$/.test(token)) return token;
    throw new StartError(`${path} does not hold a token; remove it and a new one is made`);
  }
  const token = randomBytes(32).toString('hex');
  writePrivately(path, `${token}\n`);
  return token;
}

export function writeDaemonFile(path: string, info: DaemonInfo): void {
  writePrivately(path, `${JSON.stringify(info, null, 2)}\n`);
}

export function removeDaemonFile(path: string): void {
  rmSync(path, { force: true });
}

/** Null: no daemon has left word. Throws when the file is there and cannot be read or understood. */
export function readDaemonFile(path: string): DaemonInfo | null {
  const text = readOrNull(path);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is not valid JSON`, { cause });
  }
  if (!isDaemonInfo(value)) throw new Error(`${path} does not say where a daemon is`);
  return value;
}

function isDaemonInfo(value: unknown): value is DaemonInfo {
  if (value === null || typeof value !== 'object') return false;
  const { pid, api, token, version, iscsi } = value as Record<string, unknown>;
  return (
    typeof pid === 'number' &&
    typeof api === 'string' &&
    typeof token === 'string' &&
    typeof version === 'string' &&
    Array.isArray(iscsi)
  );
}

/** Only "not there" is null; anything else (no permission) is thrown. */
export function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** All or nothing, durably, mode 0600. */
export function writePrivately(path: string, text: string): void {
  const beside = `${path}.${process.pid}.new`;
  rmSync(beside, { force: true });
  const file = openSync(beside, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(beside, path);
  // The rename lasts only once the directory is on disk; a token that changed would lock users out.
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
