/**
 * A channel over one connected socket, TCP or TLS: messages framed by their length (frames.ts), in
 * order, bounded in size and in what is queued. It dies on the first thing that is wrong.
 *
 * What is sent while one input is handled leaves as one write: small messages are gathered in a slab,
 * so that sixteen answers cost one system call and few TLS records. Large payloads are not copied.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { checkLength, FrameReader, prefixBytes, writePrefix } from './frames.ts';
import { limits } from './limits.ts';
import type { Channel, ChannelListener } from './transport.ts';

const none = new Uint8Array(0);

export class SocketChannel implements Channel {
  readonly peer: string;
  readonly #clock: Clock;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  #listener: ChannelListener | null = null;
  #slab: Buffer = Buffer.alloc(0);
  /** The part of the slab that waits to be written. */
  #from = 0;
  #to = 0;
  #flushing = false;
  #ended = false;
  #slow = false;

  constructor(clock: Clock, socket: Socket, peer: string) {
    this.#clock = clock;
    this.#socket = socket;
    this.peer = peer;
  }

  start(listener: ChannelListener): void {
    if (this.#ended) {
      this.#tell(listener, null); // Closed by whoever was to give the listener.
      return;
    }
    this.#listener = listener;
    const socket = this.#socket;
    socket.on('data', (chunk: Uint8Array) => this.#received(chunk));
    socket.on('drain', () => this.#drained());
    socket.once('end', () => {
      const cut = this.#reader.midway
        ? new StorageError('BUSY', `${this.peer} ended in the middle of a message`)
        : null;
      this.#end(cut);
    });
    socket.on('error', (error) => this.#end(error));
    socket.once('close', () => this.#end(null));
  }

  send(head: Uint8Array, payload: Uint8Array = none): boolean {
    const bytes = head.length + payload.length;
    checkLength(bytes);
    if (this.#ended) return false;
    if (this.#queued() + bytes > limits.rpcBufferedBytes) {
      const bound = limits.rpcBufferedBytes;
      this.#end(new StorageError('BUSY', `${this.peer} is too slow: ${bound} bytes are queued`));
      return false;
    }
    const gathered = bytes <= limits.rpcGatherBytes;
    const at = this.#room(prefixBytes + (gathered ? bytes : head.length));
    writePrefix(bytes, this.#slab, at);
    this.#slab.set(head, at + prefixBytes);
    if (gathered) {
      if (payload.length > 0) this.#slab.set(payload, at + prefixBytes + head.length);
      this.#flushSoon();
    } else {
      this.#flush();
      if (payload.length > 0) this.#socket.write(payload);
    }
    // After the write, which may have taken everything at once; then there is no 'drain'.
    this.#slow = this.#socket.writableLength > limits.rpcHighWaterBytes;
    return !this.#slow;
  }

  #queued(): number {
    return this.#socket.writableLength + this.#to - this.#from;
  }

  close(reason?: Error): void {
    this.#end(reason ?? null);
  }

  /** Room for `bytes` behind what waits, where they may be put now. */
  #room(bytes: number): number {
    if (this.#to + bytes > this.#slab.length) {
      this.#flush();
      this.#slab = Buffer.allocUnsafeSlow(Math.max(limits.rpcSlabBytes, bytes));
      this.#from = 0;
      this.#to = 0;
    }
    const at = this.#to;
    this.#to += bytes;
    return at;
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#clock.soon(() => {
      this.#flushing = false;
      if (!this.#ended) this.#flush();
    });
  }

  #flush(): void {
    if (this.#from === this.#to) return;
    this.#socket.write(this.#slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  #received(chunk: Uint8Array): void {
    if (this.#ended) return;
    try {
      this.#reader.push(chunk, (message) => {
        this.#listener!.message(message);
        return !this.#ended;
      });
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#end(new StorageError(error.code, `${this.peer} sent ${error.message}`));
    }
  }

  #drained(): void {
    if (!this.#slow || this.#ended) return;
    this.#slow = false;
    this.#listener!.drained();
  }

  /** The first reason counts; it is told once, and nothing is heard after it. */
  #end(reason: Error | null): void {
    if (this.#ended) return;
    if (reason === null && !this.#socket.destroyed) this.#flush();
    this.#ended = true;
    const listener = this.#listener;
    const socket = this.#socket;
    // An orderly end lets what is queued go out; anything else ends at once.
    if (reason !== null) socket.destroy();
    else socket.destroySoon();
    if (!socket.destroyed) {
      const cancel = this.#clock.after(limits.rpcCloseMs, () => socket.destroy());
      socket.once('close', cancel);
    }
    if (listener !== null) this.#tell(listener, reason);
  }

  /** Not from within the call that closes: the caller has not returned yet. */
  #tell(listener: ChannelListener, reason: Error | null): void {
    queueMicrotask(() => listener.closed(reason));
  }
}
