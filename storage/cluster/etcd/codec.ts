/**
 * etcd's JSON gateway (v3 API as of 3.4; protobuf's JSON mapping): int64 are decimal strings, keys
 * and values base64, and what is false, zero or empty is left out: a transaction whose comparisons
 * did not hold has no `succeeded`, an empty value no `value`.
 *
 *   txn     {compare: [{key, target: "MOD", result: "EQUAL", mod_revision}], success: [op], failure: [op]}
 *   op      {request_range: …} | {request_put: {key, value}} | {request_delete_range: {key}}
 *   answer  {header: {revision}, succeeded?, responses: [{response_range: {kvs?, more?}} | …]}
 *   watch   one line each: {result: {header, created?, canceled?, compact_revision?, fragment?, events?}}
 *                        | {error: …}
 *   event   {type?: "DELETE", kv: {key, mod_revision, value?}}
 *
 * What etcd says is not trusted: anything else throws Malformed.
 */
import type { Revision } from '../directory.ts';

export class Malformed extends Error {}

/** A key and its value as they stand in etcd, below our prefix and all. */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modified: Revision;
}

export interface Range {
  readonly kvs: readonly KeyValue[];
  /** There are further keys. */
  readonly more: boolean;
}

export interface TxnAnswer {
  readonly revision: Revision;
  readonly succeeded: boolean;
  /** Of the ranges that were asked for, in their order; null for other operations. */
  readonly ranges: readonly (Range | null)[];
}

export interface WatchAnswer {
  readonly canceled: boolean;
  /** Not 0n: cancelled, since what was asked for was compacted. */
  readonly compacted: Revision;
  /** More events of the last revision follow. */
  readonly fragment: boolean;
  readonly events: readonly { readonly kv: KeyValue; readonly deleted: boolean }[];
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

/** The first key after all that begin with `prefix`. */
function endOf(prefix: string): string {
  const bytes = Buffer.from(prefix, 'utf8');
  const last = bytes.length - 1;
  // No byte of UTF-8 is 255.
  bytes[last]! += 1;
  return bytes.toString('base64');
}

export const ops = {
  put: (key: string, value: Uint8Array) => ({
    request_put: { key: base64(key), value: Buffer.from(value).toString('base64') },
  }),
  remove: (key: string) => ({ request_delete_range: { key: base64(key) } }),
  one: (key: string) => ({ request_range: { key: base64(key) } }),
  /** Keys that begin with `prefix`, from `from` on, in order; `revision` 0n: as it is now. */
  page(range: {
    readonly prefix: string;
    readonly from: string;
    readonly limit: number;
    readonly revision: Revision;
    readonly keysOnly: boolean;
  }) {
    return {
      request_range: {
        key: base64(range.from),
        range_end: endOf(range.prefix),
        limit: `${range.limit}`,
        revision: `${range.revision}`,
        keys_only: range.keysOnly,
      },
    };
  },
};
export type Op =
  | ReturnType<typeof ops.put>
  | ReturnType<typeof ops.remove>
  | ReturnType<typeof ops.one>
  | ReturnType<typeof ops.page>;

/** Holds when the key was last written at `modified`; 0n: when it is absent. */
export const written = (key: string, modified: Revision) => ({
  key: base64(key),
  target: 'MOD',
  result: 'EQUAL',
  mod_revision: `${modified}`,
});

export interface Txn {
  readonly compare: readonly ReturnType<typeof written>[];
  readonly success: readonly Op[];
  readonly failure: readonly Op[];
}

/** Every change below `prefix` from revision `from` on, in answers of bounded size. */
export const watchRequest = (prefix: string, from: Revision): string =>
  JSON.stringify({
    create_request: {
      key: base64(prefix),
      range_end: endOf(prefix),
      start_revision: `${from}`,
      progress_notify: true,
      fragment: true,
    },
  });

export function decodeTxn(text: string): TxnAnswer {
  const answer = object(parse(text), 'an answer');
  return {
    revision: revisionOf(answer),
    succeeded: flag(answer, 'succeeded'),
    ranges: list(answer, 'responses').map((response) => {
      const { response_range: range } = object(response, 'a response');
      return range === undefined ? null : decodeRange(object(range, 'a range'));
    }),
  };
}

const decodeRange = (range: Fields): Range => ({
  kvs: list(range, 'kvs').map(decodeKv),
  more: flag(range, 'more'),
});

export function decodeWatch(line: string): WatchAnswer {
  const { result, error } = object(parse(line), 'a line of a watch');
  if (error !== undefined) throw new Malformed(`the watch ended: ${errorText(error)}`);
  const answer = object(result, 'the answer of a watch');
  return {
    canceled: flag(answer, 'canceled'),
    compacted: integer(answer, 'compact_revision'),
    fragment: flag(answer, 'fragment'),
    events: list(answer, 'events').map((one) => {
      const event = object(one, 'an event');
      const type = event.type ?? 'PUT';
      if (type !== 'PUT' && type !== 'DELETE') throw new Malformed('an event of an unknown type');
      return { kv: decodeKv(event.kv), deleted: type === 'DELETE' };
    }),
  };
}

export interface GatewayError {
  /** gRPC's status code; -1: not etcd's words. */
  readonly code: number;
  readonly message: string;
}

/** What stands in an answer whose HTTP status is not 200. */
export function decodeError(text: string): GatewayError {
  try {
    const { code, message, error } = object(parse(text), 'an error');
    const known = typeof code === 'number' && Number.isInteger(code);
    return { code: known ? code : -1, message: errorText(message ?? error) };
  } catch {
    return { code: -1, message: text.slice(0, 200) };
  }
}

const errorText = (error: unknown): string =>
  (typeof error === 'string' ? error : (JSON.stringify(error) ?? 'no reason')).slice(0, 200);

type Fields = Readonly<Record<string, unknown>>;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Malformed('an answer that is no JSON');
  }
}

function object(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Malformed(`${what} is no object`);
}

function list(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name] ?? [];
  if (Array.isArray(value)) return value;
  throw new Malformed(`${name} is no list`);
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value === 'boolean') return value;
  throw new Malformed(`${name} is neither true nor false`);
}

/** A revision: never negative. */
function integer(fields: Fields, name: string): bigint {
  const value = fields[name] ?? '0';
  if (typeof value === 'string' && /^\d{1,19}$/.test(value)) return BigInt(value);
  throw new Malformed(`${name} is no revision`);
}

function bytes(fields: Fields, name: string): Buffer {
  const value = fields[name] ?? '';
  if (typeof value === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0) {
    return Buffer.from(value, 'base64');
  }
  throw new Malformed(`${name} is not in base64`);
}

function revisionOf(answer: Fields): Revision {
  const revision = integer(object(answer.header, 'a header'), 'revision');
  if (revision > 0n) return revision;
  throw new Malformed('a header without a revision');
}

function decodeKv(value: unknown): KeyValue {
  const kv = object(value, 'a key');
  const modified = integer(kv, 'mod_revision');
  if (modified === 0n) throw new Malformed('a key that was never written');
  // Not a view of Node's pool, which would keep much more alive.
  const content = new Uint8Array(bytes(kv, 'value'));
  return { key: bytes(kv, 'key').toString('latin1'), value: content, modified };
}
