/**
 * One connection of the fuzzer to a server in memory. Whatever comes back is parsed by the test
 * initiator's own codec and judged: it must be whole PDUs of a target, with right digests, zero
 * padding, StatSN in order, no data beyond what was asked for, and nothing of another LUN or of a
 * buffer that was given back. What the target holds is poisoned as soon as it is not its own.
 */
import type { ByteStream, IscsiServer, StreamHandler } from '../../target/index.ts';
import { FINAL, NO_TAG, Op, type Pdu, PduReader } from '../kit/pdu.ts';
import type { Message, Standing } from './generator.ts';
import { CHAP_SECRET, Mark, markAt } from './world.ts';

const ANSWERS: ReadonlySet<number> = new Set([
  Op.nopIn,
  Op.scsiResponse,
  Op.taskManagementResponse,
  Op.loginResponse,
  Op.textResponse,
  Op.dataIn,
  Op.logoutResponse,
  Op.r2t,
  Op.asyncMessage,
  Op.reject,
]);
const secret = Buffer.from(CHAP_SECRET);
const LUNS = [Mark.first, Mark.second] as const;
/** RFC 7143 13.12: what holds until another length is declared. */
const SEGMENT_BYTES = 8192;

/** Judges everything a target sends on one connection. */
export class Judge {
  readonly standing: Standing = {
    cmdSn: 1,
    expStatSn: 0,
    digests: { header: false, data: false },
    r2ts: [],
    tags: [],
  };
  /** In full-feature phase. */
  entered = false;
  /** False: what was sent can no longer be read the way the target reads it. */
  inStep = true;
  answers = 0;
  /** Commands that ended with GOOD. */
  good = 0;
  segmentBytes = SEGMENT_BYTES;
  #statSn: number | null = null;
  readonly #reader = new PduReader();
  /** Of commands sent: the most data any of this tag asked for, and the LUNs that any named. */
  readonly #asked = new Map<number, { length: number; luns: number }>();

  sent(message: Message): void {
    const { header } = message;
    if (!message.inStep) this.inStep = false;
    if ((header[0]! & 0x3f) !== Op.scsiCommand) return;
    const tag = header.readUInt32BE(16);
    const asked = this.#asked.get(tag) ?? { length: 0, luns: 0 };
    asked.length = Math.max(asked.length, header.readUInt32BE(20));
    const lun = header.readUInt16BE(8) & 0x3fff;
    asked.luns |= lun < LUNS.length ? 1 << lun : 0;
    this.#asked.set(tag, asked);
  }

  /** Takes what arrived; throws when the target is wrong. */
  take(bytes: Buffer): void {
    for (const mark of [Mark.poison, Mark.secret]) {
      const at = markAt(bytes, mark);
      if (at >= 0) throw new Error(`an answer holds ${mark.toString(16)} at ${at}`);
    }
    if (bytes.includes(secret)) throw new Error('an answer holds a secret');
    this.#reader.push(bytes);
    for (let pdu = this.#reader.next(); pdu !== null; pdu = this.#reader.next()) this.#judge(pdu);
  }

  #judge(pdu: Pdu): void {
    this.answers++;
    const { header, opcode } = pdu;
    const fail = (what: string): never => {
      throw new Error(`${what}: ${header.toString('hex')}`);
    };
    if (!ANSWERS.has(opcode)) fail('no opcode of a target');
    if (header[0]! >> 6 !== 0 || header[4] !== 0) fail('reserved bits or an AHS');
    if (pdu.data.length > this.segmentBytes) fail('a longer data segment than we declared');
    this.#checkPadding(pdu, fail);
    this.#checkStatSn(pdu, fail);
    const tag = header.readUInt32BE(16);
    if (opcode === Op.loginResponse) this.#loggedIn(pdu);
    else if (opcode === Op.r2t) {
      const [transferTag, offset, length] = [20, 40, 44].map((at) => header.readUInt32BE(at));
      if (length === 0) fail('an R2T for nothing');
      this.#withinAsked(tag, offset! + length!, fail);
      this.standing.r2ts.push({ tag, transferTag: transferTag!, offset: offset!, length: length! });
      if (this.standing.r2ts.length > 8) this.standing.r2ts.shift();
    } else if (opcode === Op.dataIn) {
      this.#withinAsked(tag, header.readUInt32BE(40) + pdu.data.length, fail);
      this.#checkLun(tag, pdu.data, fail);
      if ((pdu.flags & 1) !== 0) this.good++;
    } else if (opcode === Op.scsiResponse) {
      if (header[3] === 0) this.good++;
      const sense = pdu.data.length === 0 ? 0 : pdu.data.readUInt16BE(0);
      if (pdu.data.length !== 0 && pdu.data.length !== sense + 2) fail('sense of a wrong length');
    }
    // A target that could not read our CmdSN waits for the one it knows of.
    if (this.entered) this.standing.cmdSn = header.readUInt32BE(28);
  }

  #withinAsked(tag: number, end: number, fail: (what: string) => never): void {
    const asked = this.#asked.get(tag);
    if (asked === undefined ? this.inStep : end > asked.length && this.inStep) {
      fail(`data up to ${end} where ${asked?.length ?? 'nothing'} was asked for`);
    }
  }

  #checkLun(tag: number, data: Buffer, fail: (what: string) => never): void {
    if (!this.inStep) return;
    const luns = this.#asked.get(tag)?.luns ?? 0;
    LUNS.forEach((mark, lun) => {
      if ((luns & (1 << lun)) === 0 && markAt(data, mark) >= 0) fail('data of another LUN');
    });
  }

  #checkPadding(pdu: Pdu, fail: (what: string) => never): void {
    const { data } = pdu;
    const pad = -data.length & 3;
    if (pad === 0) return;
    // The codec hands out a view; the padding stands behind it in the same memory.
    const after = Buffer.from(data.buffer, data.byteOffset + data.length, pad);
    if (after.some((byte) => byte !== 0)) fail('padding that is not zero');
  }

  #checkStatSn(pdu: Pdu, fail: (what: string) => never): void {
    const { header, opcode } = pdu;
    const shown = opcode === Op.r2t || (opcode === Op.nopIn && header.readUInt32BE(16) === NO_TAG);
    if (shown || (opcode === Op.dataIn && (pdu.flags & 1) === 0)) return;
    const statSn = header.readUInt32BE(24);
    if (this.#statSn !== null && statSn !== this.#statSn) fail(`StatSN is not ${this.#statSn}`);
    this.#statSn = (statSn + 1) >>> 0;
    this.standing.expStatSn = this.#statSn;
  }

  #loggedIn(pdu: Pdu): void {
    const { header } = pdu;
    if (this.entered || header[36] !== 0 || (header[1]! & (FINAL | 3)) !== (FINAL | 3)) return;
    this.entered = true;
    const text = pdu.data.toString('latin1').split('\0');
    const digests = {
      header: text.includes('HeaderDigest=CRC32C'),
      data: text.includes('DataDigest=CRC32C'),
    };
    this.standing.digests = digests;
    this.#reader.digests = digests;
  }
}

let nextPort = 1024;

export class Link implements ByteStream {
  readonly remoteAddress = '192.0.2.7';
  readonly remotePort = nextPort++;
  readonly localAddress = '192.0.2.1';
  readonly localPort = 3260;
  readonly judge = new Judge();
  /** The peer takes nothing until `takeHeld`. */
  slow = false;
  open = true;
  readonly #handler: StreamHandler;
  /** By reference: what waits must not change before it goes. */
  #held: { readonly parts: readonly Uint8Array[]; readonly done: () => void }[] = [];
  #arrived: Buffer[] = [];

  constructor(server: IscsiServer) {
    const handler = server.accept(this);
    if (handler === null) throw new Error('a connection was not accepted');
    this.#handler = handler;
  }

  write(bytes: Uint8Array, done: () => void): boolean {
    return this.writeAll([bytes], done);
  }
  writeAll(parts: readonly Uint8Array[], done: () => void): boolean {
    if (this.slow || this.#held.length !== 0) {
      this.#held.push({ parts: [...parts], done });
      return false;
    }
    this.#takeParts(parts);
    return true;
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.open = false;
  }
  destroy(): void {
    this.open = false;
  }

  /** In pieces of `step` bytes, each borrowed for the call and poisoned after it. */
  send(message: Message, step: number): void {
    this.judge.sent(message);
    for (let at = 0; at < message.bytes.length && this.open; at += step) {
      const piece = Buffer.from(message.bytes.subarray(at, at + step));
      this.#handler.received(piece, piece.length);
      piece.fill(Mark.poison);
    }
  }

  /** What was held for a slow peer goes through; then everything that arrived is judged. */
  receive(): void {
    while (this.#held.length !== 0) {
      const { parts, done } = this.#held.shift()!;
      this.#takeParts(parts);
      done();
    }
    const arrived = this.#arrived;
    if (arrived.length === 0) return;
    this.#arrived = [];
    this.judge.take(arrived.length === 1 ? arrived[0]! : Buffer.concat(arrived));
  }

  /** Our side is gone. */
  close(): void {
    this.open = false;
    this.#held = [];
    this.#handler.closed();
  }

  #takeParts(parts: readonly Uint8Array[]): void {
    this.#arrived.push(Buffer.concat(parts));
    // It is ours to read and theirs to reuse: what they rely on must be written anew. What follows the
    // first part may be lent by the device, whose own it is.
    parts[0]!.fill(Mark.poison);
  }
}
