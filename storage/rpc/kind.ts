/** A kind of message: what a row of the table (messages.ts) says of it. */
import assert from 'node:assert/strict';
import type { Codec, Value } from './codec.ts';

export interface Kind<Q, A> {
  /** On the wire; never zero, never used again for something else. */
  readonly number: number;
  /** The protocol's version that brought it. */
  readonly since: number;
  /** Whether doing it twice is as good as once, so that it may be sent again when its outcome is unknown. */
  readonly idempotent: boolean;
  readonly request: Codec<Q>;
  readonly response: Codec<A>;
  /** The payload of the answer to `request` is at most so long. */
  replyBytes(request: Q): number;
}

export type KindTable = Readonly<Record<string, Kind<unknown, unknown>>>;
export type Request<T extends KindTable, K extends keyof T> = Value<T[K]['request']>;
export type Response<T extends KindTable, K extends keyof T> = Value<T[K]['response']>;

export function kind<Q, A>(
  number: number,
  about: {
    readonly since: number;
    readonly idempotent: boolean;
    readonly request: Codec<Q>;
    readonly response: Codec<A>;
    readonly replyBytes?: (request: Q) => number;
  },
): Kind<Q, A> {
  return { replyBytes: () => 0, ...about, number };
}

/** Rows by their number. */
export function byNumber(table: KindTable): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const [name, { number, since }] of Object.entries(table)) {
    assert(Number.isInteger(number) && number >= 1 && number <= 0xffff && since >= 1, name);
    assert(!names.has(number), `${name} has the number of ${names.get(number)}`);
    names.set(number, name);
  }
  return names;
}
