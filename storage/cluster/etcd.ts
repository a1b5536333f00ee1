/**
 * The Directory of a cluster, in etcd, by its JSON gateway.
 *
 * - Reads are linearizable and carry the cluster's record (etcd/reader.ts).
 * - Commits can be told apart and settled (etcd/slots.ts).
 * - One stream of changes serves all watchers (etcd/follower.ts).
 * - What is older than what was seen, here or by the caller earlier, is refused: TOO_OLD, for good.
 *   After a restore `raiseGeneration` says that the older state is wanted.
 *
 * etcd itself compacts (`--auto-compaction-retention`); nothing here leans on leases.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type {
  Comparison,
  Directory,
  DirectoryEntry,
  DirectoryEvent,
  Mutation,
  Revision,
  Seen,
  Snapshot,
} from './directory.ts';
import { type KeyValue, ops, written } from './etcd/codec.ts';
import { closed, Endpoints } from './etcd/endpoints.ts';
import { Follower } from './etcd/follower.ts';
import type { EtcdTls } from './etcd/http.ts';
import { Reader, Standing, withRecord } from './etcd/reader.ts';
import {
  type ClusterRecord,
  decodeRecord,
  encodeRecord,
  type Keys,
  keysOf,
  refuseOlder,
  tooOld,
} from './etcd/record.ts';
import { type Slot, Slots } from './etcd/slots.ts';
import { limits } from './limits.ts';
import { keyFault, transaction } from './transaction.ts';
import { Watchers } from './watchers.ts';

export interface EtcdOptions {
  /** `https://host:port` of each member. */
  readonly endpoints: readonly string[];
  readonly tls: EtcdTls;
  /** All our keys in etcd begin with it, "/petal/" for instance. */
  readonly prefix: string;
  /** The server's own name. Who opens under it ends what was opened under it before. */
  readonly client: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What the caller saw of this Directory in an earlier life; null: nothing. */
  readonly atLeast: Seen | null;
  /** Hears once why this Directory has ended for good: TOO_OLD, IN_USE. */
  readonly failed: (error: StorageError) => void;
}

/** Begin a cluster, generation 1. EXISTS: there is one; BUSY. May be called again. */
export async function formatEtcd(options: EtcdOptions, clusterId: string): Promise<void> {
  await withEndpoints(options, async (endpoints, keys) => {
    const { answer } = await endpoints.ask({
      compare: [written(keys.record, 0n)],
      success: [ops.put(keys.record, encodeRecord(clusterId, 1n))],
      failure: [ops.one(keys.record)],
    });
    if (answer.succeeded) return;
    const record = decodeRecord(answer.ranges[0]);
    // An attempt before, whose answer was lost.
    if (record?.clusterId === clusterId && record.generation === 1n) return;
    throw new StorageError('EXISTS', `etcd holds cluster ${record?.clusterId} already`);
  });
}

/**
 * What stands in etcd is right although servers have seen more (a backup was restored): a generation
 * above all that they have seen. Whatever is open ends. INVALID, NOT_FOUND, CONFLICT, BUSY.
 */
export async function raiseGeneration(options: EtcdOptions, seen: Seen): Promise<Seen> {
  return await withEndpoints(options, async (endpoints, keys) => {
    const { record, revision } = await readRecord(endpoints, keys, null);
    if (record.clusterId !== seen.clusterId) refuseOlder({ ...record, revision }, seen);
    const above = record.generation > seen.generation ? record.generation : seen.generation;
    const generation = above + 1n;
    const { answer } = await endpoints.ask({
      compare: [written(keys.record, record.modified)],
      success: [ops.put(keys.record, encodeRecord(record.clusterId, generation))],
      failure: [ops.one(keys.record)],
    });
    const now = answer.succeeded ? generation : decodeRecord(answer.ranges[0])?.generation;
    if (now !== generation) throw new StorageError('CONFLICT', 'the generation was changed');
    return { clusterId: record.clusterId, generation, revision: answer.revision };
  });
}

/** INVALID, NOT_FOUND (no cluster in it), TOO_OLD, TOO_NEW, CORRUPT, BUSY. */
export async function openEtcd(options: EtcdOptions): Promise<EtcdDirectory> {
  const { endpoints: urls, tls, prefix, client, clock, random, failed } = options;
  const keys = keysOf(prefix, client);
  const endpoints = new Endpoints(urls, tls, clock);
  try {
    const { record, revision } = await readRecord(endpoints, keys, options.atLeast);
    let directory: EtcdDirectory | null = null;
    const standing = new Standing(record, revision, (error) => {
      if (directory === null) return;
      directory.ended();
      failed(error);
    });
    const session = Buffer.from(random.bytes(16)).toString('hex');
    const slots = await claimSlots(endpoints, keys, standing, session);
    const reader = new Reader(endpoints, keys, standing);
    const start = await reader.list('', true);
    directory = new EtcdDirectory({
      ...{ options, endpoints, keys, standing, reader, start },
      slots: new Slots({ endpoints, keys, standing, clock, session, slots }),
    });
    return directory;
  } catch (error) {
    endpoints.close();
    throw error;
  }
}

async function withEndpoints<T>(
  { endpoints: urls, tls, prefix, client, clock }: EtcdOptions,
  work: (endpoints: Endpoints, keys: Keys) => Promise<T>,
): Promise<T> {
  const keys = keysOf(prefix, client);
  const endpoints = new Endpoints(urls, tls, clock);
  try {
    return await work(endpoints, keys);
  } finally {
    endpoints.close();
  }
}

async function readRecord(
  endpoints: Endpoints,
  keys: Keys,
  atLeast: Seen | null,
): Promise<{ readonly record: ClusterRecord; readonly revision: Revision }> {
  const { answer } = await endpoints.ask(withRecord(keys, []));
  const { revision } = answer;
  const record = decodeRecord(answer.ranges[0]);
  if (record === null) {
    if (atLeast !== null) throw tooOld('there is no cluster in it');
    throw new StorageError('NOT_FOUND', `there is no cluster of Petal below ${keys.all} in etcd`);
  }
  if (atLeast !== null) refuseOlder({ ...record, revision }, atLeast);
  return { record, revision };
}

/** Write all slots, so that nothing of an earlier life under this name can arrive any more. */
async function claimSlots(
  endpoints: Endpoints,
  keys: Keys,
  standing: Standing,
  session: string,
): Promise<Slot[]> {
  const names = Array.from({ length: limits.etcdSlots }, (_, index) => `${keys.slots}${index}`);
  const mine = Buffer.from(`${session}/0`, 'latin1');
  for (let attempt = 0; attempt < limits.etcdClaimAttempts; attempt += 1) {
    const questions = names.map(ops.one);
    const { answer } = await endpoints.ask(withRecord(keys, questions));
    standing.sawRecord(answer.ranges[0]);
    const held = answer.ranges.slice(1).map((range): KeyValue | undefined => range?.kvs[0]);
    const slots = names.map((key, index) => ({ key, modified: held[index]?.modified ?? 0n }));
    // An attempt before, whose answer was lost.
    if (held.every((kv) => kv !== undefined && mine.equals(kv.value))) return slots;
    const { answer: claim } = await endpoints.ask({
      compare: [
        written(keys.record, standing.record.modified),
        ...slots.map(({ key, modified }) => written(key, modified)),
      ],
      success: names.map((key) => ops.put(key, mine)),
      failure: [ops.one(keys.record)],
    });
    if (claim.succeeded) return names.map((key) => ({ key, modified: claim.revision }));
  }
  throw new StorageError('BUSY', 'others open the Directory under the same name all the time');
}

interface Parts {
  readonly options: EtcdOptions;
  readonly endpoints: Endpoints;
  readonly keys: Keys;
  readonly standing: Standing;
  readonly reader: Reader;
  readonly slots: Slots;
  /** What there is when changes begin to be followed. */
  readonly start: Snapshot;
}

export class EtcdDirectory implements Directory {
  readonly #endpoints: Endpoints;
  readonly #standing: Standing;
  readonly #reader: Reader;
  readonly #slots: Slots;
  readonly #watchers: Watchers;
  readonly #follower: Follower;
  readonly #commits = new Set<Promise<unknown>>();
  #closed = false;

  constructor({ options, endpoints, keys, standing, reader, slots, start }: Parts) {
    this.#endpoints = endpoints;
    this.#standing = standing;
    this.#reader = reader;
    this.#slots = slots;
    this.#watchers = new Watchers(start.revision);
    this.#follower = new Follower({
      ...{ endpoints, reader, keys, watchers: this.#watchers },
      clock: options.clock,
      log: options.log,
      known: new Set(start.entries.map(({ key }) => key)),
      revision: start.revision,
    });
    void this.#follower.run();
  }

  seen(): Seen {
    return this.#standing.seen;
  }

  async get(key: string): Promise<DirectoryEntry | null> {
    await this.#ready();
    return keyFault(key) === null ? await this.#reader.get(key) : null;
  }

  async list(prefix: string): Promise<Snapshot> {
    await this.#ready();
    // No key is longer.
    const snapshot = await this.#reader.list(prefix.slice(0, limits.keyLength + 1));
    this.#follower.told(snapshot.entries);
    return snapshot;
  }

  async commit(compare: readonly Comparison[], mutate: readonly Mutation[]): Promise<Revision> {
    this.#check();
    const checked = transaction(compare, mutate, limits.transactionBytes);
    const call = this.#slots.commit(checked);
    this.#commits.add(call);
    try {
      const modified = await call;
      this.#follower.told(checked.mutate.map(({ key }) => ({ key, modified })));
      return modified;
    } finally {
      this.#commits.delete(call);
    }
  }

  watch(prefix: string, after: Revision, heard: (event: DirectoryEvent) => void): () => void {
    this.#check();
    return this.#watchers.watch(prefix, after, heard);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#follower.stop();
    await Promise.allSettled(this.#commits);
    this.#watchers.close();
    this.#endpoints.close();
  }

  /** It has failed for good: nobody hears anything more. */
  ended(): void {
    this.#follower.stop();
    this.#watchers.close();
  }

  async #ready(): Promise<void> {
    this.#check();
    await this.#slots.settleDoubts();
  }

  #check(): void {
    if (this.#closed) throw closed();
    this.#standing.check();
  }
}
