/**
 * The calling half of a channel: calls wait for room, are in flight, and end with what came first:
 * their answer, their deadline, or the end of the channel. The other side answers every call that was
 * sent, in whatever order, and until then the call takes up room, whether its caller still waits or not:
 * that is what bounds the other side.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { bodyOf, type Envelope, Type } from './envelope.ts';
import { RpcError, type RpcReason, readFailure } from './failure.ts';
import type { Kind } from './kind.ts';
import { limits } from './limits.ts';

export interface Reply<A> {
  readonly body: A;
  readonly payload: Uint8Array;
}

export interface CallOptions {
  /** The caller gives up after so long. */
  readonly deadlineMs: number;
  readonly payload?: Uint8Array;
  /** Not sent yet: it ends at once. Sent: the other side is asked to stop, and its answer counts. */
  readonly signal?: AbortSignal;
  /** Without room: wait for it until the deadline (as by default), or be refused at once. */
  readonly whenFull?: 'wait' | 'refuse';
}

/** One call on its way; `settle` has been called once when `settled`. */
export interface Call {
  readonly name: string;
  readonly kind: Kind<unknown, unknown>;
  readonly body: unknown;
  readonly payload: Uint8Array;
  /** Payload of request and answer. */
  readonly bytes: number;
  readonly replyBytes: number;
  readonly due: number;
  /** 0: not sent. */
  id: number;
  settled: boolean;
  /** Who has it now, and is told when its caller does not want it any more. */
  holder: Holder | null;
  resolve(reply: Reply<unknown>): void;
  reject(error: StorageError): void;
}

export interface Holder {
  cancel(call: Call): void;
}

/** Called `name`, not started; the promise is the caller's. */
export function newCall(
  name: string,
  kind: Kind<unknown, unknown>,
  body: unknown,
  options: CallOptions,
  now: number,
): { readonly call: Call; readonly reply: Promise<Reply<unknown>> } {
  const { deadlineMs, payload = none, signal } = options;
  const replyBytes = kind.replyBytes(body);
  const { promise, resolve, reject } = Promise.withResolvers<Reply<unknown>>();
  const call: Call = {
    name,
    kind,
    body,
    payload,
    bytes: payload.length + replyBytes,
    replyBytes,
    due: now + deadlineMs,
    id: 0,
    settled: false,
    holder: null,
    resolve,
    reject,
  };
  if (signal === undefined) return { call, reply: promise };
  const cancel = (): void => call.holder?.cancel(call);
  signal.addEventListener('abort', cancel);
  const settled = (): void => signal.removeEventListener('abort', cancel);
  return { call, reply: promise.finally(settled) };
}

const none = new Uint8Array(0);

/** End a call that got no answer. */
export function fail(call: Call, reason: RpcReason, message: string): void {
  if (call.settled) return;
  call.settled = true;
  const sent = call.id > 0;
  const outcome = sent ? 'the outcome is unknown' : 'it was not sent';
  call.reject(new RpcError(reason, sent, `${message}; ${outcome}`));
}

/** What calls need of the channel. */
export interface Outlet {
  readonly peer: string;
  readonly version: number;
  /** Whether requests may be sent now: versions are known, and the peer is not slow. */
  readonly open: boolean;
  /** Throws StorageError, and nothing is sent, when the call is not one that can be. */
  request(call: Call, id: number, leftMs: number): void;
  cancel(id: number): void;
}

export class Calls implements Holder {
  readonly #clock: Clock;
  readonly #outlet: Outlet;
  #waiting: Call[] = [];
  readonly #sent = new Map<number, Call>();
  #lastId = 0;
  #bytes = 0;
  /** What the other side takes; nothing before it said so. */
  #callsMax = 0;
  #bytesMax = 0;
  #timerDue = Number.POSITIVE_INFINITY;
  #cancelTimer: () => void = () => {};

  constructor(clock: Clock, outlet: Outlet) {
    this.#clock = clock;
    this.#outlet = outlet;
  }

  get inFlight(): number {
    return this.#sent.size;
  }

  get idle(): boolean {
    return this.#sent.size === 0 && this.#waiting.length === 0;
  }

  /** The other side has said what it takes. */
  allow(calls: number, bytes: number): void {
    this.#callsMax = Math.min(calls, limits.rpcCalls);
    this.#bytesMax = Math.min(bytes, limits.rpcCallBytes);
    this.pump();
  }

  start(call: Call, whenFull: 'wait' | 'refuse' = 'wait'): void {
    call.holder = this;
    if (this.#waiting.length === 0 && this.#outlet.open && this.#fits(call)) {
      this.#send(call, this.#clock.now());
    } else if (whenFull === 'refuse' || this.#waiting.length >= limits.rpcWaiting) {
      const counts = `${this.#sent.size} calls in flight, ${this.#waiting.length} waiting`;
      fail(call, 'full', `${this.#outlet.peer} has no room: ${counts}`);
      return;
    } else {
      this.#waiting.push(call);
    }
    this.#watch(call.due);
  }

  /** Its caller does not want it any more. */
  cancel(call: Call): void {
    if (call.settled) return;
    if (call.id > 0) {
      this.#outlet.cancel(call.id);
      return;
    }
    this.#waiting = this.#waiting.filter((other) => other !== call);
    fail(call, 'cancelled', `${call.name} was cancelled before it was sent`);
    this.pump();
  }

  /** Send what waits, as far as there is room. */
  pump(): void {
    let count = 0;
    const now = this.#clock.now();
    for (const call of this.#waiting) {
      if (!this.#outlet.open || !this.#fits(call)) break;
      count += 1;
      this.#send(call, now);
    }
    if (count > 0) this.#waiting = this.#waiting.slice(count);
  }

  /** An answer has come. Throws StorageError for one that nobody asked for or that does not parse. */
  answered(envelope: Envelope, version: number): void {
    const call = this.#sent.get(envelope.call);
    if (call === undefined) {
      throw new StorageError(
        'CORRUPT',
        `an answer to call ${envelope.call}, which is not in flight`,
      );
    }
    if (envelope.type === Type.failure) {
      const error = readFailure(envelope.number, bodyOf(envelope, version));
      this.#forget(call);
      call.settled = true;
      call.reject(error);
    } else {
      if (envelope.number !== call.kind.number || envelope.payload.length > call.replyBytes) {
        throw new StorageError('CORRUPT', `an answer that is none to ${call.name}`);
      }
      const from = bodyOf(envelope, version);
      const body = call.kind.response.read(from);
      from.end();
      this.#forget(call);
      call.settled = true;
      call.resolve({ body, payload: envelope.payload });
    }
    if (this.#waiting.length > 0) this.pump();
  }

  /** The channel has ended. Those that were not sent come back to whoever has another channel. */
  end(why: string): readonly Call[] {
    this.#cancelTimer();
    const sent = [...this.#sent.values()];
    const unsent = this.#waiting;
    this.#sent.clear();
    this.#waiting = [];
    for (const call of sent) fail(call, 'closed', why);
    return unsent;
  }

  #fits(call: Call): boolean {
    if (this.#sent.size === 0) return this.#callsMax > 0; // Alone the largest fits too.
    return this.#sent.size < this.#callsMax && this.#bytes + call.bytes <= this.#bytesMax;
  }

  #send(call: Call, now: number): void {
    if (call.settled) return;
    const { peer, version } = this.#outlet;
    if (call.kind.since > version) {
      fail(call, 'unsupported', `${peer} speaks version ${version}, which has no "${call.name}"`);
      return;
    }
    const id = nextCall(this.#lastId);
    try {
      this.#outlet.request(call, id, Math.max(1, Math.ceil(call.due - now)));
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      call.settled = true;
      call.reject(error);
      return;
    }
    this.#lastId = id;
    call.id = id;
    this.#sent.set(id, call);
    this.#bytes += call.bytes;
  }

  #forget(call: Call): void {
    this.#sent.delete(call.id);
    this.#bytes -= call.bytes;
  }

  /** One timer for all: deadlines are mostly alike, so that it is seldom set anew. */
  #watch(due: number): void {
    if (due >= this.#timerDue) return;
    this.#cancelTimer();
    this.#timerDue = due;
    this.#cancelTimer = this.#clock.after(Math.max(0, due - this.#clock.now()), () => {
      this.#timerDue = Number.POSITIVE_INFINITY;
      this.#expire();
    });
  }

  #expire(): void {
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    const late: Call[] = [];
    for (const call of [...this.#sent.values(), ...this.#waiting]) {
      if (call.settled) continue;
      if (call.due <= now) late.push(call);
      else next = Math.min(next, call.due);
    }
    for (const call of late) {
      if (call.id > 0) this.#outlet.cancel(call.id);
      fail(call, 'deadline', `${this.#outlet.peer} did not answer ${call.name} in time`);
    }
    this.#waiting = this.#waiting.filter((call) => !call.settled);
    if (next < Number.POSITIVE_INFINITY) this.#watch(next);
    this.pump();
  }
}

/** Calls of one direction are numbered 1…2^32 - 1 and round. */
export const nextCall = (last: number): number => (last % 0xffff_ffff) + 1;
