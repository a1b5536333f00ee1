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
import { type Blocks, blockBytes } from '../map/blocks.ts';
import { decodeIntent, dropSpace, flushed, type Intent, keys } from './intents.ts';
import { decodeJson, decodeRecord, encodeJson } from './record.ts';
import { trim } from './trim.ts';
import type { DiskRecord } from './volume.ts';

const valueVersion = 1;

export const encodeName = (id: string): Uint8Array => encodeJson({ version: valueVersion, id });
export const encodeCounter = (next: number): Uint8Array =>
  encodeJson({ version: valueVersion, next });

interface LoadPorts {
  readonly directory: Directory;
  readonly blocks: Blocks;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Loaded {
  readonly disks: Map<string, { record: DiskRecord; modified: Revision }>;
  readonly nextRef: { value: number; modified: Revision };
}

export async function load(ports: LoadPorts): Promise<Loaded> {
  await resolveIntents(ports);
  const { entries } = await ports.directory.list('');
  const disks: Loaded['disks'] = new Map();
  const names = new Map<string, string>();
  let nextRef: Loaded['nextRef'] = { value: 1, modified: 0n };
  for (const entry of entries) {
    const { key, value, modified } = entry;
    if (key === keys.ref) nextRef = { value: decodeCounter(entry), modified };
    else if (key.startsWith(keys.name(''))) {
      names.set(key.slice(keys.name('').length), decodeName(entry));
    } else if (key.startsWith(keys.disk(''))) {
      const record = decodeRecord(value, `Directory entry ${key}`);
      if (keys.disk(record.id) !== key) throw corrupt(`entry ${key} holds disk ${record.id}`);
      disks.set(record.id, { record, modified });
    }
  }
  checkNames(disks, names);
  await checkSpaces(ports, disks, nextRef.value);
  return { disks, nextRef };
}

async function resolveIntents(ports: LoadPorts): Promise<void> {
  const { directory, blocks, log } = ports;
  const { entries } = await directory.list(keys.intent(''));
  for (const { key, value, modified } of entries) {
    const intent = decodeIntent(value, `Directory entry ${key}`);
    log.warn({ intent: intent.op, ref: intent.ref }, 'finishing what a crash interrupted');
    if (intent.op === 'trim') {
      await trim(ports, intent.ref, intent.from, intent.to);
      await blocks.reserve(intent.ref, intent.reserved);
      await flushed(blocks, intent.ref);
    } else {
      await dropSpace(blocks, intent.ref);
    }
    const id = key.slice(keys.intent('').length);
    const freed = await nameOf(directory, intent, id);
    await directory.commit([{ key, modified }], [{ key, value: null }, ...freed]);
  }
}

/** The name that an unfinished creation took, if it is still this disk's. */
async function nameOf(directory: Directory, intent: Intent, id: string): Promise<Mutation[]> {
  if (intent.op !== 'create') return [];
  const entry = await directory.get(keys.name(intent.name));
  if (entry === null || decodeName(entry) !== id) return [];
  return [{ key: entry.key, value: null }];
}

function checkNames(disks: Loaded['disks'], names: ReadonlyMap<string, string>): void {
  for (const { record } of disks.values()) {
    if (record.removed === null && names.get(record.name) !== record.id) {
      throw corrupt(`disk ${record.id} has lost its name "${record.name}"`);
    }
  }
  for (const [name, id] of names) {
    const record = disks.get(id)?.record;
    if (record === undefined || record.removed !== null || record.name !== name) {
      throw corrupt(`name "${name}" leads to no disk`);
    }
  }
}

async function checkSpaces(ports: LoadPorts, disks: Loaded['disks'], next: number): Promise<void> {
  const { blocks, log } = ports;
  const orphans = new Set(blocks.refs());
  const owners = new Map<number, string>();
  for (const { record } of disks.values()) {
    const { id, ref, name } = record;
    if (owners.has(ref)) throw corrupt(`disks ${owners.get(ref)} and ${id} share a space`);
    if (ref >= next) throw corrupt(`disk ${id} has a space that was never given out`);
    if (!orphans.delete(ref)) throw corrupt(`the content of disk "${name}" (${id}) is missing`);
    owners.set(ref, id);
    const promised = record.reserved ? record.size / blockBytes : 0;
    if (blocks.usage(ref).reserved !== promised) await blocks.reserve(ref, promised);
  }
  // Nothing of ours makes these; they are kept, because content is never dropped on a guess.
  if (orphans.size > 0) log.error({ spaces: [...orphans] }, 'the store holds content of no disk');
}

function decodeName(entry: DirectoryEntry): string {
  const { id } = decodeJson(entry.value, valueVersion, `Directory entry ${entry.key}`);
  if (typeof id !== 'string') throw corrupt(`entry ${entry.key} has no id`);
  return id;
}

function decodeCounter(entry: DirectoryEntry): number {
  const { next } = decodeJson(entry.value, valueVersion, `Directory entry ${entry.key}`);
  if (typeof next !== 'number' || !Number.isSafeInteger(next) || next < 1) {
    throw corrupt(`entry ${entry.key} is no counter`);
  }
  return next;
}

const corrupt = (what: string): StorageError =>
  new StorageError('CORRUPT', `the store contradicts itself: ${what}`);
