/**
 * How the hostile cases talk and how their outcome is put in words. A case sends bytes, then, in full
 * feature phase, a ping; everything that comes back is told as one line:
 *
 *   login CC/DD      Login Response with that status
 *   reject RR        Reject with that reason
 *   good | check KEY/ASC/ASCQ | status SS      the end of a SCSI command
 *   r2t OFFSET+LENGTH
 *   tmf RR, logout RR, text, data-in, async
 *   alive            the ping was answered, or the login went through
 *   closed           the connection ended
 *   silent           neither within the time limit
 */

import { senseText } from '../kit/initiator.ts';
import { type LoginOptions, logIn, type Negotiated } from '../kit/login.ts';
import { FINAL, hex, NO_TAG, Op, type Pdu, type PduFields } from '../kit/pdu.ts';
import { ConnectionEnded, Wire } from '../kit/wire.ts';

export interface TargetAddress {
  readonly port: number;
  readonly target: string;
  readonly lun: number;
}

/** Long enough for any answer; a case that passes waits this long only for silence. */
const ANSWER_TIMEOUT_MS = 4000;
const PING_TAG = 0x70696e67;
const MAX_PDUS = 300;

/** A connection that has not logged in. */
export class Stranger {
  readonly address: TargetAddress;
  readonly wire: Wire;
  readonly told: string[] = [];

  constructor(address: TargetAddress, wire: Wire) {
    this.address = address;
    this.wire = wire;
  }

  static async connect(address: TargetAddress): Promise<Stranger> {
    return new Stranger(address, await Wire.connect(address.port));
  }

  /** Sends and takes one answer; null when the connection ended or nothing came. */
  async ask(fields: PduFields | Uint8Array): Promise<Pdu | null> {
    if (fields instanceof Uint8Array) this.wire.sendBytes(fields);
    else this.wire.send(fields);
    const pdu = await next(this.wire);
    if (pdu === 'closed' || pdu === 'silent') {
      this.told.push(pdu);
      return null;
    }
    this.told.push(words(pdu));
    return pdu;
  }

  /** After the last question: a refused login has to be followed by the end of the connection. */
  async outcome(): Promise<string> {
    const last = this.told.at(-1);
    if (last !== undefined && last !== 'closed' && last !== 'silent') {
      const more = await next(this.wire);
      this.told.push(typeof more === 'string' ? more : words(more));
    }
    this.wire.close();
    return this.told.join(', ');
  }
}

/** A session in full feature phase whose every PDU is sent by hand. */
export class Guest {
  readonly address: TargetAddress;
  readonly wire: Wire;
  readonly negotiated: Negotiated;
  readonly told: string[] = [];
  cmdSn: number;

  private constructor(address: TargetAddress, wire: Wire, negotiated: Negotiated) {
    this.address = address;
    this.wire = wire;
    this.negotiated = negotiated;
    this.cmdSn = negotiated.cmdSn;
  }

  static async login(
    address: TargetAddress,
    keys: NonNullable<LoginOptions['keys']> = {},
  ): Promise<Guest> {
    const wire = await Wire.connect(address.port);
    const guest = new Guest(address, wire, await logIn(wire, { ...address, keys }));
    // Unit attentions are no part of the answers to come.
    for (let attempt = 0; attempt < 8; attempt++) {
      guest.send({ opcode: Op.scsiCommand, flags: FINAL | 1, tag: 1, cdb: new Uint8Array(16) });
      const pdu = await wire.receive();
      guest.#statSn = (pdu.header.readUInt32BE(24) + 1) >>> 0;
      if (pdu.header[3] === 0) return guest;
    }
    throw new Error('the unit never became ready');
  }

  #statSn = 0;

  /** With our LUN, CmdSN and ExpStatSN unless the fields say otherwise. */
  send(fields: PduFields): void {
    const immediate = fields.immediate === true || fields.opcode === Op.dataOut;
    const cmdSn = this.cmdSn;
    if (!immediate) this.cmdSn = (cmdSn + 1) >>> 0;
    this.wire.send({
      lun: this.address.lun,
      ...fields,
      words: { 24: cmdSn, 28: this.#statSn || this.negotiated.statSn, ...fields.words },
    });
  }

  /** Takes and tells one PDU; null when the connection ended or nothing came. */
  async take(): Promise<Pdu | null> {
    const pdu = await next(this.wire);
    if (typeof pdu === 'string') {
      this.told.push(pdu);
      return null;
    }
    this.told.push(words(pdu));
    return pdu;
  }

  /** Pings, then collects until the ping's echo and at least `answers` others, or the end. */
  async outcome(answers: number): Promise<string> {
    this.send({
      opcode: Op.nopOut,
      immediate: true,
      flags: FINAL,
      lun: 0,
      tag: PING_TAG,
      words: { 20: NO_TAG },
    });
    let alive = false;
    for (let count = 0; count < MAX_PDUS; count++) {
      if (alive && this.told.length >= answers) break;
      const pdu = await next(this.wire);
      if (pdu === 'silent' && alive) break;
      if (typeof pdu === 'string') {
        this.told.push(pdu);
        break;
      }
      if (pdu.opcode === Op.nopIn && pdu.header.readUInt32BE(16) === PING_TAG) alive = true;
      else this.told.push(words(pdu));
    }
    if (alive) this.told.push('alive');
    this.wire.close();
    return this.told.join(', ');
  }
}

async function next(wire: Wire): Promise<Pdu | 'closed' | 'silent'> {
  try {
    return await wire.receive(ANSWER_TIMEOUT_MS);
  } catch (error) {
    return error instanceof ConnectionEnded ? 'closed' : 'silent';
  }
}

function words(pdu: Pdu): string {
  switch (pdu.opcode) {
    case Op.loginResponse:
      return `login ${hex(pdu.header[36])}/${hex(pdu.header[37])}`;
    case Op.reject:
      return `reject ${hex(pdu.header[2])}`;
    case Op.scsiResponse:
      return scsiWords(pdu);
    case Op.r2t:
      return `r2t ${pdu.header.readUInt32BE(40)}+${pdu.header.readUInt32BE(44)}`;
    case Op.taskManagementResponse:
      return `tmf ${hex(pdu.header[2])}`;
    case Op.logoutResponse:
      return `logout ${hex(pdu.header[2])}`;
    case Op.textResponse:
      return 'text';
    case Op.dataIn:
      return 'data-in';
    case Op.asyncMessage:
      return 'async';
    case Op.nopIn:
      return 'nop-in';
    default:
      return `opcode ${hex(pdu.opcode)}`;
  }
}

function scsiWords(pdu: Pdu): string {
  const status = pdu.header[3] ?? 0;
  if (pdu.header[2] !== 0) return `response ${hex(pdu.header[2])}`;
  if (status === 0) return 'good';
  if (status !== 2) return `status ${hex(status)}`;
  const sense = pdu.data.subarray(2);
  return `check ${senseText({ sense, data: sense, status, response: 0, residual: 0 })}`;
}
