/**
 * The serving half of a channel: requests go to their handlers in the order in which they came, and
 * each gets one answer. The other side knows how much is taken at once; who sends more is cut off.
 */

import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { nextCall } from './calls.ts';
import { bodyOf, type Envelope } from './envelope.ts';
import { RpcError } from './failure.ts';
import type { Kind, KindTable } from './kind.ts';
import { limits } from './limits.ts';

/** A request as its handler gets it. */
export interface Incoming<Q> {
  /** The id of the server that asks, as proved by its certificate. */
  readonly peer: string;
  readonly version: number;
  readonly body: Q;
  /** A view that is the handler's to keep. */
  readonly payload: Uint8Array;
  /** On this side's clock: nobody waits for an answer after this. */
  readonly due: number;
  /** The caller has given up, or the channel has ended. */
  readonly cancelled: boolean;
  /** Called once when that happens. */
  onCancel: (() => void) | null;
}

export interface Answer<A> {
  readonly body: A;
  /** Does not change any more. */
  readonly payload?: Uint8Array;
}

/** Throws StorageError for what the caller is to be told as such; anything else ends the process. */
export type Handler<Q, A> = (request: Incoming<Q>) => Answer<A> | Promise<Answer<A>>;

/** Handlers by the name of their kind. */
export type Handlers = ReadonlyMap<string, Handler<unknown, unknown>>;

/** What serving needs of the channel. */
export interface Outlet {
  readonly peer: string;
  result(call: number, kind: Kind<unknown, unknown>, answer: Answer<unknown>): void;
  failure(call: number, error: StorageError): void;
}

class Served implements Incoming<unknown> {
  readonly peer: string;
  readonly version: number;
  readonly body: unknown;
  readonly payload: Uint8Array;
  readonly due: number;
  readonly bytes: number;
  readonly call: number;
  readonly kind: Kind<unknown, unknown>;
  cancelled = false;
  onCancel: (() => void) | null = null;

  constructor(
    peer: string,
    version: number,
    kind: Kind<unknown, unknown>,
    body: unknown,
    envelope: Envelope,
    due: number,
  ) {
    this.peer = peer;
    this.version = version;
    this.kind = kind;
    this.body = body;
    this.payload = envelope.payload;
    this.call = envelope.call;
    this.due = due;
    this.bytes = envelope.payload.length + kind.replyBytes(body);
  }

  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.onCancel?.();
  }
}

export class Serving {
  readonly #clock: Clock;
  readonly #table: KindTable;
  readonly #names: ReadonlyMap<number, string>;
  readonly #handlers: Handlers;
  readonly #outlet: Outlet;
  readonly #going = new Map<number, Served>();
  #bytes = 0;
  #lastCall = 0;
  #ended = false;

  constructor(
    clock: Clock,
    table: KindTable,
    names: ReadonlyMap<number, string>,
    handlers: Handlers,
    outlet: Outlet,
  ) {
    this.#clock = clock;
    this.#table = table;
    this.#names = names;
    this.#handlers = handlers;
    this.#outlet = outlet;
  }

  get idle(): boolean {
    return this.#going.size === 0;
  }

  /** Throws StorageError for what ends the channel. */
  requested(envelope: Envelope, version: number): void {
    this.#lastCall = nextCall(this.#lastCall);
    if (envelope.call !== this.#lastCall) {
      throw new StorageError('CORRUPT', `call ${envelope.call} in place of ${this.#lastCall}`);
    }
    const name = this.#names.get(envelope.number);
    const kind = name === undefined ? undefined : this.#table[name];
    if (name === undefined || kind === undefined || kind.since > version) {
      this.#refuse(envelope, `number ${envelope.number} is no kind of message`, version);
      return;
    }
    const from = bodyOf(envelope, version);
    const body = kind.request.read(from);
    from.end();
    const handler = this.#handlers.get(name);
    if (handler === undefined) {
      this.#refuse(envelope, `"${name}" is not served here`, version);
      return;
    }
    const due = this.#clock.now() + envelope.leftMs;
    const served = new Served(this.#outlet.peer, version, kind, body, envelope, due);
    this.#bytes += served.bytes;
    const others = this.#going.size;
    if (others >= limits.rpcCalls || (others > 0 && this.#bytes > limits.rpcCallBytes)) {
      throw new StorageError('INVALID', `more than is taken at once: ${others + 1} calls`);
    }
    this.#handle(served, handler);
  }

  cancelled(call: number): void {
    this.#going.get(call)?.cancel();
  }

  /** The channel has ended: nobody waits for what is going on. */
  end(): void {
    this.#ended = true;
    for (const served of this.#going.values()) served.cancel();
  }

  #refuse(envelope: Envelope, what: string, version: number): void {
    const message = `${what} (version ${version})`;
    this.#outlet.failure(envelope.call, new RpcError('unsupported', true, message));
  }

  #handle(served: Served, handler: Handler<unknown, unknown>): void {
    let answer: Answer<unknown> | Promise<Answer<unknown>>;
    try {
      answer = handler(served);
    } catch (error) {
      this.#failed(served, error);
      return;
    }
    if (answer instanceof Promise) {
      this.#going.set(served.call, served);
      answer.then(
        (settled) => this.#done(served, settled),
        (error) => this.#failed(served, error),
      );
    } else {
      this.#done(served, answer);
    }
  }

  #done(served: Served, answer: Answer<unknown>): void {
    this.#forget(served);
    if (!this.#ended) this.#outlet.result(served.call, served.kind, answer);
  }

  #failed(served: Served, error: unknown): void {
    if (!(error instanceof StorageError)) {
      // A broken invariant: not in here, where it would become a rejection that somebody may catch.
      this.#clock.soon(() => {
        throw error;
      });
      return;
    }
    this.#forget(served);
    if (!this.#ended) this.#outlet.failure(served.call, error);
  }

  #forget(served: Served): void {
    this.#going.delete(served.call);
    this.#bytes -= served.bytes;
  }
}
