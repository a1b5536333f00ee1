/**
 * An iSCSI session for tests, independent of target/: login with any keys, SCSI commands at any
 * queue depth with immediate, unsolicited and solicited data, task management, NOP, text, logout.
 * It checks what it receives (StatSN and DataSN in order, offsets and lengths within what was
 * negotiated) and ends the session with ProtocolViolation when the target breaks a rule.
 * Source: RFC 7143 sections 4, 6, 7 and 11.
 */

import * as cdbs from './cdb.ts';
import { type CommandResult, Exchange } from './exchange.ts';
import { type LoginOptions, logIn, type Negotiated, ProtocolViolation } from './login.ts';
import { decodeKeys, encodeKeys, FINAL, NO_TAG, Op, type Pdu, type PduFields } from './pdu.ts';
import { within } from './process.ts';
import { ConnectionEnded, Wire } from './wire.ts';

export type { CommandResult } from './exchange.ts';
export { LoginRefused, ProtocolViolation } from './login.ts';

export interface CommandOptions {
  readonly lun?: number;
  readonly dataOut?: Uint8Array;
  /** Bytes of data in that are expected; EDTL. */
  readonly expectIn?: number;
  /** EDTL when it is to differ from the data. */
  readonly expectedLength?: number;
  readonly timeoutMs?: number;
}

/** TASK ATTRIBUTE SIMPLE (RFC 7143 11.3.1). */
const SIMPLE = 1;
const READ_BIT = 0x40;
const WRITE_BIT = 0x20;
/** The target closes after a logout; one that does not is left. */
const LOGOUT_TIMEOUT_MS = 1000;
const DEFAULT_TIMEOUT_MS = 30_000;

export class Initiator {
  readonly wire: Wire;
  readonly negotiated: Negotiated;
  /** PDUs that belong to no request of ours: Async Message, Reject. */
  readonly unsolicited: Pdu[] = [];
  #cmdSn: number;
  #maxCmdSn: number;
  #statSn: number;
  #nextTag = 1;
  #exchanges = new Map<number, Exchange>();
  #simple = new Map<number, { resolve(pdu: Pdu): void; reject(error: Error): void }>();
  #byHand = new Map<number, (pdu: Pdu) => void>();
  #waiting: Array<() => void> = [];
  #failure: Error | null = null;

  private constructor(wire: Wire, negotiated: Negotiated) {
    this.wire = wire;
    this.negotiated = negotiated;
    this.#cmdSn = negotiated.cmdSn;
    this.#maxCmdSn = negotiated.maxCmdSn;
    this.#statSn = negotiated.statSn;
    wire.onPdu((pdu) => this.#receive(pdu));
    void wire.ended.then((ended) => this.#fail(new ConnectionEnded(ended)));
  }

  /** Rejects with LoginRefused (status class and detail), ConnectionEnded or a time-out. */
  static async login(options: LoginOptions): Promise<Initiator> {
    const wire = await Wire.connect(options.port, options.host, options.localAddress);
    try {
      return new Initiator(wire, await logIn(wire, options));
    } catch (error) {
      wire.close();
      throw error;
    }
  }

  /** The CmdSN that the next non-immediate command will carry. */
  get cmdSn(): number {
    return this.#cmdSn;
  }

  get expStatSn(): number {
    return this.#statSn;
  }

  get outstanding(): number {
    return this.#exchanges.size;
  }

  /** A tag that no request of this session has used. */
  newTag(): number {
    return this.#nextTag++;
  }

  /**
   * Sends a SCSI command when the window has room. Any SCSI status resolves; it rejects when the
   * session ends, the target breaks the protocol, or nothing came within the time limit.
   */
  command(cdb: Uint8Array, options: CommandOptions = {}): Promise<CommandResult> {
    return this.start(cdb, options).result;
  }

  /** As `command`; the tag too, for task management. */
  start(
    cdb: Uint8Array,
    options: CommandOptions = {},
  ): { tag: number; result: Promise<CommandResult> } {
    const tag = this.newTag();
    const exchange = new Exchange(tag, options.dataOut ?? null, options.expectIn ?? 0, {
      negotiated: this.negotiated,
      send: (fields) => this.wire.send(this.#stamped(fields)),
    });
    this.#exchanges.set(tag, exchange);
    if (this.#failure !== null) exchange.reject(this.#failure);
    else this.#whenOpen(() => this.#sendCommand(exchange, cdb, options));
    const limit = setTimeout(
      () => exchange.reject(new Error(`no answer to ${Buffer.from(cdb).toString('hex')}`)),
      options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    );
    const result = exchange.result.finally(() => {
      clearTimeout(limit);
      this.#exchanges.delete(tag);
    });
    return { tag, result };
  }

  #sendCommand(exchange: Exchange, cdb: Uint8Array, options: CommandOptions): void {
    const out = options.dataOut;
    const expected = options.expectedLength ?? out?.length ?? options.expectIn ?? 0;
    const { immediate, unsolicited } = exchange.firstBurst(expected);
    let flags = SIMPLE;
    if (unsolicited === 0) flags |= FINAL;
    if (out !== undefined) flags |= WRITE_BIT;
    else if (expected > 0) flags |= READ_BIT;
    this.wire.send({
      opcode: Op.scsiCommand,
      flags,
      lun: options.lun ?? this.negotiated.lun,
      tag: exchange.tag,
      words: { 20: expected, 24: this.#takeCmdSn(), 28: this.#statSn },
      cdb,
      data: out?.subarray(0, immediate) ?? new Uint8Array(0),
    });
    if (unsolicited > 0) exchange.sendData(NO_TAG, immediate, unsolicited);
  }

  async read(lba: number, sectors: number, sectorBytes = 512): Promise<Buffer> {
    const result = await this.command(cdbs.read16(lba, sectors), {
      expectIn: sectors * sectorBytes,
    });
    return expectGood(result, `READ of ${sectors} at ${lba}`).data;
  }

  async write(lba: number, data: Uint8Array, sectorBytes = 512): Promise<void> {
    const result = await this.command(cdbs.write16(lba, data.length / sectorBytes), {
      dataOut: data,
    });
    expectGood(result, `WRITE of ${data.length} bytes at ${lba}`);
  }

  /** TEST UNIT READY until no unit attention is pending, as every host does after login. */
  async settle(): Promise<void> {
    for (let attempt = 0; attempt < 8; attempt++) {
      const result = await this.command(cdbs.testUnitReady());
      if (result.status === 0) return;
    }
    throw new Error('the unit never became ready');
  }

  /** Returns the echoed data. */
  async nop(data: Uint8Array = new Uint8Array(0), timeoutMs = 5000): Promise<Buffer> {
    const pdu = await this.request(
      { opcode: Op.nopOut, immediate: true, flags: FINAL, words: { 20: NO_TAG }, data },
      timeoutMs,
    );
    return pdu.data;
  }

  async text(keys: Readonly<Record<string, string>>): Promise<Array<readonly [string, string]>> {
    let data: Uint8Array = encodeKeys(keys);
    const answer: Buffer[] = [];
    for (let transfer = NO_TAG; ; ) {
      const pdu = await this.request({
        opcode: Op.text,
        flags: FINAL,
        words: { 20: transfer },
        data,
      });
      answer.push(pdu.data);
      transfer = pdu.header.readUInt32BE(20);
      if ((pdu.flags & FINAL) !== 0) return decodeKeys(Buffer.concat(answer));
      data = new Uint8Array(0);
    }
  }

  /** Function codes: RFC 7143 11.5.1. Returns the response code (11.6.1). */
  async taskManagement(
    code: number,
    options: { tag?: number; lun?: number; refCmdSn?: number; timeoutMs?: number } = {},
  ): Promise<number> {
    const pdu = await this.request(
      {
        opcode: Op.taskManagement,
        immediate: true,
        flags: FINAL | code,
        lun: options.lun ?? this.negotiated.lun,
        words: { 20: options.tag ?? NO_TAG, 32: options.refCmdSn ?? 0 },
      },
      options.timeoutMs,
    );
    return pdu.header[2] ?? 0;
  }

  /** Closes the session in order and waits for the end of the connection. */
  async logout(): Promise<void> {
    await this.request({ opcode: Op.logout, immediate: true, flags: FINAL });
    await within(this.wire.ended, LOGOUT_TIMEOUT_MS);
    this.close();
  }

  /** Drops the connection with no word. */
  close(): void {
    this.wire.close();
  }

  /** Take the R2Ts of a command that is sent by hand through `request`. */
  onR2t(tag: number, take: (pdu: Pdu) => void): void {
    this.#byHand.set(tag, take);
  }

  /** Sends any request with a tag, CmdSN and ExpStatSN of ours and waits for the answer to the tag. */
  request(fields: PduFields, timeoutMs = 10_000): Promise<Pdu> {
    const tag = fields.tag ?? this.newTag();
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure);
        return;
      }
      const timer = setTimeout(() => {
        this.#simple.delete(tag);
        reject(new Error(`no answer to opcode ${fields.opcode} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#simple.set(tag, {
        resolve: (pdu) => {
          clearTimeout(timer);
          resolve(pdu);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      const cmdSn = fields.immediate === true ? this.#cmdSn : this.#takeCmdSn();
      this.wire.send(this.#stamped({ ...fields, tag, words: { 24: cmdSn, ...fields.words } }));
    });
  }

  #stamped(fields: PduFields): PduFields {
    return { ...fields, words: { 28: this.#statSn, ...fields.words } };
  }

  #takeCmdSn(): number {
    const cmdSn = this.#cmdSn;
    this.#cmdSn = (cmdSn + 1) >>> 0;
    return cmdSn;
  }

  /** Serial arithmetic (RFC 1982): whether the window takes `#cmdSn`. */
  get #windowOpen(): boolean {
    return ((this.#maxCmdSn - this.#cmdSn) | 0) >= 0;
  }

  #whenOpen(send: () => void): void {
    if (this.#waiting.length === 0 && this.#windowOpen) send();
    else this.#waiting.push(send);
  }

  #receive(pdu: Pdu): void {
    try {
      this.#checkNumbers(pdu);
      this.#dispatch(pdu);
      while (this.#waiting.length > 0 && this.#windowOpen) this.#waiting.shift()?.();
    } catch (error) {
      this.#fail(error as Error);
      this.wire.close();
    }
  }

  /** StatSN goes up by one with each status; MaxCmdSN never goes back (RFC 7143 4.2.2). */
  #checkNumbers(pdu: Pdu): void {
    const carriesStatus =
      pdu.opcode === Op.dataIn
        ? (pdu.flags & 0x01) !== 0
        : pdu.opcode === Op.nopIn
          ? pdu.header.readUInt32BE(16) !== NO_TAG
          : pdu.opcode !== Op.r2t;
    if (carriesStatus) {
      const statSn = pdu.header.readUInt32BE(24);
      if (statSn !== this.#statSn) {
        throw new ProtocolViolation(`StatSN ${statSn} where ${this.#statSn} was due`, pdu);
      }
      this.#statSn = (statSn + 1) >>> 0;
    }
    if (pdu.data.length > this.negotiated.ourMaxDataSegment) {
      throw new ProtocolViolation('a data segment longer than we declared', pdu);
    }
    const maxCmdSn = pdu.header.readUInt32BE(32);
    if (((maxCmdSn - this.#maxCmdSn) | 0) > 0) this.#maxCmdSn = maxCmdSn;
  }

  #dispatch(pdu: Pdu): void {
    const tag = pdu.header.readUInt32BE(16);
    switch (pdu.opcode) {
      case Op.dataIn:
      case Op.scsiResponse:
      case Op.r2t: {
        const byHand = this.#byHand.get(tag);
        if (byHand !== undefined && pdu.opcode === Op.r2t) {
          byHand(pdu);
          return;
        }
        if (byHand !== undefined) break;
        const exchange = this.#exchanges.get(tag);
        // After an abort the answer may still come; a tag that was never used is a violation.
        if (exchange === undefined && tag >= this.#nextTag) {
          throw new ProtocolViolation(`an answer to a tag never used, ${tag}`, pdu);
        }
        exchange?.receive(pdu);
        return;
      }
      case Op.nopIn:
        if (tag === NO_TAG) {
          this.#answerPing(pdu);
          return;
        }
        break;
      case Op.reject:
      case Op.asyncMessage:
        this.unsolicited.push(pdu);
        return;
    }
    const waiter = this.#simple.get(tag);
    this.#simple.delete(tag);
    if (waiter === undefined) this.unsolicited.push(pdu);
    else waiter.resolve(pdu);
  }

  #answerPing(pdu: Pdu): void {
    const transfer = pdu.header.readUInt32BE(20);
    if (transfer === NO_TAG) return;
    this.wire.send({
      opcode: Op.nopOut,
      immediate: true,
      flags: FINAL,
      lun: pdu.header.subarray(8, 16),
      tag: NO_TAG,
      words: { 20: transfer, 24: this.#cmdSn, 28: this.#statSn },
    });
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    for (const exchange of this.#exchanges.values()) exchange.reject(error);
    for (const waiter of this.#simple.values()) waiter.reject(error);
    this.#simple.clear();
    this.#waiting.length = 0;
  }
}

/** Throws with status and sense unless the status is GOOD. */
export function expectGood(result: CommandResult, what: string): CommandResult {
  if (result.status === 0 && result.response === 0) return result;
  throw new Error(`${what}: status ${result.status}, sense ${senseText(result)}`);
}

/** `key/asc/ascq` in hex, or `none`. */
export function senseText(result: CommandResult): string {
  const sense = result.sense;
  if (sense.length < 8) return 'none';
  const code = (sense[0] ?? 0) & 0x7f;
  const [key, asc, ascq] =
    code >= 0x72 ? [sense[1], sense[2], sense[3]] : [sense[2], sense[12], sense[13]];
  const hex = (byte: number | undefined) => (byte ?? 0).toString(16).padStart(2, '0');
  return `${hex((key ?? 0) & 0x0f)}/${hex(asc)}/${hex(ascq)}`;
}
