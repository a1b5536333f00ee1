/**
 * Whose the keys in etcd are and of which generation. All our keys have one prefix:
 *
 *   PREFIXcluster              the record: JSON {format: 1, clusterId, generation}; generation a decimal string
 *   PREFIXcommits/CLIENT/SLOT  what CLIENT wrote last with that slot (slots.ts)
 *   PREFIXdata/KEY             the Directory
 */
import { StorageError } from '../../base/errors.ts';
import type { Revision, Seen } from '../directory.ts';
import type { KeyValue, Range } from './codec.ts';

export interface Keys {
  readonly all: string;
  readonly record: string;
  readonly data: string;
  readonly slots: string;
}

/** INVALID. */
export function keysOf(prefix: string, client: string): Keys {
  if (!/^[!-~]{1,128}$/.test(prefix)) {
    throw new StorageError('INVALID', 'the prefix of the keys is 1…128 printable ASCII characters');
  }
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(client)) {
    throw new StorageError('INVALID', `"${client}" is no name for a client: 1…64 of A-Za-z0-9._-`);
  }
  return {
    all: prefix,
    record: `${prefix}cluster`,
    data: `${prefix}data/`,
    slots: `${prefix}commits/${client}/`,
  };
}

export interface ClusterRecord {
  readonly clusterId: string;
  readonly generation: bigint;
  /** Revision that wrote it: it changes only when the generation does. */
  readonly modified: Revision;
}

const format = 1;

export function encodeRecord(clusterId: string, generation: bigint): Uint8Array {
  return Buffer.from(JSON.stringify({ format, clusterId, generation: `${generation}` }), 'utf8');
}

/** Null: there is none. CORRUPT, TOO_NEW. */
export function decodeRecord(range: Range | null | undefined): ClusterRecord | null {
  const [kv] = range?.kvs ?? [];
  return kv === undefined ? null : decode(kv);
}

function decode(kv: KeyValue): ClusterRecord {
  const fields = parsed(kv.value);
  if (typeof fields?.format === 'number' && fields.format > format) {
    const text = `the Directory was written by a newer version of Petal (format ${fields.format})`;
    throw new StorageError('TOO_NEW', text);
  }
  const { clusterId, generation } = fields ?? {};
  const whole = typeof generation === 'string' && /^[1-9]\d{0,18}$/.test(generation);
  if (fields?.format === format && typeof clusterId === 'string' && clusterId !== '' && whole) {
    return { clusterId, generation: BigInt(generation), modified: kv.modified };
  }
  throw new StorageError('CORRUPT', `${kv.key} in etcd is not the record of a cluster`);
}

function parsed(value: Uint8Array): Record<string, unknown> | null {
  try {
    const fields: unknown = JSON.parse(Buffer.from(value).toString('utf8'));
    return typeof fields === 'object' && fields !== null ? { ...fields } : null;
  } catch {
    return null;
  }
}

/** INVALID: another cluster's. TOO_OLD: what was seen is not in it. */
export function refuseOlder(now: Seen, atLeast: Seen): void {
  if (now.clusterId !== atLeast.clusterId) {
    const text = `etcd holds cluster ${now.clusterId}, not ${atLeast.clusterId}`;
    throw new StorageError('INVALID', text);
  }
  if (now.generation > atLeast.generation) return;
  if (now.generation < atLeast.generation || now.revision < atLeast.revision) {
    throw tooOld(`${shown(now)} was found, ${shown(atLeast)} was seen before`);
  }
}

const shown = ({ generation, revision }: Seen): string =>
  `generation ${generation}, revision ${revision}`;

export const tooOld = (why: string): StorageError =>
  new StorageError('TOO_OLD', `the state in etcd is older than what was seen of it: ${why}`);
