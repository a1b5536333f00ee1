/**
 * The configuration of a group in the Directory (replication.md, section 1): which of its servers are in
 * sync, under a version that only rises. It changes by compare-and-set alone.
 */
import { StorageError } from '../base/errors.ts';
import type { Directory, Revision } from '../cluster/directory.ts';

/** A server that is in sync, with the store that it was in sync with: another store is not it. */
export interface Synced {
  readonly server: string;
  readonly store: string;
}

export interface Configuration {
  readonly version: number;
  /** Never empty. */
  readonly insync: readonly Synced[];
}

export interface Registered {
  readonly configuration: Configuration;
  readonly modified: Revision;
}

/** The name of the group of these servers, in whatever order they come. */
export const groupOf = (servers: readonly string[]): string => [...servers].sort().join('+');

const keyOf = (group: string): string => `group/${group}`;

export function encodeConfiguration(configuration: Configuration): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(configuration));
}

/** CORRUPT. */
export function decodeConfiguration(group: string, value: Uint8Array): Configuration {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value));
  } catch {
    parsed = null;
  }
  if (isConfiguration(parsed)) return parsed;
  throw new StorageError('CORRUPT', `the configuration of group ${group} does not parse`);
}

function isConfiguration(value: unknown): value is Configuration {
  if (typeof value !== 'object' || value === null) return false;
  const { version, insync } = value as Partial<Configuration>;
  if (!Number.isSafeInteger(version) || (version as number) < 1) return false;
  if (!Array.isArray(insync) || insync.length === 0) return false;
  return insync.every(
    (each: Partial<Synced> | null) =>
      typeof each?.server === 'string' && typeof each.store === 'string',
  );
}

/** NOT_FOUND, and what the Directory says. */
export async function readConfiguration(directory: Directory, group: string): Promise<Registered> {
  const entry = await directory.get(keyOf(group));
  if (entry === null) throw new StorageError('NOT_FOUND', `there is no group ${group}`);
  return {
    configuration: decodeConfiguration(group, entry.value),
    modified: entry.modified,
  };
}

/** CONFLICT: it is no longer `from`. UNKNOWN_OUTCOME: to be settled by a bump. */
export async function changeConfiguration(
  directory: Directory,
  group: string,
  from: Registered | null,
  to: Configuration,
): Promise<void> {
  const key = keyOf(group);
  await directory.commit(
    [{ key, modified: from?.modified ?? 0n }],
    [{ key, value: encodeConfiguration(to) }],
  );
}
