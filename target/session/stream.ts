/**
 * The port between a connection and the bytes under it. portal.ts implements it over TCP; tests and
 * simulations in memory. Everything runs in one thread, and no call blocks.
 */

export interface ByteStream {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;

  /**
   * Send `bytes`, after all that was written before. True: they have been taken, the caller may
   * reuse them. False: they are the stream's until it calls `done`, once; it also does so when it
   * closes.
   */
  write(bytes: Uint8Array, done: () => void): boolean;

  /** As `write` of all parts in a row. False: the parts are the stream's until `done`; the array is not. */
  writeAll(parts: readonly Uint8Array[], done: () => void): boolean;

  /** Stop and go on delivering input. Input that is on its way may still come after `pause`. */
  pause(): void;
  resume(): void;

  /**
   * Close our direction after what was written is sent. Input goes on, so that the peer can read
   * the last words before it closes; the connection ends then, or when it is destroyed.
   */
  end(): void;
  /** Close now. */
  destroy(): void;
}

/** What a stream tells its connection. */
export interface StreamHandler {
  /** `bytes[0…length)` arrived; they are borrowed until the call returns. */
  received(bytes: Uint8Array, length: number): void;
  /** The stream is gone, whoever closed it; told once. */
  closed(): void;
}
