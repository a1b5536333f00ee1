/**
 * One TCP connection from accept to close: login first, then its session. The thin driver between
 * stream, receiver, output and the state machines; it holds the timers.
 *
 * Any input is a sign of life. An idle peer is pinged, a silent one dropped. A peer that does not read
 * stops being served new reads, then stops being listened to; output that moves is life as well.
 */
import type { Clock } from '../clock.ts';
import type { Limits } from '../limits.ts';
import { Rfc7143 } from '../limits.ts';
import { cmdSn, Opcode, opcode } from '../wire/header.ts';
import {
  type LoginRequest,
  LoginStatus,
  putLoginResponse,
  readLoginRequest,
} from '../wire/login.ts';
import type { Pair } from '../wire/text.ts';
import type { BufferPool, WriteBudget } from './buffers.ts';
import type { SessionHost } from './host.ts';
import { LOGIN_REFUSED } from './log.ts';
import { Login, type LoginDirectory, type LoginReply, type LoginResult } from './login.ts';
import { type ArenaPool, Output, Stat } from './output.ts';
import { Receiver } from './receiver.ts';
import type { Session } from './session.ts';
import type { ByteStream, StreamHandler } from './stream.ts';
import { CommandWindow } from './window.ts';

/** What all connections of a server share. */
export interface ConnectionHub {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly pool: BufferPool;
  readonly budget: WriteBudget;
  readonly arenas: ArenaPool;
  readonly log: {
    info(object: object, message: string): void;
    warn(object: object, message: string): void;
  };
  directory(connection: Connection): LoginDirectory;
  /** Login has succeeded: the session that follows, or why there is none. */
  openSession(connection: Connection, result: LoginResult): Session | LoginStatus;
  targets(connection: Connection, which: string): readonly Pair[];
  siblings(session: Session): Iterable<Session>;
  /** The connection is gone, with its session if it had one. */
  connectionClosed(connection: Connection): void;
}

/** How often the idle and data-out timers are looked at. */
const TICK_MS = 5_000;

export class Connection implements StreamHandler, SessionHost {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly pool: BufferPool;
  readonly budget: WriteBudget;
  readonly out: Output;
  readonly receiver: Receiver;
  readonly stream: ByteStream;
  readonly portalGroup: number;
  session: Session | null = null;
  readonly #hub: ConnectionHub;
  #login: Login | null;
  #closed = false;
  /** Nothing is taken from the stream any more; what was said is still being sent. */
  #ending = false;
  #paused = false;
  #heardMs: number;
  #pingedMs = 0;
  #cancelTimer: () => void;

  constructor(stream: ByteStream, portalGroup: number, hub: ConnectionHub) {
    this.stream = stream;
    this.portalGroup = portalGroup;
    this.#hub = hub;
    this.limits = hub.limits;
    this.clock = hub.clock;
    this.pool = hub.pool;
    this.budget = hub.budget;
    this.#heardMs = hub.clock.now();
    this.out = new Output({
      limits: hub.limits,
      pool: hub.arenas,
      stream,
      owner: this,
      clock: hub.clock,
      window: new CommandWindow(0, 1),
    });
    this.receiver = new Receiver(this, hub.pool);
    this.#login = new Login({
      limits: hub.limits,
      directory: hub.directory(this),
    });
    this.#cancelTimer = hub.clock.after(hub.limits.loginTimeoutMs, () => {
      this.dropConnection('no login in time');
    });
  }

  get loggedIn(): boolean {
    return this.session !== null;
  }

  // StreamHandler

  received(bytes: Uint8Array, length: number): void {
    if (this.#closed || this.#ending) return;
    this.#heardMs = this.clock.now();
    this.#pingedMs = 0;
    const out = this.out;
    out.corked = true;
    this.receiver.push(bytes, length);
    out.corked = false;
    out.flush();
    if (out.stopped && !this.#paused && !this.#closed) {
      this.#paused = true;
      this.stream.pause();
    }
  }

  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer();
    this.receiver.stop();
    this.out.close();
    this.session?.close();
    this.#hub.connectionClosed(this);
  }

  // OutputOwner

  outputDrained(): void {
    this.#heardMs = this.clock.now();
    this.#pingedMs = 0;
    if (this.session !== null) this.session.commands.dataIn.resume();
    this.out.flush();
    if (!this.#paused || this.out.stopped || this.#closed) return;
    this.#paused = false;
    this.stream.resume();
  }

  // PduHandler

  checkHeader(b: Uint8Array, at: number, ahs: number, dataLength: number): boolean {
    if (this.session !== null) return this.session.checkHeader(b, at, ahs, dataLength);
    if (dataLength <= Rfc7143.loginSegmentBytes) return true;
    this.dropConnection(`a login PDU of ${dataLength} bytes`);
    return false;
  }

  headerDigestError(): void {
    this.dropConnection('header digest error');
  }

  place(b: Uint8Array, at: number, dataLength: number): void {
    this.session?.place(b, at, dataLength);
  }

  pdu(
    b: Uint8Array,
    at: number,
    ahs: number,
    data: Uint8Array,
    dataAt: number,
    dataLength: number,
    whole: boolean,
  ): boolean {
    if (this.session !== null) {
      this.session.pdu(b, at, ahs, data, dataAt, dataLength, whole);
    } else {
      this.#loginPdu(b, at, data.subarray(dataAt, dataAt + dataLength));
    }
    return !this.#closed && !this.#ending;
  }

  #loginPdu(b: Uint8Array, at: number, data: Uint8Array): void {
    const request = readLoginRequest(b, at);
    if (opcode(b, at) !== Opcode.loginRequest) {
      this.#refuse(request, LoginStatus.invalidDuringLogin, 'a PDU before login');
      return;
    }
    if (this.out.statSn === 1) {
      this.out.window = new CommandWindow(cmdSn(b, at), this.limits.window);
    }
    const reply = this.#login!.step(request, data);
    if (reply.status !== LoginStatus.success) {
      this.#refuse(request, reply.status, reply.reason, reply.text);
      return;
    }
    if (!reply.done) {
      this.#answer(request, reply, 0);
      return;
    }
    const session = this.#hub.openSession(this, this.#login!.result);
    if (typeof session === 'number') this.#refuse(request, session, 'no session to be had');
    else this.#enter(request, reply, session);
  }

  /** From here on in full-feature phase. */
  #enter(request: LoginRequest, reply: LoginReply, session: Session): void {
    this.#answer(request, reply, session.facts.tsih);
    this.#login = null;
    this.session = session;
    const { headerDigest, dataDigest } = session.facts.parameters;
    this.out.setDigests(headerDigest, dataDigest);
    this.receiver.setDigests(headerDigest, dataDigest);
    this.#cancelTimer();
    this.#armTick();
  }

  #refuse(
    request: LoginRequest,
    status: LoginStatus,
    reason: string,
    text: Uint8Array = new Uint8Array(0),
  ): void {
    this.#hub.log.info({ ...this.peer(), status: status.toString(16), reason }, LOGIN_REFUSED);
    this.#answer(
      request,
      {
        status,
        transit: false,
        currentStage: request.currentStage,
        nextStage: 0,
        text,
        done: false,
        reason,
      },
      request.tsih,
    );
    this.endConnection();
  }

  #answer(request: LoginRequest, reply: LoginReply, tsih: number): void {
    const length = reply.text.length;
    const at = this.out.reserve(length);
    putLoginResponse(this.out.bytes, at, {
      transit: reply.transit,
      continues: false,
      currentStage: reply.currentStage,
      nextStage: reply.nextStage,
      isid: request.isid,
      tsih,
      tag: request.tag,
      status: reply.status,
      dataLength: length,
    });
    this.out.bytes.set(reply.text, at + this.out.dataAt);
    this.out.seal(at, length, Stat.advance);
  }

  // Timers

  #armTick(): void {
    this.#cancelTimer = this.clock.after(TICK_MS, () => this.#tick());
  }

  #tick(): void {
    if (this.#closed) return;
    const now = this.clock.now();
    const quietMs = now - this.#heardMs;
    if (this.session!.commands.dataOut.stalled(now)) {
      this.dropConnection('data that was asked for does not come');
      return;
    }
    if (this.#pingedMs !== 0 && now - this.#pingedMs >= this.limits.pingTimeoutMs) {
      this.dropConnection('no sign of life');
      return;
    }
    if (this.#pingedMs === 0 && quietMs >= this.limits.pingIdleMs) {
      this.#pingedMs = now;
      this.session!.ping();
    }
    this.#armTick();
  }

  // SessionHost

  warn(object: object, message: string): void {
    this.#hub.log.warn({ ...this.peer(), ...object }, message);
  }

  endConnection(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.#cancelTimer();
    this.out.flushAll();
    this.session?.close();
    this.stream.end();
    // A peer that neither reads nor closes does not keep the connection.
    this.#cancelTimer = this.clock.after(this.limits.settleTimeoutMs, () => this.stream.destroy());
  }

  dropConnection(reason: string): void {
    if (this.#closed) return;
    // Strangers may come in any number: the hub bounds what it says about them.
    if (this.session === null) this.#hub.log.info({ ...this.peer(), reason }, LOGIN_REFUSED);
    else this.#hub.log.warn({ ...this.peer(), reason }, 'connection dropped');
    this.out.flushAll();
    this.stream.destroy();
    this.closed();
  }

  targets(which: string): readonly Pair[] {
    return this.#hub.targets(this, which);
  }

  siblings(session: Session): Iterable<Session> {
    return this.#hub.siblings(session);
  }

  /** For the log. */
  peer(): { readonly address: string; readonly port: number; readonly initiator?: string } {
    const { remoteAddress: address, remotePort: port } = this.stream;
    if (this.session === null) return { address, port };
    return { address, port, initiator: this.session.facts.initiator };
  }
}
