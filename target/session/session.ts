/**
 * A session in full-feature phase with its one connection (RFC 7143 4.4): which PDU goes where.
 *
 * Order: PDUs are taken as they come; the window admits non-immediate ones in CmdSN order. Whatever
 * is malformed is answered with Reject and the session goes on, unless its lengths cannot be
 * believed. A discovery session knows only Text, NOP and Logout (4.3).
 */
import type { Nexus } from '../scsi/nexus.ts';
import type { ScsiTarget } from '../scsi/scsi-target.ts';
import { encodeSense, type SenseCode } from '../scsi/sense.ts';
import {
  AsyncEvent,
  LogoutReason,
  LogoutResponse,
  logoutCid,
  logoutReason,
  putAsyncMessage,
  putLogoutResponse,
  putNopIn,
  putReject,
  putScsiEvent,
  RejectReason,
} from '../wire/control.ts';
import { targetTransferTag } from '../wire/data.ts';
import {
  BHS_BYTES,
  cmdSn,
  initiatorTaskTag,
  isImmediate,
  NO_TAG,
  Opcode,
  opcode,
  readAhs,
} from '../wire/header.ts';
import { putTaskResponse, readTaskRequest, type TaskResponse } from '../wire/task.ts';
import { type Pair, putTextResponse, readTextRequest } from '../wire/text.ts';
import { Commands } from './commands.ts';
import type { SessionFacts, SessionHost } from './host.ts';
import { type Output, Stat } from './output.ts';
import { type ManagedSession, TaskManagement } from './task-management.ts';
import { TextExchange } from './text-exchange.ts';
import { Admission, type CommandWindow } from './window.ts';

/** What came after which nothing else is to be answered. */
type Phase = 'open' | 'loggingOut' | 'closed';

export class Session implements ManagedSession {
  readonly facts: SessionFacts;
  readonly nexus: Nexus;
  readonly window: CommandWindow;
  /** Of a discovery session as well, where it never sees a command. */
  readonly commands: Commands;
  readonly #host: SessionHost;
  readonly #out: Output;
  readonly #management: TaskManagement | null;
  readonly #text: TextExchange;
  #phase: Phase = 'open';
  #pingTag = 0;
  #settleWatchers: (() => void)[] = [];

  constructor(facts: SessionFacts, host: SessionHost, scsi: ScsiTarget) {
    this.facts = facts;
    this.nexus = facts.nexus;
    this.#host = host;
    this.#out = host.out;
    this.window = host.out.window;
    this.commands = new Commands({
      limits: host.limits,
      clock: host.clock,
      pool: host.pool,
      budget: host.budget,
      out: host.out,
      owner: this,
      parameters: facts.parameters,
      scsi,
      nexus: facts.nexus,
      window: this.window,
    });
    this.#text = new TextExchange(this, host.limits);
    this.#management =
      facts.scsi === null
        ? null
        : new TaskManagement(this, host.clock, host.limits.taskManagementTimeoutMs);
  }

  get scsi(): ScsiTarget {
    return this.facts.scsi!;
  }

  get open(): boolean {
    return this.#phase === 'open';
  }

  /** Judges lengths at the header; false: the connection is to end. */
  checkHeader(b: Uint8Array, at: number, ahs: number, dataLength: number): boolean {
    const tooLong = dataLength > this.#host.limits.receiveSegmentBytes;
    const badAhs = ahs !== 0 && readAhs(b, at + BHS_BYTES, at + BHS_BYTES + ahs) === null;
    if (!tooLong && !badAhs) return true;
    this.reject(RejectReason.invalidPduField, b, at);
    this.#host.warn({ dataLength, ahs }, 'a PDU with impossible lengths');
    this.#host.endConnection();
    return false;
  }

  place(b: Uint8Array, at: number, dataLength: number): void {
    if (opcode(b, at) !== Opcode.dataOut || this.#phase !== 'open') return;
    this.commands.dataOut.place(b, at, dataLength, this.#host.receiver);
  }

  /** One PDU; see PduHandler. */
  pdu(
    b: Uint8Array,
    at: number,
    ahs: number,
    data: Uint8Array,
    dataAt: number,
    dataLength: number,
    whole: boolean,
  ): boolean {
    if (this.#phase !== 'open') return this.#phase !== 'closed';
    const op = opcode(b, at);
    if (op === Opcode.dataOut && this.#management !== null) {
      this.commands.dataOut.receive(b, at, data, dataAt, dataLength, whole);
      return true;
    }
    const refusal = this.#refusal(op, ahs);
    if (refusal !== null) {
      this.reject(refusal, b, at);
      return true;
    }
    if (!isImmediate(b, at)) {
      const admission = this.#admit(b, at, op);
      if (admission !== Admission.take) return admission === Admission.drop;
    }
    if (op === Opcode.scsiCommand) {
      this.commands.receive(b, at, ahs, data, dataAt, dataLength, whole);
    } else if (!whole) {
      this.reject(RejectReason.dataDigestError, b, at);
    } else {
      this.#control(op, b, at, data.subarray(dataAt, dataAt + dataLength));
    }
    return true;
  }

  /** Why a PDU of this kind is not taken at all. */
  #refusal(op: number, ahs: number): RejectReason | null {
    switch (op) {
      case Opcode.scsiCommand:
        return this.#management === null ? RejectReason.protocolError : null;
      case Opcode.taskManagementRequest:
        if (this.#management === null) return RejectReason.protocolError;
        break;
      case Opcode.nopOut:
      case Opcode.textRequest:
      case Opcode.logoutRequest:
        break;
      case Opcode.loginRequest:
      case Opcode.dataOut:
        return RejectReason.protocolError;
      case Opcode.snackRequest:
        return RejectReason.snackReject;
      default:
        return RejectReason.commandNotSupported;
    }
    return ahs === 0 ? null : RejectReason.invalidPduField;
  }

  #admit(b: Uint8Array, at: number, op: number): Admission {
    const sn = cmdSn(b, at);
    let admission = this.window.admit(sn);
    if (admission === Admission.gap && op === Opcode.taskManagementRequest) {
      // A function that aborts the very command that is missing fills the gap (RFC 7143 11.5.1).
      const request = readTaskRequest(b, at);
      if (this.window.skip(request.refCmdSn)) admission = this.window.admit(sn);
    }
    if (admission === Admission.gap) {
      this.#host.dropConnection(`CmdSN ${sn} came when ${this.window.expCmdSn} was next`);
    }
    return admission;
  }

  #control(op: number, b: Uint8Array, at: number, data: Uint8Array): void {
    switch (op) {
      case Opcode.nopOut:
        this.#nopOut(b, at, data);
        break;
      case Opcode.taskManagementRequest:
        this.#management!.receive(readTaskRequest(b, at), cmdSn(b, at));
        break;
      case Opcode.textRequest: {
        const pieceBytes = Math.min(this.facts.parameters.sendSegmentBytes, 65536);
        const good = this.#text.receive(readTextRequest(b, at), data, pieceBytes);
        if (!good) this.reject(RejectReason.protocolError, b, at);
        break;
      }
      default:
        this.#logout(b, at);
    }
  }

  /** RFC 7143 11.18: a ping is echoed; the answer to ours needs none (that it came is enough). */
  #nopOut(b: Uint8Array, at: number, data: Uint8Array): void {
    const tag = initiatorTaskTag(b, at);
    if (tag === NO_TAG) {
      const known = targetTransferTag(b, at);
      if (known !== NO_TAG && known !== this.#pingTag) {
        this.reject(RejectReason.invalidPduField, b, at);
      }
      return;
    }
    const length = Math.min(
      data.length,
      this.facts.parameters.sendSegmentBytes,
      this.#out.segmentBytesMax,
    );
    const out = this.#out;
    const to = out.reserve(length);
    putNopIn(out.bytes, to, tag, NO_TAG, length);
    out.bytes.set(length === data.length ? data : data.subarray(0, length), to + out.dataAt);
    out.seal(to, length, Stat.advance);
  }

  /** Asks for a sign of life (RFC 7143 11.19): with a valid tag, so that an answer is due. */
  ping(): void {
    if (this.#phase !== 'open') return;
    this.#pingTag = (this.#pingTag % 0x7fff_ffff) + 1;
    this.#nopIn(this.#pingTag);
  }

  #nopIn(transferTag: number): void {
    const at = this.#out.reserve(0);
    putNopIn(this.#out.bytes, at, NO_TAG, transferTag, 0);
    this.#out.seal(at, 0, Stat.show);
  }

  #logout(b: Uint8Array, at: number): void {
    const tag = initiatorTaskTag(b, at);
    const reason = logoutReason(b, at);
    if (reason === LogoutReason.recovery) {
      this.#logoutResponse(tag, LogoutResponse.recoveryNotSupported);
      return;
    }
    if (reason !== LogoutReason.closeSession && reason !== LogoutReason.closeConnection) {
      this.reject(RejectReason.invalidPduField, b, at);
      return;
    }
    if (reason === LogoutReason.closeConnection && logoutCid(b, at) !== this.facts.cid) {
      this.#logoutResponse(tag, LogoutResponse.cidNotFound);
      return;
    }
    this.#phase = 'loggingOut';
    this.commands.close();
    this.whenSettled(this.#host.limits.settleTimeoutMs, () => {
      if (this.#phase === 'closed') return;
      this.#logoutResponse(tag, LogoutResponse.closed);
      this.#host.endConnection();
    });
  }

  #logoutResponse(tag: number, response: LogoutResponse): void {
    const at = this.#out.reserve(0);
    putLogoutResponse(this.#out.bytes, at, tag, response);
    this.#out.seal(at, 0, Stat.advance);
  }

  /** Asks the initiator to log out (RFC 7143 11.9.1, event 1). */
  requestLogout(withinSeconds: number): void {
    if (this.#phase !== 'open') return;
    const at = this.#out.reserve(0);
    putAsyncMessage(this.#out.bytes, at, AsyncEvent.logoutRequest, 0, 0, withinSeconds);
    this.#out.seal(at, 0, Stat.advance);
  }

  /** Tells that the session is dropped, when there is still somebody to tell (event 3). */
  announceDrop(): void {
    this.#announce(AsyncEvent.sessionDrop, 0);
  }

  /** The same of its connection, which the message names (event 2). */
  announceConnectionDrop(): void {
    this.#announce(AsyncEvent.connectionDrop, this.facts.cid);
  }

  /** Something befell the LUNs of the target; what it was is in the unit attentions, too. */
  scsiEvent(code: SenseCode): void {
    if (this.#phase !== 'open') return;
    const sense = encodeSense(code, false);
    const at = this.#out.reserve(sense.length + 2);
    putScsiEvent(this.#out.bytes, at, sense, this.#out.dataAt);
    this.#out.seal(at, sense.length + 2, Stat.advance);
  }

  #announce(event: AsyncEvent, parameter1: number): void {
    if (this.#phase !== 'open') return;
    const at = this.#out.reserve(0);
    // Parameters 2 and 3, Time2Wait and Time2Retain, are 0: come back at once, nothing is retained.
    putAsyncMessage(this.#out.bytes, at, event, parameter1, 0, 0);
    this.#out.seal(at, 0, Stat.advance);
  }

  reject(reason: RejectReason, b: Uint8Array, at: number): void {
    const out = this.#out;
    const to = out.reserve(BHS_BYTES);
    putReject(out.bytes, to, reason, b, at, out.dataAt);
    out.seal(to, BHS_BYTES, Stat.advance);
  }

  /** The connection is gone. Tasks end; those inside the device when they come out. */
  close(): void {
    if (this.#phase === 'closed') return;
    const wasOpen = this.#phase === 'open';
    this.#phase = 'closed';
    if (wasOpen) this.commands.close();
  }

  /** Calls `then` once nothing of this session can touch a medium any more, or time is up. */
  whenSettled(timeoutMs: number | null, then: () => void): void {
    if (this.commands.tasks.working === 0) {
      then();
      return;
    }
    let cancel = (): void => {};
    let called = false;
    const once = (): void => {
      if (called) return;
      called = true;
      cancel();
      then();
    };
    this.#settleWatchers.push(once);
    if (timeoutMs !== null) cancel = this.#host.clock.after(timeoutMs, once);
  }

  // CommandsOwner

  settled(): void {
    if (this.#settleWatchers.length === 0) return;
    for (const watcher of this.#settleWatchers.splice(0)) watcher();
  }

  bufferGone(buffer: Buffer): void {
    this.#host.receiver.forget(buffer);
  }

  windowOpened(): void {
    if (this.#phase === 'open') this.#nopIn(NO_TAG);
  }

  // TextOwner

  targets(which: string): readonly Pair[] {
    return this.#host.targets(which, this);
  }

  segmentDeclared(bytes: number): void {
    this.facts.parameters.sendSegmentBytes = bytes;
    this.commands.dataIn.setSegmentBytes(bytes);
  }

  textResponse(tag: number, transferTag: number, continues: boolean, text: Uint8Array): void {
    const out = this.#out;
    const at = out.reserve(text.length);
    putTextResponse(out.bytes, at, tag, transferTag, continues, text.length);
    out.bytes.set(text, at + out.dataAt);
    out.seal(at, text.length, Stat.advance);
  }

  // TaskManagementOwner

  siblings(): Iterable<Session> {
    return this.#host.siblings(this);
  }

  taskResponse(tag: number, response: TaskResponse): void {
    if (this.#phase !== 'open') return;
    const at = this.#out.reserve(0);
    putTaskResponse(this.#out.bytes, at, tag, response);
    this.#out.seal(at, 0, Stat.advance);
  }

  dropAll(): void {
    for (const session of [...this.#host.siblings(this)]) session.drop('target cold reset');
  }

  drop(reason: string): void {
    this.#host.dropConnection(reason);
  }
}
