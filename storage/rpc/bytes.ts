/** Cursors over bytes for the codecs of messages: little-endian, every access within bounds. */
import { StorageError } from '../base/errors.ts';

const corrupt = (what: string): StorageError => new StorageError('CORRUPT', what);
const invalid = (what: string): StorageError => new StorageError('INVALID', what);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const get16 = (from: Uint8Array, at: number): number => from[at]! | (from[at + 1]! << 8);

export const get32 = (from: Uint8Array, at: number): number =>
  (from[at]! | (from[at + 1]! << 8) | (from[at + 2]! << 16) | (from[at + 3]! << 24)) >>> 0;

export function put16(into: Uint8Array, at: number, value: number): void {
  into[at] = value;
  into[at + 1] = value >>> 8;
}

export function put32(into: Uint8Array, at: number, value: number): void {
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
}

/** Texts up to this length are written and read letter by letter: cheaper than a call into native code. */
const shortText = 64;

/** Reads what a stranger wrote. Everything throws CORRUPT beyond the end or outside its bounds. */
export class Reader {
  /** The protocol's version that both sides speak: which fields there are. */
  readonly version: number;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, version: number, from = 0, to = bytes.length) {
    this.#bytes = bytes;
    this.version = version;
    this.#at = from;
    this.#end = to;
  }

  /** Where `count` bytes begin; the cursor goes behind them. */
  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#end) throw corrupt('cut short');
    this.#at = at + count;
    return at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u16(): number {
    return get16(this.#bytes, this.#take(2));
  }

  u32(): number {
    return get32(this.#bytes, this.#take(4));
  }

  u64(): bigint {
    const at = this.#take(8);
    return (BigInt(get32(this.#bytes, at + 4)) << 32n) | BigInt(get32(this.#bytes, at));
  }

  /** Eight bytes, at most 2^53 - 1. */
  safe(): number {
    const at = this.#take(8);
    const high = get32(this.#bytes, at + 4);
    if (high >= 2 ** 21) throw corrupt('a number above 2^53');
    return high * 2 ** 32 + get32(this.#bytes, at);
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw corrupt(`${value} is neither yes nor no`);
    return value === 1;
  }

  /** A count or length that says how much follows, at most `max`. */
  count(max: number): number {
    const count = this.u32();
    if (count > max) throw corrupt(`${count} of something of which ${max} are allowed`);
    return count;
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  text(maxBytes: number): string {
    const length = this.count(maxBytes);
    const at = this.#take(length);
    if (length > shortText) return this.#decoded(at, length);
    let text = '';
    for (let index = at; index < at + length; index += 1) {
      const code = this.#bytes[index]!;
      if (code >= 0x80) return this.#decoded(at, length);
      text += String.fromCharCode(code);
    }
    return text;
  }

  #decoded(at: number, length: number): string {
    try {
      return utf8.decode(this.#bytes.subarray(at, at + length));
    } catch {
      throw corrupt('text that is not UTF-8');
    }
  }

  /** Nothing may be left. */
  end(): void {
    const left = this.#end - this.#at;
    if (left > 0) throw corrupt(`${left} bytes too many`);
  }
}

/** Writes into a buffer of its own that grows up to `maxBytes`. Everything throws INVALID beyond. */
export class Writer {
  version = 0;
  readonly #maxBytes: number;
  #bytes: Uint8Array;
  #at = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = new Uint8Array(Math.min(maxBytes, 1024));
  }

  /** Begin again, leaving `from` bytes at the front to whoever fills them. */
  reset(from: number, version: number): void {
    this.#at = from;
    this.version = version;
  }

  /** What was written since `reset`, the bytes at the front included; valid until the next one. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Where `count` bytes go; call it first, since it may put another buffer in place of the old one. */
  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) this.#grow(at + count);
    this.#at = at + count;
    return at;
  }

  #grow(needed: number): void {
    if (needed > this.#maxBytes)
      throw invalid(`more than ${this.#maxBytes} bytes beside the payload`);
    const bytes = new Uint8Array(
      Math.min(this.#maxBytes, Math.max(needed, this.#bytes.length * 2)),
    );
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }

  u8(value: number): void {
    const at = this.#take(1);
    this.#bytes[at] = whole(value, 0xff);
  }

  u16(value: number): void {
    const at = this.#take(2);
    put16(this.#bytes, at, whole(value, 0xffff));
  }

  u32(value: number): void {
    const at = this.#take(4);
    put32(this.#bytes, at, whole(value, 0xffff_ffff));
  }

  u64(value: bigint): void {
    if (value < 0n || value >= 1n << 64n) throw invalid(`${value} is not in 64 bits`);
    const at = this.#take(8);
    put32(this.#bytes, at, Number(value & 0xffff_ffffn));
    put32(this.#bytes, at + 4, Number(value >> 32n));
  }

  safe(value: number): void {
    whole(value, Number.MAX_SAFE_INTEGER);
    const at = this.#take(8);
    put32(this.#bytes, at, value % 2 ** 32);
    put32(this.#bytes, at + 4, Math.floor(value / 2 ** 32));
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  count(value: number, max: number): void {
    if (value > max) throw invalid(`${value} of something of which ${max} are allowed`);
    this.u32(value);
  }

  bytes(value: Uint8Array): void {
    const at = this.#take(value.length);
    this.#bytes.set(value, at);
  }

  text(value: string, maxBytes: number): void {
    if (value.length <= shortText && this.#ascii(value, maxBytes)) return;
    const length = Buffer.byteLength(value);
    if (!value.isWellFormed()) throw invalid('text that is not Unicode');
    this.count(length, maxBytes);
    const at = this.#take(length);
    this.#bytes.set(Buffer.from(value), at);
  }

  /** False, and nothing is written: there is more than ASCII. */
  #ascii(value: string, maxBytes: number): boolean {
    const from = this.#at;
    this.count(value.length, maxBytes);
    const at = this.#take(value.length);
    for (let index = 0; index < value.length; index += 1) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) {
        this.#at = from;
        return false;
      }
      this.#bytes[at + index] = code;
    }
    return true;
  }
}

function whole(value: number, max: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw invalid(`${value} is not a whole number up to ${max}`);
}
