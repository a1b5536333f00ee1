/**
 * Calls over a channel, in both directions. First both sides say which versions they speak; then
 * requests, answers and cancellations go as they come. Anything that does not parse ends the channel.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { Writer } from './bytes.ts';
import { type Call, Calls } from './calls.ts';
import { bodyOf, type Envelope, headBytes, seal, Type, unseal } from './envelope.ts';
import { RpcError, writeFailure } from './failure.ts';
import { byNumber, type Kind, type KindTable } from './kind.ts';
import { limits } from './limits.ts';
import { type Answer, type Handlers, Serving } from './serving.ts';
import type { Channel, ChannelListener } from './transport.ts';
import { common, type Hello, readHello, type Versions, writeHello } from './versions.ts';

const none: Uint8Array = new Uint8Array(0);

export interface PeerOptions {
  readonly clock: Clock;
  readonly table: KindTable;
  readonly versions: Versions;
  readonly handlers: Handlers;
  readonly incarnation: bigint;
  readonly opening: number;
  readonly seen: number;
  /** Both sides have said what they speak: calls go out from now on. */
  ready(theirs: Hello): void;
  /** The channel has ended; told once, after all calls that were sent. The others are here. */
  ended(reason: Error | null, unsent: readonly Call[]): void;
}

export class Peer implements ChannelListener {
  readonly #options: PeerOptions;
  readonly #clock: Clock;
  readonly #calls: Calls;
  readonly #serving: Serving;
  readonly #writer = new Writer(headBytes + limits.rpcBodyBytes);
  #channel: Channel | null = null;
  #peer = 'nobody';
  /** The version that both speak; 0 before it is known. */
  #version = 0;
  #slow = false;
  #ended = false;
  #heard = false;
  #unanswered = 0;
  #pinging = false;
  #cancelTimer: () => void = () => {};
  #used = false;
  /** Why this side closed it, in order. */
  #why: Error | null = null;

  constructor(options: PeerOptions) {
    const { clock, table, handlers } = options;
    const peer = this;
    this.#options = options;
    this.#clock = clock;
    this.#calls = new Calls(clock, {
      get peer() {
        return peer.#peer;
      },
      get version() {
        return peer.#version;
      },
      get open() {
        return peer.#version > 0 && !peer.#slow && !peer.#ended;
      },
      request: (call, id, leftMs) => this.#request(call, id, leftMs),
      cancel: (id) => this.#signal(Type.cancel, id),
    });
    this.#serving = new Serving(clock, table, byNumber(table), handlers, {
      get peer() {
        return peer.#peer;
      },
      result: (call, kind, answer) => this.#result(call, kind, answer),
      failure: (call, error) => this.#failure(call, error),
    });
  }

  get version(): number {
    return this.#version;
  }

  /** No call in either direction now, and none since this was asked last. */
  unused(): boolean {
    const used = this.#used || !this.#calls.idle || !this.#serving.idle;
    this.#used = false;
    return !used;
  }

  /** The channel whose listener this is; before anything is heard of it. */
  open(channel: Channel): void {
    this.#channel = channel;
    this.#peer = channel.peer;
    const { versions, incarnation, opening, seen } = this.#options;
    const [calls, callBytes] = [limits.rpcCalls, limits.rpcCallBytes];
    this.#writer.reset(headBytes, 0);
    writeHello(this.#writer, { ...versions, calls, callBytes, incarnation, opening, seen });
    this.#send(Type.hello, 0, 0, 0);
    this.#cancelTimer = this.#clock.after(limits.rpcHelloMs, () =>
      this.close(new StorageError('BUSY', `${this.#peer} did not say what it speaks`)),
    );
  }

  start(call: Call, whenFull?: 'wait' | 'refuse'): void {
    this.#calls.start(call, whenFull);
  }

  /** With a reason: at once. */
  close(reason?: Error): void {
    this.#channel?.close(reason);
  }

  message(message: Uint8Array): void {
    if (this.#ended) return;
    this.#heard = true;
    try {
      this.#received(unseal(message));
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (error instanceof RpcError) {
        // In order, so that what this side speaks reaches the other, which then says the same.
        this.#why = error;
        this.close();
      } else {
        this.close(new StorageError(error.code, `${this.#peer} sent ${error.message}`));
      }
    }
  }

  drained(): void {
    this.#slow = false;
    this.#calls.pump();
  }

  closed(reason: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelTimer();
    const why = reason === null ? 'was closed' : `died: ${reason.message}`;
    const unsent = this.#calls.end(`the channel to ${this.#peer} ${why}`);
    this.#serving.end();
    this.#options.ended(reason ?? this.#why, unsent);
  }

  #received(envelope: Envelope): void {
    if ((envelope.type === Type.hello) !== (this.#version === 0)) {
      throw new StorageError('CORRUPT', 'a first message that is not the first, or is missing');
    }
    switch (envelope.type) {
      case Type.hello:
        this.#greeted(readHello(bodyOf(envelope, 0)));
        break;
      case Type.request:
        this.#used = true;
        this.#serving.requested(envelope, this.#version);
        break;
      case Type.result:
      case Type.failure:
        this.#calls.answered(envelope, this.#version);
        break;
      case Type.cancel:
        this.#serving.cancelled(envelope.call);
        break;
      case Type.ping:
        this.#signal(Type.pong, 0);
        break;
      case Type.pong: // That it was heard is all.
    }
  }

  #greeted(theirs: Hello): void {
    const version = common(this.#options.versions, theirs);
    if (typeof version !== 'number') throw version;
    this.#cancelTimer();
    this.#version = version;
    this.#options.ready(theirs);
    this.#calls.allow(theirs.calls, theirs.callBytes);
  }

  #request(call: Call, id: number, leftMs: number): void {
    this.#used = true;
    this.#writer.reset(headBytes, this.#version);
    call.kind.request.write(this.#writer, call.body);
    this.#send(Type.request, call.kind.number, id, leftMs, call.payload);
    if (!this.#pinging) this.#ping();
  }

  #result(call: number, kind: Kind<unknown, unknown>, answer: Answer<unknown>): void {
    try {
      this.#writer.reset(headBytes, this.#version);
      kind.response.write(this.#writer, answer.body);
      this.#send(Type.result, kind.number, call, 0, answer.payload);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#failure(call, error); // An answer that is outside its bounds is still an answer.
    }
  }

  #failure(call: number, error: StorageError): void {
    this.#writer.reset(headBytes, this.#version);
    const number = writeFailure(this.#writer, error);
    this.#send(Type.failure, number, call, 0);
  }

  #signal(type: Type, call: number): void {
    this.#writer.reset(headBytes, 0);
    this.#send(type, 0, call, 0);
  }

  /** The body is what the writer has. */
  #send(type: Type, number: number, call: number, leftMs: number, payload = none): void {
    if (this.#channel === null || this.#ended) return;
    const head = this.#writer.written();
    seal(head, type, number, call, leftMs, payload);
    if (!this.#channel.send(head, payload)) this.#slow = true;
  }

  /** While answers are awaited the other side must be heard of now and then. */
  #ping(): void {
    this.#pinging = true;
    this.#heard = false;
    this.#cancelTimer = this.#clock.after(limits.rpcPingMs, () => {
      this.#pinging = false;
      if (this.#ended || this.#calls.inFlight === 0) return;
      this.#unanswered = this.#heard ? 0 : this.#unanswered + 1;
      if (this.#unanswered > limits.rpcPings) {
        this.close(new StorageError('BUSY', `${this.#peer} gives no sign of life`));
        return;
      }
      if (this.#unanswered > 0) this.#signal(Type.ping, 0);
      this.#ping();
    });
  }
}
