/**
 * The members of an etcd cluster as one: a call goes to the endpoint that answered last; one that
 * fails, or has not answered in time, is left for the next. An answer that does not parse is a
 * failure of its endpoint.
 */
import { type Clock, pause } from '../../base/clock.ts';
import { StorageError } from '../../base/errors.ts';
import { limits } from '../limits.ts';
import { decodeError, decodeTxn, Malformed, type Txn, type TxnAnswer } from './codec.ts';
import {
  AnswerTooLarge,
  type Call,
  EtcdHttp,
  type EtcdTls,
  parseEndpoint,
  RequestFailed,
  type StreamListener,
} from './http.ts';

/** A revision that was asked for is not kept any more. */
export class Compacted extends Error {}

export interface Answered {
  readonly answer: TxnAnswer;
  readonly endpoint: URL;
}

/** gRPC's status codes, as far as they tell that nothing was done. */
const status = { invalidArgument: 3, resourceExhausted: 8, outOfRange: 11 } as const;

export class Endpoints {
  readonly #clock: Clock;
  readonly #http: EtcdHttp;
  readonly #urls: readonly URL[];
  readonly #calls = new Set<Call>();
  #current = 0;
  /** In a row. */
  #failures = 0;
  #closed = false;

  /** INVALID. */
  constructor(endpoints: readonly string[], tls: EtcdTls, clock: Clock) {
    if (endpoints.length === 0 || endpoints.length > limits.etcdEndpoints) {
      throw new StorageError('INVALID', `etcd has 1…${limits.etcdEndpoints} endpoints`);
    }
    this.#urls = endpoints.map(parseEndpoint);
    this.#clock = clock;
    this.#http = new EtcdHttp(tls);
  }

  /**
   * Until one answers; only for what may be done twice. `verify` throws Malformed. BUSY, or where
   * nothing was done as `once`; AnswerTooLarge where the caller can ask for less.
   */
  async ask(
    txn: Txn,
    verify: (answer: TxnAnswer) => void = () => {},
    canAskLess = false,
  ): Promise<Answered> {
    const end = this.#clock.now() + limits.etcdRequestMs;
    for (;;) {
      try {
        return await this.once(txn, verify);
      } catch (error) {
        if (!(error instanceof RequestFailed)) throw error;
        if (canAskLess && error instanceof AnswerTooLarge) throw error;
        await this.rest(end, error);
      }
    }
  }

  /**
   * One attempt. Rejects with RequestFailed (the next attempt goes elsewhere), and where nothing was
   * done with INVALID, NO_SPACE or Compacted.
   */
  async once(txn: Txn, verify: (answer: TxnAnswer) => void = () => {}): Promise<Answered> {
    if (this.#closed) throw closed();
    const endpoint = this.#urls[this.#current]!;
    try {
      const answer = await this.#call(endpoint, JSON.stringify(txn));
      verify(answer);
      this.#failures = 0;
      return { answer, endpoint };
    } catch (error) {
      const failure = error instanceof Malformed ? new RequestFailed(error.message, true) : error;
      if (failure instanceof RequestFailed) this.#leave(endpoint);
      throw failure;
    }
  }

  /** After a failure: let some time pass when all have failed. BUSY after `end`, for `why`. */
  async rest(end: number, why: Error): Promise<void> {
    if (this.#closed) throw closed();
    if (this.#clock.now() >= end) {
      throw new StorageError('BUSY', `etcd does not answer: ${why.message}`, { cause: why });
    }
    if (this.#failures % this.#urls.length === 0) await this.pause(limits.etcdRetryMs);
  }

  pause(delayMs: number): Promise<void> {
    return pause(this.#clock, delayMs);
  }

  stream(endpoint: URL, body: string, listener: StreamListener): () => void {
    return this.#http.stream(endpoint, '/v3/watch', body, listener);
  }

  /** What is under way fails. */
  close(): void {
    this.#closed = true;
    for (const call of this.#calls) call.abort('closed');
    this.#http.close();
  }

  async #call(endpoint: URL, body: string): Promise<TxnAnswer> {
    const call = this.#http.call(endpoint, '/v3/kv/txn', body);
    const cancel = this.#clock.after(limits.etcdAttemptMs, () => {
      call.abort(`${endpoint.host}: no answer in ${limits.etcdAttemptMs} ms`);
    });
    this.#calls.add(call);
    try {
      const { status, text } = await call.answer;
      if (status !== 200) throw refusal(endpoint, text);
      return decodeTxn(text);
    } finally {
      cancel();
      this.#calls.delete(call);
    }
  }

  /** Of several calls that fail at one endpoint the first moves on. */
  #leave(endpoint: URL): void {
    if (this.#urls[this.#current] !== endpoint) return;
    this.#failures += 1;
    this.#current = (this.#current + 1) % this.#urls.length;
  }
}

function refusal(endpoint: URL, text: string): Error {
  const { code, message } = decodeError(text);
  if (code === status.outOfRange) return new Compacted(message);
  if (code === status.invalidArgument) return new StorageError('INVALID', `etcd: ${message}`);
  if (code === status.resourceExhausted && message.includes('space exceeded')) {
    return new StorageError('NO_SPACE', `etcd: ${message}`);
  }
  if (code === status.resourceExhausted && message.includes('larger than max')) {
    return new AnswerTooLarge();
  }
  return new RequestFailed(`${endpoint.host}: ${message}`, true);
}

export const closed = (): StorageError => new StorageError('BUSY', 'the Directory is closed');
