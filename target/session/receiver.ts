/**
 * Cuts the byte stream of a connection into PDUs (RFC 7143 11.1). No I/O, no meaning.
 *
 * A PDU that lies whole in one chunk is handed on in place. Otherwise its header is kept in a small
 * buffer and its data segment is gathered: where the handler says (a write's own buffer), or in a
 * pooled buffer. Lengths are judged by the handler at the header, before any data is waited for.
 *
 *   header: 48 bytes + AHS + digest  ──▶  checkHeader  ──▶  data + padding + digest  ──▶  pdu
 */
import { crc32c } from '../crc32c.ts';
import { Rfc7143 } from '../limits.ts';
import { digest, padding } from '../wire/bytes.ts';
import { ahsBytes, BHS_BYTES, dataSegmentLength } from '../wire/header.ts';
import type { BufferPool } from './buffers.ts';

/** What a header asks for, or false when the connection is to be closed. */
export interface PduHandler {
  /** Judges the lengths; false: nothing more is taken from this connection. */
  checkHeader(b: Uint8Array, at: number, ahs: number, dataLength: number): boolean;
  /** The header digest was wrong: nothing of this PDU can be believed. */
  headerDigestError(): void;
  /**
   * Where the data segment of this PDU, which comes in pieces, should be gathered: sets
   * `receiver.into` and `receiver.intoAt`, or leaves them for a pooled buffer.
   */
  place(b: Uint8Array, at: number, dataLength: number): void;
  /**
   * One PDU. Header at `b[at]`, AHS behind it; data at `data[dataAt…dataAt+dataLength)`. All are
   * borrowed until the call returns. `whole` false: the data digest was wrong. False: stop.
   */
  pdu(
    b: Uint8Array,
    at: number,
    ahs: number,
    data: Uint8Array,
    dataAt: number,
    dataLength: number,
    whole: boolean,
  ): boolean;
}

const EMPTY = Buffer.alloc(0);

export class Receiver {
  /** Set by `place`: the array that takes the data, and where. */
  into: Uint8Array | null = null;
  intoAt = 0;
  #pooled: Buffer | null = null;
  readonly #handler: PduHandler;
  readonly #pool: BufferPool;
  readonly #held = Buffer.alloc(BHS_BYTES + Rfc7143.ahsBytesMax + Rfc7143.digestBytes);
  #heldBytes = 0;
  #headerDigest = false;
  #dataDigest = false;
  #stopped = false;
  /** Of the PDU whose data is being gathered; -1: none is. */
  #dataLength = -1;
  #ahs = 0;
  #gathered = 0;
  /** Padding and digest behind the data: at most 3 + 4 bytes. */
  readonly #tail = Buffer.alloc(8);
  #tailBytes = 0;
  #tailLength = 0;

  constructor(handler: PduHandler, pool: BufferPool) {
    this.#handler = handler;
    this.#pool = pool;
  }

  setDigests(header: boolean, data: boolean): void {
    this.#headerDigest = header;
    this.#dataDigest = data;
  }

  stop(): void {
    this.#stopped = true;
    this.into = null;
    this.#dropPooled();
  }

  /** `buffer` is no longer the task's: what is still to come for it is dropped. */
  forget(buffer: Uint8Array): void {
    if (this.into === buffer) this.into = null;
  }

  /** Takes `bytes[0…length)`. */
  push(bytes: Uint8Array, length: number): void {
    let at = 0;
    while (at < length && !this.#stopped) {
      if (this.#dataLength >= 0) at = this.#gather(bytes, at, length);
      else if (this.#heldBytes === 0) at = this.#inPlace(bytes, at, length);
      else at = this.#hold(bytes, at, length);
    }
  }

  /** A header at `at`, nothing held. Returns how far the chunk is consumed. */
  #inPlace(bytes: Uint8Array, at: number, length: number): number {
    if (length - at < BHS_BYTES) return this.#hold(bytes, at, length);
    const ahs = ahsBytes(bytes, at);
    const head = BHS_BYTES + ahs + (this.#headerDigest ? 4 : 0);
    if (length - at < head) return this.#hold(bytes, at, length);
    const dataLength = dataSegmentLength(bytes, at);
    if (!this.#accept(bytes, at, ahs, dataLength)) return length;
    if (dataLength === 0) {
      if (!this.#handler.pdu(bytes, at, ahs, EMPTY, 0, 0, true)) this.stop();
      return at + head;
    }
    const start = at + head;
    const padded = dataLength + padding(dataLength);
    const end = start + padded + (this.#dataDigest ? 4 : 0);
    if (end > length) {
      this.#held.set(bytes.subarray(at, at + head));
      this.#startGathering(ahs, dataLength);
      return start;
    }
    const whole =
      !this.#dataDigest || crc32c(bytes, start, start + padded) === digest(bytes, start + padded);
    if (!this.#handler.pdu(bytes, at, ahs, bytes, start, dataLength, whole)) this.stop();
    return end;
  }

  /** Moves bytes to the held header until that is whole. */
  #hold(bytes: Uint8Array, at: number, length: number): number {
    const held = this.#held;
    while (at < length && this.#heldBytes < this.#headBytes())
      held[this.#heldBytes++] = bytes[at++]!;
    if (this.#heldBytes < this.#headBytes()) return at;
    const ahs = ahsBytes(held, 0);
    const dataLength = dataSegmentLength(held, 0);
    this.#heldBytes = 0;
    if (!this.#accept(held, 0, ahs, dataLength)) return length;
    if (dataLength !== 0) this.#startGathering(ahs, dataLength);
    else if (!this.#handler.pdu(held, 0, ahs, EMPTY, 0, 0, true)) this.stop();
    return at;
  }

  #headBytes(): number {
    if (this.#heldBytes < BHS_BYTES) return BHS_BYTES;
    return BHS_BYTES + ahsBytes(this.#held, 0) + (this.#headerDigest ? 4 : 0);
  }

  #accept(b: Uint8Array, at: number, ahs: number, dataLength: number): boolean {
    if (this.#headerDigest) {
      const end = at + BHS_BYTES + ahs;
      if (crc32c(b, at, end) !== digest(b, end)) {
        this.#handler.headerDigestError();
        this.stop();
        return false;
      }
    }
    if (this.#handler.checkHeader(b, at, ahs, dataLength)) return true;
    this.stop();
    return false;
  }

  #startGathering(ahs: number, dataLength: number): void {
    this.#dataLength = dataLength;
    this.#gathered = 0;
    this.#tailBytes = 0;
    this.#tailLength = padding(dataLength) + (this.#dataDigest ? 4 : 0);
    this.#ahs = ahs;
    this.into = null;
    this.#handler.place(this.#held, 0, dataLength);
    if (this.into !== null) return;
    this.#pooled = this.#pool.take(dataLength);
    this.into = this.#pooled;
    this.intoAt = 0;
  }

  #gather(bytes: Uint8Array, at: number, length: number): number {
    const step = Math.min(this.#dataLength - this.#gathered, length - at);
    if (step > 0) {
      const into = this.into;
      if (into !== null) into.set(bytes.subarray(at, at + step), this.intoAt + this.#gathered);
      this.#gathered += step;
      at += step;
    }
    while (
      at < length &&
      this.#gathered === this.#dataLength &&
      this.#tailBytes < this.#tailLength
    ) {
      this.#tail[this.#tailBytes++] = bytes[at++]!;
    }
    if (this.#gathered === this.#dataLength && this.#tailBytes === this.#tailLength)
      this.#gatherEnd();
    return at;
  }

  #gatherEnd(): void {
    const dataLength = this.#dataLength;
    const into = this.into;
    this.#dataLength = -1;
    this.into = null;
    // Forgotten meanwhile: the handler sees no data, and knows why (its task is gone).
    const data = into ?? EMPTY;
    const at = into === null ? 0 : this.intoAt;
    let whole = true;
    if (this.#dataDigest && into !== null) {
      const pad = this.#tailLength - 4;
      const crc = crc32c(this.#tail, 0, pad, crc32c(data, at, at + dataLength));
      whole = crc === digest(this.#tail, pad);
    }
    const go = this.#handler.pdu(this.#held, 0, this.#ahs, data, at, dataLength, whole);
    this.#dropPooled();
    if (!go) this.stop();
  }

  #dropPooled(): void {
    if (this.#pooled === null) return;
    this.#pool.give(this.#pooled);
    this.#pooled = null;
  }
}
