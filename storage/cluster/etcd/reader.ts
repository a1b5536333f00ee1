/**
 * Linearizable reads, each with the cluster's record in the same transaction: an answer from before
 * what was seen already, or of another generation, fails this Directory for good.
 */
import { StorageError } from '../../base/errors.ts';
import type { DirectoryEntry, Revision, Seen, Snapshot } from '../directory.ts';
import { limits } from '../limits.ts';
import { type KeyValue, Malformed, type Op, ops, type Range, type TxnAnswer } from './codec.ts';
import { Compacted, type Endpoints } from './endpoints.ts';
import { AnswerTooLarge } from './http.ts';
import { type ClusterRecord, decodeRecord, type Keys, tooOld } from './record.ts';

/** What this Directory stands on, and whether it still does. */
export class Standing {
  readonly record: ClusterRecord;
  readonly #failed: (error: StorageError) => void;
  #revision: Revision;
  #failure: StorageError | null = null;

  constructor(record: ClusterRecord, revision: Revision, failed: (error: StorageError) => void) {
    this.record = record;
    this.#revision = revision;
    this.#failed = failed;
  }

  get revision(): Revision {
    return this.#revision;
  }

  get seen(): Seen {
    const { clusterId, generation } = this.record;
    return { clusterId, generation, revision: this.#revision };
  }

  /** Throws why it failed, if it did. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** For good; the first reason counts. */
  end(error: StorageError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#failed(error);
  }

  fail(error: StorageError): never {
    this.end(error);
    throw this.#failure ?? error;
  }

  /** `floor`: what had been seen when the question was asked. */
  saw(revision: Revision, floor: Revision): void {
    if (revision < floor) {
      this.fail(tooOld(`revision ${revision} was found, revision ${floor} was seen before`));
    }
    if (revision > this.#revision) this.#revision = revision;
  }

  /** `range`: of the record's key. */
  sawRecord(range: Range | null | undefined): void {
    const now = decodeRecord(range);
    if (now?.modified === this.record.modified) return;
    const what = now === null ? 'there is no record' : `the record is of ${now.generation}`;
    this.fail(tooOld(`this Directory was opened at generation ${this.record.generation}, ${what}`));
  }
}

/** A question that is asked together with the record's. */
export const withRecord = (keys: Keys, questions: readonly Op[]) => ({
  compare: [],
  success: [ops.one(keys.record), ...questions],
  failure: [],
});

export class Reader {
  readonly #endpoints: Endpoints;
  readonly #keys: Keys;
  readonly #standing: Standing;

  constructor(endpoints: Endpoints, keys: Keys, standing: Standing) {
    this.#endpoints = endpoints;
    this.#keys = keys;
    this.#standing = standing;
  }

  async get(key: string): Promise<DirectoryEntry | null> {
    const full = this.#keys.data + key;
    const { range } = await this.#read(ops.one(full), ({ kvs }) => {
      if (kvs.length > 1 || kvs.some((kv) => kv.key !== full)) throw new Malformed('another key');
    });
    return range.kvs.map((kv) => this.#entry(kv))[0] ?? null;
  }

  /** Without values where `keysOnly`. */
  async list(prefix: string, keysOnly = false): Promise<Snapshot> {
    for (let attempt = 1; attempt <= limits.etcdListAttempts; attempt += 1) {
      try {
        return await this.#pages(this.#keys.data + prefix, keysOnly);
      } catch (error) {
        if (!(error instanceof Compacted)) throw error;
      }
    }
    throw new StorageError('BUSY', 'etcd compacts faster than it can be listed');
  }

  /** The endpoint that has just proved that it is one of a majority. */
  async livingEndpoint(): Promise<URL> {
    const nothing = ops.one(this.#keys.record);
    return (await this.#read(nothing, () => {})).endpoint;
  }

  async #pages(prefix: string, keysOnly: boolean): Promise<Snapshot> {
    const kvs: KeyValue[] = [];
    let revision = 0n;
    let limit: number = limits.etcdPageKeys;
    let bytes = 0;
    for (let from = prefix; ; ) {
      const page = ops.page({ prefix, from, limit, revision, keysOnly });
      const verify = (range: Range): void => checkPage(range, prefix, from);
      const read = await this.#read(page, verify, limit > 1).catch((error: unknown) => {
        if (!(error instanceof AnswerTooLarge)) throw error;
        limit = Math.ceil(limit / 4);
        return null;
      });
      if (read === null) continue;
      if (revision === 0n) revision = read.revision;
      for (const kv of read.range.kvs) {
        kvs.push(kv);
        bytes += kv.key.length + kv.value.length;
      }
      if (bytes > limits.etcdListBytes) {
        throw new StorageError('CORRUPT', `a list of more than ${limits.etcdListBytes} bytes`);
      }
      limit = Math.min(2 * limit, limits.etcdPageKeys);
      if (!read.range.more) return { revision, entries: kvs.map((kv) => this.#entry(kv)) };
      // The first key after the last one.
      from = `${kvs.at(-1)!.key}\0`;
    }
  }

  async #read(
    question: Op,
    verify: (range: Range) => void,
    canAskLess = false,
  ): Promise<{ readonly range: Range; readonly revision: Revision; readonly endpoint: URL }> {
    this.#standing.check();
    const floor = this.#standing.revision;
    const txn = withRecord(this.#keys, [question]);
    const { answer, endpoint } = await this.#endpoints.ask(
      txn,
      (answer) => verify(rangeOf(answer)),
      canAskLess,
    );
    this.#standing.saw(answer.revision, floor);
    this.#standing.sawRecord(answer.ranges[0]);
    return { range: rangeOf(answer), revision: answer.revision, endpoint };
  }

  #entry({ key, value, modified }: KeyValue): DirectoryEntry {
    return { key: key.slice(this.#keys.data.length), value, modified };
  }
}

function rangeOf(answer: TxnAnswer): Range {
  const [record, range, ...others] = answer.ranges;
  if (record != null && range != null && others.length === 0) return range;
  throw new Malformed('an answer without what was asked for');
}

function checkPage({ kvs, more }: Range, prefix: string, from: string): void {
  let earlier: string | null = null;
  for (const { key } of kvs) {
    const inside = key.startsWith(prefix) && key >= from;
    if (!inside || (earlier !== null && key <= earlier)) throw new Malformed('keys out of order');
    earlier = key;
  }
  if (more && earlier === null) throw new Malformed('an empty page before the end');
}
