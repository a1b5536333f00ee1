/**
 * Codecs of the bodies of messages, put together from small ones, so that a kind of message is one
 * row of a table (messages.ts) and not a pair of functions. What is written is read back equal; what
 * is read is within the bounds that stand in the table.
 */
import assert from 'node:assert/strict';
import { StorageError } from '../base/errors.ts';
import type { Reader, Writer } from './bytes.ts';

export interface Codec<T> {
  write(to: Writer, value: T): void;
  /** CORRUPT. */
  read(from: Reader): T;
}

export type Value<C> = C extends Codec<infer T> ? T : never;

export const u8: Codec<number> = { write: (to, v) => to.u8(v), read: (from) => from.u8() };
export const u16: Codec<number> = { write: (to, v) => to.u16(v), read: (from) => from.u16() };
export const u32: Codec<number> = { write: (to, v) => to.u32(v), read: (from) => from.u32() };
export const u64: Codec<bigint> = { write: (to, v) => to.u64(v), read: (from) => from.u64() };
/** A whole number up to 2^53 - 1 in eight bytes. */
export const safe: Codec<number> = { write: (to, v) => to.safe(v), read: (from) => from.safe() };
export const bool: Codec<boolean> = { write: (to, v) => to.bool(v), read: (from) => from.bool() };

export const text = (maxBytes: number): Codec<string> => ({
  write: (to, value) => to.text(value, maxBytes),
  read: (from) => from.text(maxBytes),
});

/** Bytes of a known length; what is read is a view of the message. */
export const fixed = (length: number): Codec<Uint8Array> => ({
  write(to, value) {
    if (value.length !== length) {
      throw new StorageError('INVALID', `${value.length} bytes in place of ${length}`);
    }
    to.bytes(value);
  },
  read: (from) => from.bytes(length),
});

export const bytes = (max: number): Codec<Uint8Array> => ({
  write(to, value) {
    to.count(value.length, max);
    to.bytes(value);
  },
  read: (from) => from.bytes(from.count(max)),
});

export const list = <T>(of: Codec<T>, max: number): Codec<readonly T[]> => ({
  write(to, values) {
    to.count(values.length, max);
    for (const value of values) of.write(to, value);
  },
  read(from) {
    const values: T[] = [];
    for (let left = from.count(max); left > 0; left -= 1) values.push(of.read(from));
    return values;
  },
});

export const nullable = <T>(of: Codec<T>): Codec<T | null> => ({
  write(to, value) {
    to.bool(value !== null);
    if (value !== null) of.write(to, value);
  },
  read: (from) => (from.bool() ? of.read(from) : null),
});

/** One of some words, numbered from 1 in their order: new ones go to the end. */
export const word = <const W extends readonly string[]>(...words: W): Codec<W[number]> => ({
  write(to, value) {
    const index = words.indexOf(value);
    if (index < 0) throw new StorageError('INVALID', `"${value}" is none of ${words.join(', ')}`);
    to.u8(index + 1);
  },
  read(from) {
    const number = from.u8();
    const found = words[number - 1];
    if (found === undefined) throw new StorageError('CORRUPT', `no word has the number ${number}`);
    return found;
  },
});

/** A field that older versions do not have: they are sent nothing, and read as `without`. */
export const since = <T>(version: number, of: Codec<T>, without: T): Codec<T> => ({
  write(to, value) {
    if (to.version >= version) of.write(to, value);
  },
  read: (from) => (from.version >= version ? of.read(from) : without),
});

/** Fields in the order in which they are named: new ones go to the end, with `since`. */
export function record<F extends Record<string, Codec<unknown>>>(
  fields: F,
): Codec<{ readonly [K in keyof F]: Value<F[K]> }> {
  const named = Object.entries(fields) as unknown as [string, Codec<unknown>][];
  assert(!Object.hasOwn(fields, '__proto__'));
  return {
    write(to, value) {
      const values = value as Record<string, unknown>;
      for (const [name, codec] of named) codec.write(to, values[name]);
    },
    read(from) {
      const value: Record<string, unknown> = {};
      for (const [name, codec] of named) value[name] = codec.read(from);
      return value as { readonly [K in keyof F]: Value<F[K]> };
    },
  };
}

/** Nothing, for messages of which it is enough that they come. */
export const nothing: Codec<Record<never, never>> = record({});
