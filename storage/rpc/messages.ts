/**
 * Petal's messages between servers, all of them: number, version, whether it may be sent twice, what is
 * asked and what is answered. docs/rpc.md says what each is for.
 *
 * Numbers and meanings stay for ever. A new field goes to the end of its record as `since(version, …)`, a
 * new kind to the end of the table with a new number. Both raise `protocol.most`. What both sides no
 * longer need is kept until `protocol.least` has passed it.
 *
 * A refusal that the caller acts on is part of the answer (`outcome`); errors are for what went wrong.
 */
import {
  bool,
  bytes,
  fixed,
  list,
  nothing,
  nullable,
  record,
  safe,
  text,
  u8,
  u16,
  u32,
  word,
} from './codec.ts';
import { kind } from './kind.ts';
import { limits } from './limits.ts';

export const protocol = { least: 1, most: 1 } as const;

const payloadBytes = limits.rpcMessageBytes - limits.rpcBodyBytes;

const server = text(63);
/** Ids of at most seven servers. */
const group = text(450);
/** Of a write: the version of the configuration counts first. */
const number = record({ version: safe, counter: safe });
const configuration = record({ group, version: safe, insync: list(server, 7) });
/** Which write of which client. */
const origin = { client: safe, sequence: safe };
const mark = record({ disk: u32, chunk: safe, number });
const marks = list(mark, 1024);
const chunks = list(record({ disk: u32, chunk: safe }), 2048);
/** A range of a disk in bytes. */
const range = { disk: u32, offset: safe, length: u32 };
/** Sent under a configuration of a group. */
const under = { group, version: safe };

export const kinds = {
  /** A sign of life; the answer grants read leases for groups at the versions that both know. */
  heartbeat: kind(1, {
    since: 1,
    idempotent: true,
    request: record({
      incarnation: safe,
      clockMs: safe,
      groups: list(record(under), 512),
    }),
    response: record({
      incarnation: safe,
      clockMs: safe,
      grants: list(record(under), 64),
    }),
  }),
  /** From a gateway to the coordinator. The payload is the data; none for the other operations. */
  write: kind(2, {
    since: 1,
    idempotent: true, // By client and sequence: it takes effect at most once.
    request: record({
      ...under,
      ...range,
      operation: word('write', 'unmap', 'zeroes', 'compare'),
      durable: bool,
      ...origin,
      lowWater: safe,
      /** When it arrived, on the coordinator's clock. */
      arrivedLowMs: safe,
      arrivedHighMs: safe,
      reservation: safe,
    }),
    response: record({
      outcome: word('done', 'elsewhere', 'expired', 'overtaken', 'past', 'reserved', 'miscompare'),
      offset: u32,
      configuration: nullable(configuration),
    }),
  }),
  /** From the coordinator to the other copies, on top of the chunk's previous write. */
  replicate: kind(3, {
    since: 1,
    idempotent: true, // By its number.
    request: record({
      ...under,
      ...range,
      operation: word('write', 'unmap', 'zeroes'),
      durable: bool,
      epoch: u32,
      number,
      previous: number,
      ...origin,
      lowWater: safe,
    }),
    response: record({
      outcome: word('durable', 'held', 'version', 'order', 'epoch'),
      version: safe,
      epoch: u32,
    }),
  }),
  /** Writes of these chunks up to these numbers are committed everywhere. */
  committed: kind(4, {
    since: 1,
    idempotent: true,
    request: record({ ...under, upTo: marks }),
    response: nothing,
  }),
  /** The payload of the answer is the data. */
  read: kind(5, {
    since: 1,
    idempotent: true,
    request: record({ ...under, ...range, epoch: nullable(u32), forwarded: bool }),
    response: record({
      outcome: word('done', 'elsewhere'),
      configuration: nullable(configuration),
    }),
    replyBytes: ({ length }) => Math.min(length, payloadBytes),
  }),
  /** Settle a client's writes: those that are not carried out yet never will be. */
  cancel: kind(6, {
    since: 1,
    idempotent: true,
    request: record({ client: safe, sequences: list(safe, 1024) }),
    response: record({ settled: list(safe, 1024) }),
  }),
  /** The busy chunks of a group, behind the last one that was told, and generations of reservations. */
  busySet: kind(7, {
    since: 1,
    idempotent: true,
    request: record({ ...under, after: nullable(record({ disk: u32, chunk: safe })) }),
    response: record({
      busy: marks,
      more: bool,
      reservations: list(record({ disk: u32, generation: safe }), 1024),
    }),
  }),
  /** One epoch of a chunk, with its number and all its executed sequences. The payload is the data. */
  fetchChunk: kind(8, {
    since: 1,
    idempotent: true,
    request: record({ ...under, disk: u32, chunk: safe, afterEpoch: nullable(u32) }),
    response: record({
      outcome: word('done', 'elsewhere', 'lost'),
      epoch: u32,
      more: bool,
      number,
      /** One bit for each block of the chunk: whether the payload has it. */
      blocks: u16,
      executed: list(record(origin), 2048),
    }),
    replyBytes: () => payloadBytes,
  }),
  /** A server that is out asks what it must fetch, and is sent new writes from then on. */
  joinStart: kind(9, {
    since: 1,
    idempotent: true,
    request: record({ ...under, store: fixed(16), lostAll: bool, busy: chunks, more: bool }),
    response: record({
      outcome: word('joining', 'elsewhere'),
      joining: safe,
      everything: bool,
      fetch: chunks,
      more: bool,
    }),
  }),
  /** Start no writes of these disks until the release. */
  hold: kind(10, {
    since: 1,
    idempotent: true,
    request: record({ snapshot: text(64), disks: list(u32, 1024) }),
    response: record({
      outcome: word('held', 'busy'),
      incarnation: safe,
      counter: safe,
    }),
  }),
  /** Go on at these epochs, if still in that very hold. */
  release: kind(11, {
    since: 1,
    idempotent: true,
    request: record({
      snapshot: text(64),
      incarnation: safe,
      counter: safe,
      epochs: list(record({ disk: u32, epoch: u32 }), 1024),
    }),
    response: record({ outcome: word('released', 'over') }),
  }),
  /** Make all writes of a disk that were acknowledged before durable on every copy. */
  flush: kind(12, {
    since: 1,
    idempotent: true,
    request: record({ ...under, disk: u32 }),
    response: record({
      outcome: word('done', 'elsewhere'),
      configuration: nullable(configuration),
    }),
  }),
  /** For people. */
  status: kind(13, {
    since: 1,
    idempotent: true,
    request: nothing,
    response: record({
      software: text(64),
      incarnation: safe,
      load: u8,
      groups: list(configuration, 64),
      detail: bytes(4096),
    }),
  }),
} as const;

export type Kinds = typeof kinds;
