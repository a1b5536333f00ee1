/**
 * One process owns a store for its whole life: an exclusive flock(2) on the very descriptor that the
 * store is read and written through. The lock lives on the open file description, so a child
 * (`flock 3`) that inherits the descriptor can take it for us; the kernel drops it when our last
 * descriptor is closed, however we die.
 *
 * Beside it lies a note for people that says who holds it. The note proves nothing, the lock does: a
 * note without a lock is left over from a crash and is written over.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { run } from './helper.ts';
import { limits } from './limits.ts';

/** Not 1, which also says that the program was used wrongly. */
const heldStatus = 75;

export interface LockOptions {
  /** What is locked, for people: a path. */
  readonly name: string;
  /** Path of the note. */
  readonly note: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Takes the lock on `fd`, or IN_USE naming the holder. Returns the way to take the note away. */
export async function lockStore(fd: number, options: LockOptions): Promise<() => void> {
  const { name, note, clock, log } = options;
  const wait = `${limits.patienceMs / 1000}`;
  const args = ['-x', '-w', wait, '-E', `${heldStatus}`, '3'];
  const { status, output } = await run('flock', args, [fd]);
  if (status === heldStatus) throw inUse(name, note);
  if (status !== 0) throw new StorageError('INVALID', `${name} cannot be locked: ${output}`);
  const holder = { pid: process.pid, host: hostname(), since: new Date(clock.wall()) };
  const text = `${JSON.stringify(holder)}\n`;
  try {
    mkdirSync(dirname(note), { recursive: true });
    writeFileSync(note, text, { mode: 0o644 });
  } catch (err) {
    log.warn({ err, note }, 'cannot leave a note of who uses the store; the lock itself holds');
  }
  return () => {
    if (readNote(note) === text) rmSync(note, { force: true });
  };
}

/** IN_USE, with the name of the holder as the note has it. */
export function inUse(name: string, note: string, cause?: unknown): StorageError {
  const message = `${name} is in use by ${holderOf(note) ?? 'another program'}`;
  return new StorageError('IN_USE', message, { cause });
}

function holderOf(note: string): string | null {
  const text = readNote(note);
  if (text === null) return null;
  try {
    const { pid, host, since } = JSON.parse(text) as Record<string, unknown>;
    if (!Number.isInteger(pid) || typeof host !== 'string') return null;
    return `process ${pid} on ${host} since ${since}`;
  } catch {
    return null; // Being written this moment, or not ours: the lock has spoken, the name is a help.
  }
}

function readNote(note: string): string | null {
  try {
    return readFileSync(note, 'utf8');
  } catch {
    return null; // No note: the holder could not leave one.
  }
}
