/**
 * Messages in a stream of bytes; no I/O.
 *
 *   0  4  length of the message, little-endian, 1…limits.rpcMessageBytes; zero never parses
 *   4  …  the message
 */
import { StorageError } from '../base/errors.ts';
import { limits } from './limits.ts';

export const prefixBytes = 4;

/** A message with its length before it, as one buffer of its own. INVALID: empty or too long. */
export function frame(message: Uint8Array): Uint8Array {
  if (message.length === 0 || message.length > limits.rpcMessageBytes) {
    throw new StorageError('INVALID', `a message has 1…${limits.rpcMessageBytes} bytes`);
  }
  const framed = new Uint8Array(prefixBytes + message.length);
  new DataView(framed.buffer).setUint32(0, message.length, true);
  framed.set(message, prefixBytes);
  return framed;
}

export class FrameReader {
  readonly #prefix = new Uint8Array(prefixBytes);
  #prefixFilled = 0;
  #message: Uint8Array | null = null;
  #filled = 0;

  /** In the middle of a message: a stream that ends here was cut off. */
  get midway(): boolean {
    return this.#prefixFilled > 0;
  }

  /**
   * Take in what came and hear each message that is complete, in a buffer of its own, until `heard`
   * says false. INVALID: the length is not one.
   */
  push(chunk: Uint8Array, heard: (message: Uint8Array) => boolean): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#message === null) {
        const count = Math.min(prefixBytes - this.#prefixFilled, chunk.length - at);
        this.#prefix.set(chunk.subarray(at, at + count), this.#prefixFilled);
        this.#prefixFilled += count;
        at += count;
        if (this.#prefixFilled < prefixBytes) return;
        this.#message = new Uint8Array(this.#length());
        this.#filled = 0;
        continue;
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
    const length = new DataView(this.#prefix.buffer).getUint32(0, true);
    if (length >= 1 && length <= limits.rpcMessageBytes) return length;
    throw new StorageError(
      'INVALID',
      `a message of ${length} bytes (1…${limits.rpcMessageBytes} allowed)`,
    );
  }
}
