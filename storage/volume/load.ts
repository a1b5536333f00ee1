/**
 * What a store knows of its disks, read at open: records, names and the counter at one revision;
 * intents finished or undone; then Directory and blocks are held against each other. A disk without
 * its content, or a name without its disk, is CORRUPT and the store stays closed: serving zeros in
 * place of data is the one thing that must not happen.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Directory, DirectoryEntry, Mutation, Revision } from '../cluster/directory.ts';
import { blockBytes } from '../map/blocks.ts';
import type { ImageBlocks } from '../map/images.ts';
import { decodeIntent, dropSpace, flushed, type Intent, keys } from './intents.ts';
import { decodeJson, decodeRecord, encodeJson } from './record.ts';
import { type Counter, decodeCounter } from './refs.ts';
import { decodeSnapshot, type SnapshotRecord } from './snapshot.ts';
import { trim } from './trim.ts';
import type { DiskRecord } from './volume.ts';

const valueVersion = 1;

export const encodeName = (id: string): Uint8Array => encodeJson({ version: valueVersion, id });

interface LoadPorts {
  readonly directory: Directory;
  readonly blocks: ImageBlocks;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Loaded {
  readonly disks: Map<string, { record: DiskRecord; modified: Revision }>;
  readonly snapshots: Map<string, { record: SnapshotRecord; modified: Revision }>;
  readonly nextRef: Counter;
}

export async function load(ports: LoadPorts): Promise<Loaded> {
  await resolveIntents(ports);
  const { entries } = await ports.directory.list('');
  const disks: Loaded['disks'] = new Map();
  const snapshots: Loaded['snapshots'] = new Map();
  const names = new Map<string, string>();
  let nextRef: Counter = { value: 1, modified: 0n };
  for (const entry of entries) {
    const { key, value, modified } = entry;
    const what = `Directory entry ${key}`;
    if (key === keys.ref) nextRef = { value: decodeCounter(value, what), modified };
    else if (/^(?:snapshot-)?name\//.test(key)) names.set(key, decodeName(entry));
    else if (key.startsWith(keys.disk(''))) {
      const record = decodeRecord(value, what);
      if (keys.disk(record.id) !== key) throw corrupt(`entry ${key} holds disk ${record.id}`);
      disks.set(record.id, { record, modified });
    } else if (key.startsWith(keys.snapshot(''))) {
      const record = decodeSnapshot(value, what);
      if (keys.snapshot(record.id) !== key) throw corrupt(`entry ${key} holds ${record.id}`);
      snapshots.set(record.id, { record, modified });
    }
  }
  checkNames(disks, snapshots, names);
  await checkSpaces(ports, disks, snapshots, nextRef.value);
  return { disks, snapshots, nextRef };
}

async function resolveIntents(ports: LoadPorts): Promise<void> {
  const { directory, blocks, log } = ports;
  const { entries } = await directory.list(keys.intent(''));
  for (const { key, value, modified } of entries) {
    const intent = decodeIntent(value, `Directory entry ${key}`);
    log.warn({ intent: intent.op }, 'finishing what a crash interrupted');
    switch (intent.op) {
      case 'trim':
        await trim(ports, intent.ref, intent.from, intent.to);
        await blocks.reserve(intent.ref, intent.reserved);
        await flushed(blocks, intent.ref);
        break;
      case 'revert':
        await blocks.revert(intent.ref, intent.from);
        await blocks.reserve(intent.ref, intent.reserved);
        await flushed(blocks, intent.ref);
        break;
      case 'spaces':
        for (const ref of intent.refs) await dropSpace(blocks, ref);
        break;
      case 'create':
      case 'purge':
        await dropSpace(blocks, intent.ref);
    }
    const id = key.slice(keys.intent('').length);
    const freed = await namesOf(directory, intent, id);
    await directory.commit([{ key, modified }], [{ key, value: null }, ...freed]);
  }
}

/** The names that what is undone took, if they are still its own. */
async function namesOf(directory: Directory, intent: Intent, id: string): Promise<Mutation[]> {
  const taken =
    intent.op === 'create'
      ? [{ key: keys.name(intent.name), id }]
      : intent.op === 'spaces'
        ? intent.names
        : [];
  const freed: Mutation[] = [];
  for (const { key, id: owner } of taken) {
    const entry = await directory.get(key);
    if (entry !== null && decodeName(entry) === owner) freed.push({ key, value: null });
  }
  return freed;
}

function checkNames(
  disks: Loaded['disks'],
  snapshots: Loaded['snapshots'],
  names: ReadonlyMap<string, string>,
): void {
  const owners = new Map<string, string>();
  for (const { record } of disks.values()) {
    if (record.removed === null) owners.set(keys.name(record.name), record.id);
  }
  for (const { record } of snapshots.values()) {
    const disk = disks.get(record.disk)?.record;
    if (disk === undefined || disk.removed !== null) {
      throw corrupt(`the disk of snapshot "${record.name}" (${record.id}) is missing`);
    }
    owners.set(keys.snapshotName(record.disk, record.name), record.id);
  }
  for (const [key, id] of owners) {
    if (names.get(key) !== id) throw corrupt(`${id} has lost its name (${key})`);
  }
  for (const [key, id] of names) {
    if (owners.get(key) !== id) throw corrupt(`${key} leads nowhere`);
  }
}

async function checkSpaces(
  ports: LoadPorts,
  disks: Loaded['disks'],
  snapshots: Loaded['snapshots'],
  next: number,
): Promise<void> {
  const { blocks, log } = ports;
  const orphans = new Set(blocks.refs());
  const owners = new Map<number, string>();
  const own = (kind: string, { id, ref, name }: DiskRecord | SnapshotRecord): void => {
    if (owners.has(ref)) throw corrupt(`${owners.get(ref)} and ${id} share a space`);
    if (ref >= next) throw corrupt(`${kind} ${id} has a space that was never given out`);
    if (!orphans.delete(ref)) throw corrupt(`the content of ${kind} "${name}" (${id}) is missing`);
    owners.set(ref, id);
  };
  for (const { record } of disks.values()) {
    own('disk', record);
    const { ref, name } = record;
    if (snapshots.size > 0 && blocks.isFrozen(ref)) {
      throw corrupt(`disk "${name}" is frozen`);
    }
    const promised = record.reserved ? record.size / blockBytes : 0;
    if (blocks.usage(ref).reserved !== promised) await blocks.reserve(ref, promised);
  }
  for (const { record } of snapshots.values()) {
    own('snapshot', record);
    if (!blocks.isFrozen(record.ref)) {
      throw corrupt(`snapshot "${record.name}" (${record.id}) can be written to`);
    }
  }
  // Nothing of ours makes these; they are kept, because content is never dropped on a guess.
  if (orphans.size > 0) log.error({ spaces: [...orphans] }, 'the store holds content of no disk');
}

function decodeName(entry: DirectoryEntry): string {
  const { id } = decodeJson(entry.value, valueVersion, `Directory entry ${entry.key}`);
  if (typeof id !== 'string') throw corrupt(`entry ${entry.key} has no id`);
  return id;
}

const corrupt = (what: string): StorageError =>
  new StorageError('CORRUPT', `the store contradicts itself: ${what}`);
