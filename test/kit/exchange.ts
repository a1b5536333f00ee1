/**
 * One SCSI command of the test initiator, from request to status: takes Data-In in order, answers
 * R2T with Data-Out, and checks the sequence numbers and offsets of both (RFC 7143 11.7, 11.8).
 */
import { type Negotiated, ProtocolViolation } from './login.ts';
import { FINAL, NO_TAG, Op, type Pdu, type PduFields } from './pdu.ts';

export interface CommandResult {
  /** iSCSI response, byte 2: 0 = completed at target. */
  readonly response: number;
  /** SCSI status. */
  readonly status: number;
  /** Without the two bytes of SenseLength. */
  readonly sense: Buffer;
  readonly data: Buffer;
  /** Bytes, negative for an overflow. */
  readonly residual: number;
}

export interface ExchangeSession {
  readonly negotiated: Negotiated;
  send(fields: PduFields): void;
}

const STATUS_BIT = 0x01;
const UNDERFLOW = 0x02;
const OVERFLOW = 0x04;

export class Exchange {
  readonly tag: number;
  readonly result: Promise<CommandResult>;
  readonly #session: ExchangeSession;
  readonly #out: Uint8Array | null;
  readonly #in: Buffer;
  #received = 0;
  /** Data-In and R2T share one numbering (RFC 7143 11.7.5, 11.8.3). */
  #dataSn = 0;
  #resolve: (result: CommandResult) => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(tag: number, out: Uint8Array | null, expectIn: number, session: ExchangeSession) {
    this.tag = tag;
    this.#out = out;
    this.#in = Buffer.alloc(expectIn);
    this.#session = session;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  reject(error: Error): void {
    this.#reject(error);
  }

  /** How much of the first burst goes with the command and how much right after it, bytes. */
  firstBurst(expectedLength: number): { immediate: number; unsolicited: number } {
    const { negotiated } = this.#session;
    const length = Math.min(this.#out?.length ?? 0, expectedLength);
    const first = Math.min(length, negotiated.firstBurst);
    const immediate = negotiated.immediateData ? Math.min(first, negotiated.peerMaxDataSegment) : 0;
    return { immediate, unsolicited: negotiated.initialR2t ? 0 : first - immediate };
  }

  /** One Data-Out sequence: solicited by `transfer`, or unsolicited with NO_TAG. */
  sendData(transfer: number, offset: number, length: number): void {
    const out = this.#out ?? new Uint8Array(0);
    const most = this.#session.negotiated.peerMaxDataSegment;
    let dataSn = 0;
    for (let at = offset; at < offset + length; ) {
      const size = Math.min(most, offset + length - at);
      this.#session.send({
        opcode: Op.dataOut,
        flags: at + size === offset + length ? FINAL : 0,
        lun: this.#session.negotiated.lun,
        tag: this.tag,
        words: { 20: transfer, 36: dataSn++, 40: at },
        data: out.subarray(at, at + size),
      });
      at += size;
    }
  }

  receive(pdu: Pdu): void {
    if (pdu.opcode === Op.r2t) this.#onR2t(pdu);
    else if (pdu.opcode === Op.dataIn) this.#onDataIn(pdu);
    else this.#onResponse(pdu);
  }

  #onR2t(pdu: Pdu): void {
    this.#takeDataSn(pdu);
    const offset = pdu.header.readUInt32BE(40);
    const length = pdu.header.readUInt32BE(44);
    const transfer = pdu.header.readUInt32BE(20);
    if (length === 0 || length > this.#session.negotiated.maxBurst) {
      throw new ProtocolViolation(`R2T for ${length} bytes`, pdu);
    }
    if (offset + length > (this.#out?.length ?? 0)) {
      throw new ProtocolViolation(`R2T for ${offset}+${length}, beyond the data`, pdu);
    }
    if (transfer === NO_TAG) throw new ProtocolViolation('R2T with a reserved tag', pdu);
    this.sendData(transfer, offset, length);
  }

  #onDataIn(pdu: Pdu): void {
    this.#takeDataSn(pdu);
    const offset = pdu.header.readUInt32BE(40);
    if (offset !== this.#received || offset + pdu.data.length > this.#in.length) {
      throw new ProtocolViolation(`Data-In at ${offset} where ${this.#received} was due`, pdu);
    }
    pdu.data.copy(this.#in, offset);
    this.#received += pdu.data.length;
    if ((pdu.flags & STATUS_BIT) !== 0) this.#finish(pdu, 0, Buffer.alloc(0));
  }

  #onResponse(pdu: Pdu): void {
    const senseLength = pdu.data.length >= 2 ? pdu.data.readUInt16BE(0) : 0;
    if (senseLength > Math.max(0, pdu.data.length - 2)) {
      throw new ProtocolViolation(`SenseLength ${senseLength}`, pdu);
    }
    const due = pdu.header.readUInt32BE(36);
    // 11.4.8: R2Ts count too, but 0 is right as well when there was no Data-In.
    const allowed = this.#received === 0 ? [0, this.#dataSn] : [this.#dataSn];
    if (pdu.header[2] === 0 && !allowed.includes(due)) {
      throw new ProtocolViolation(`ExpDataSN ${due} after ${this.#dataSn} PDUs`, pdu);
    }
    this.#finish(pdu, pdu.header[2] ?? 0, pdu.data.subarray(2, 2 + senseLength));
  }

  #takeDataSn(pdu: Pdu): void {
    const dataSn = pdu.header.readUInt32BE(36);
    if (dataSn !== this.#dataSn) {
      throw new ProtocolViolation(`DataSN ${dataSn} where ${this.#dataSn} was due`, pdu);
    }
    this.#dataSn++;
  }

  #finish(pdu: Pdu, response: number, sense: Buffer): void {
    const count = pdu.header.readUInt32BE(44);
    const residual =
      (pdu.flags & OVERFLOW) !== 0 ? -count : (pdu.flags & UNDERFLOW) !== 0 ? count : 0;
    this.#resolve({
      response,
      status: pdu.header[3] ?? 0,
      sense: Buffer.from(sense),
      data: this.#in.subarray(0, this.#received),
      residual,
    });
  }
}
