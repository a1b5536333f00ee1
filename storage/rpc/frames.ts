/**
 * Messages in a stream of bytes; no I/O.
 *
 *   0  4  length of the message, little-endian, 1…limits.rpcMessageBytes; zero never parses
 *   4  …  the message
 */
import { StorageError } from '../base/errors.ts';
import { limits } from './limits.ts';

export const prefixBytes = 4;

/** Write the prefix of a message of `length` bytes. */
export function writePrefix(length: number, into: Uint8Array, at: number): void {
  into[at] = length & 0xff;
  into[at + 1] = (length >>> 8) & 0xff;
  into[at + 2] = (length >>> 16) & 0xff;
  into[at + 3] = length >>> 24;
}

/** INVALID: no message is so long, or it is empty. */
export function checkLength(length: number): void {
  if (length >= 1 && length <= limits.rpcMessageBytes) return;
  throw new StorageError(
    'INVALID',
    `a message of ${length} bytes (1…${limits.rpcMessageBytes} allowed)`,
  );
}

export class FrameReader {
  readonly #prefix = new Uint8Array(prefixBytes);
  #prefixFilled = 0;
  /** The message that began in an earlier chunk; null: none, or its length is not known yet. */
  #message: Uint8Array | null = null;
  #filled = 0;

  /** In the middle of a message: a stream that ends here was cut off. */
  get midway(): boolean {
    return this.#prefixFilled > 0;
  }

  /**
   * Take in what came and hear each message that is complete, until `heard` says false. A message that
   * lies whole in `bytes` is a view of them, so they must not change afterwards. INVALID: the length
   * is not one.
   */
  push(bytes: Uint8Array, heard: (message: Uint8Array) => boolean): void {
    // Views of a plain array are cheaper to make than those of a Buffer.
    const chunk = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < chunk.length; ) {
      if (this.#message === null) {
        const count = Math.min(prefixBytes - this.#prefixFilled, chunk.length - at);
        for (let index = 0; index < count; index += 1) {
          this.#prefix[this.#prefixFilled + index] = chunk[at + index]!;
        }
        this.#prefixFilled += count;
        at += count;
        if (this.#prefixFilled < prefixBytes) return;
        const length = this.#length();
        if (chunk.length - at >= length) {
          this.#prefixFilled = 0;
          if (!heard(chunk.subarray(at, at + length))) return;
          at += length;
          continue;
        }
        this.#message = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
        this.#filled = 0;
      }
      const message = this.#message;
      const count = Math.min(message.length - this.#filled, chunk.length - at);
      message.set(chunk.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled < message.length) return;
      this.#message = null;
      this.#prefixFilled = 0;
      if (!heard(message)) return;
    }
  }

  #length(): number {
    const [a, b, c, d] = this.#prefix;
    const length = (a! | (b! << 8) | (c! << 16) | (d! << 24)) >>> 0;
    checkLength(length);
    return length;
  }
}
