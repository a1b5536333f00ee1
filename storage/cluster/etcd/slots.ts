/**
 * Commits whose outcome can be told. A client has a few keys of its own, the slots; a commit takes a
 * free one and, in the same transaction, compares it with what this client wrote there last and puts
 * a token of its own.
 *
 * - The slot has the token: the commit took effect, at the revision that wrote it.
 * - No answer: settled by a transaction that puts another value if the slot is as it was. Then the
 *   commit has no effect and never will: wherever it still is, its comparison does not hold any more.
 * - Not settled in time: UNKNOWN_OUTCOME, and the slot is in doubt. Before anything else is asked of
 *   this Directory it is settled, so that what a caller reads back is final.
 *
 * Another process that opens under the same name writes all slots, which ends the earlier one.
 */
import type { Clock } from '../../base/clock.ts';
import { StorageError } from '../../base/errors.ts';
import { Serial } from '../../base/serial.ts';
import type { Revision } from '../directory.ts';
import { limits } from '../limits.ts';
import type { Transaction } from '../transaction.ts';
import { Malformed, ops, type Txn, type TxnAnswer, written } from './codec.ts';
import type { Endpoints } from './endpoints.ts';
import { RequestFailed } from './http.ts';
import type { Standing } from './reader.ts';
import type { Keys } from './record.ts';

export interface Slot {
  readonly key: string;
  /** Revision of what this client wrote there last. */
  modified: Revision;
}

/** What a transaction with a token has become. */
type Outcome =
  | { readonly is: 'committed'; readonly revision: Revision }
  /** It had no effect and never will. */
  | { readonly is: 'nothing' }
  /** The slot is as it was: so far it had none. */
  | { readonly is: 'unchanged' }
  | { readonly is: 'superseded' }
  | { readonly is: 'open'; readonly why: Error; readonly sent: boolean };

export interface SlotsParts {
  readonly endpoints: Endpoints;
  readonly keys: Keys;
  readonly standing: Standing;
  readonly clock: Clock;
  /** Of this opening: what no other one writes. */
  readonly session: string;
  readonly slots: readonly Slot[];
}

const encoder = new TextEncoder();

export class Slots {
  readonly #parts: SlotsParts;
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  /** Slots in doubt, and the token that may still arrive there. */
  readonly #doubts = new Map<Slot, string>();
  readonly #settling = new Serial();
  #tokens = 0;

  constructor(parts: SlotsParts) {
    this.#parts = parts;
    this.#free = [...parts.slots];
  }

  /** As the port says. */
  async commit(transaction: Transaction): Promise<Revision> {
    await this.settleDoubts();
    this.#parts.standing.check();
    if (transaction.mutate.length === 0) return await this.#compare(transaction);
    const slot = await this.#take();
    try {
      return await this.#commitWith(slot, transaction);
    } finally {
      if (!this.#doubts.has(slot)) this.#give(slot);
    }
  }

  /** BUSY: there is a commit of which it still cannot be told. */
  async settleDoubts(): Promise<void> {
    if (this.#doubts.size === 0) return;
    await this.#settling.run(async () => {
      for (const [slot, token] of this.#doubts) {
        const outcome = await this.#settle(slot, token);
        if (outcome.is === 'superseded') this.#parts.standing.fail(superseded());
        if (outcome.is === 'open') {
          const text = `an earlier commit is not settled yet: ${outcome.why.message}`;
          throw new StorageError('BUSY', text, { cause: outcome.why });
        }
        this.#doubts.delete(slot);
        this.#give(slot);
      }
    });
  }

  async #commitWith(slot: Slot, transaction: Transaction): Promise<Revision> {
    const { endpoints, clock, standing } = this.#parts;
    const end = clock.now() + limits.etcdRequestMs;
    for (;;) {
      const token = this.#token();
      const tried = await this.#try(slot, token, transaction);
      if (tried.is === 'committed') return tried.revision;
      if (tried.is === 'superseded') return standing.fail(superseded());
      if (tried.is !== 'open') throw conflict(transaction);
      if (tried.sent) {
        const settled = await this.#settle(slot, token);
        if (settled.is === 'committed') return settled.revision;
        if (settled.is === 'superseded') throw unknown(standing, superseded());
        if (settled.is === 'open') {
          this.#doubts.set(slot, token);
          throw unknown(null, settled.why);
        }
      }
      await endpoints.rest(end, tried.why);
    }
  }

  /** Comparisons alone: nothing can be left half known. */
  async #compare(transaction: Transaction): Promise<Revision> {
    const { endpoints, keys, standing } = this.#parts;
    const compare = transaction.compare.map(({ key, modified }) =>
      written(keys.data + key, modified),
    );
    const record = [ops.one(keys.record)];
    const floor = standing.revision;
    const { answer } = await endpoints.ask({ compare, success: record, failure: record });
    standing.saw(answer.revision, floor);
    standing.sawRecord(answer.ranges[0]);
    if (!answer.succeeded) throw conflict(transaction);
    return answer.revision;
  }

  async #try(slot: Slot, token: string, transaction: Transaction): Promise<Outcome> {
    const { data } = this.#parts.keys;
    const success = transaction.mutate.map(({ key, value }) =>
      value === null ? ops.remove(data + key) : ops.put(data + key, value),
    );
    const compare = transaction.compare.map(({ key, modified }) => written(data + key, modified));
    const sent = await this.#send(slot, token, { compare, success });
    if (!('answer' in sent)) return sent;
    if (!sent.answer.succeeded) return this.#judge(slot, token, sent.answer);
    slot.modified = sent.answer.revision;
    return { is: 'committed', revision: sent.answer.revision };
  }

  /** Never 'unchanged'. */
  async #settle(slot: Slot, token: string): Promise<Outcome> {
    const { endpoints, clock } = this.#parts;
    const end = clock.now() + limits.etcdRequestMs;
    for (;;) {
      try {
        const sent = await this.#send(slot, fenceOf(token), { compare: [], success: [] });
        if ('answer' in sent) {
          if (!sent.answer.succeeded) return this.#judge(slot, token, sent.answer);
          slot.modified = sent.answer.revision;
          return { is: 'nothing' };
        }
        await endpoints.rest(end, sent.why);
      } catch (why) {
        // Out of time, or no room for the fence. What ends this Directory ends the question too.
        const open = why instanceof StorageError && ['BUSY', 'NO_SPACE'].includes(why.code);
        if (!open) throw why;
        return { is: 'open', why, sent: true };
      }
    }
  }

  /** One attempt at what is to happen if the slot and the cluster's record are as they were. */
  async #send(
    slot: Slot,
    token: string,
    { compare, success }: Omit<Txn, 'failure'>,
  ): Promise<{ readonly answer: TxnAnswer } | (Outcome & { readonly is: 'open' })> {
    const { endpoints, standing, keys } = this.#parts;
    const guards = [
      written(keys.record, standing.record.modified),
      written(slot.key, slot.modified),
    ];
    const floor = standing.revision;
    try {
      const { answer } = await endpoints.once(
        {
          compare: [...guards, ...compare],
          success: [...success, ops.put(slot.key, encoder.encode(token))],
          failure: [ops.one(keys.record), ops.one(slot.key)],
        },
        checkAnswer,
      );
      standing.saw(answer.revision, floor);
      return { answer };
    } catch (why) {
      if (!(why instanceof RequestFailed)) throw why;
      return { is: 'open', why, sent: why.sent };
    }
  }

  /** From what the slot holds when something did not compare. */
  #judge(slot: Slot, token: string, answer: TxnAnswer): Outcome {
    const [record, range] = answer.ranges;
    const kv = range?.kvs[0];
    const value = kv === undefined ? null : Buffer.from(kv.value).toString('latin1');
    if (kv !== undefined && (value === token || value === fenceOf(token))) {
      slot.modified = kv.modified;
      if (value !== token) return { is: 'nothing' };
      return { is: 'committed', revision: kv.modified };
    }
    this.#parts.standing.sawRecord(record);
    return { is: kv?.modified === slot.modified ? 'unchanged' : 'superseded' };
  }

  #token(): string {
    this.#tokens += 1;
    return `${this.#parts.session}/${this.#tokens}`;
  }

  #take(): Promise<Slot> {
    const slot = this.#free.shift();
    if (slot !== undefined) return Promise.resolve(slot);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #give(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }
}

/** What is put in the place of a token that must not arrive any more. */
const fenceOf = (token: string): string => `${token}/nothing`;

function checkAnswer({ succeeded, ranges }: TxnAnswer): void {
  if (!succeeded && (ranges.length !== 2 || ranges.includes(null))) {
    throw new Malformed('an answer without what was asked for');
  }
}

function conflict({ compare }: Transaction): StorageError {
  const keys = compare.slice(0, 3).map(({ key }) => key);
  const more = compare.length > keys.length ? ', …' : '';
  const text = `one of ${keys.join(', ')}${more} was written at another revision`;
  return new StorageError('CONFLICT', text);
}

/** `ended`: what fails for good with the same reason. */
function unknown(ended: Standing | null, cause: Error): StorageError {
  if (ended !== null && cause instanceof StorageError) ended.end(cause);
  const text = `it cannot be told whether a commit took effect: ${cause.message}`;
  return new StorageError('UNKNOWN_OUTCOME', text, { cause });
}

const superseded = (): StorageError =>
  new StorageError('IN_USE', 'another process has opened the Directory under the same name');
