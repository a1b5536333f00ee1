/**
 * TCP portals: the only file of this package that touches node:net.
 *
 * Accepted connections are read with `onread` into one buffer shared by all of them: a chunk is
 * handled completely inside the callback, so no two connections ever need it at once. A server
 * socket has no public `onread`, so its handle is wrapped again; where that is not possible the
 * socket's 'data' events do the same work at a higher price.
 */
import net from 'node:net';
import type { ByteStream, StreamHandler } from './session/stream.ts';

/** One read of a socket. Big enough that a large write arrives in few pieces. */
const READ_BYTES = 256 * 1024;
/** The stream never refuses by itself: what is held is bounded by the connection. */
const HIGH_WATER_BYTES = 64 * 1024 * 1024;
const BACKLOG = 512;

const readBuffer = Buffer.alloc(READ_BYTES);
const NOTHING = Buffer.alloc(0);

/** The parts of a socket's insides that wrapping needs. */
interface Wrappable {
  _handle: object | null;
}

export type Accept = (stream: ByteStream) => StreamHandler | null;

export class Portal {
  readonly #server: net.Server;
  readonly host: string;
  readonly port: number;
  readonly portalGroup: number;

  private constructor(server: net.Server, portalGroup: number) {
    const address = server.address() as net.AddressInfo;
    this.#server = server;
    this.host = address.address;
    this.port = address.port;
    this.portalGroup = portalGroup;
  }

  /** Rejects with the system's error (EADDRINUSE, EACCES, …). Port 0: any free one. */
  static listen(
    options: { readonly host: string; readonly port: number; readonly portalGroup: number },
    accept: Accept,
    failed: (error: Error) => void,
  ): Promise<Portal> {
    return new Promise((resolve, reject) => {
      const server = net.createServer({ pauseOnConnect: true, noDelay: true });
      server.once('error', reject);
      server.listen({ host: options.host, port: options.port, backlog: BACKLOG }, () => {
        server.off('error', reject);
        // Running out of descriptors must not end the process; the listener goes on.
        server.on('error', failed);
        const portal = new Portal(server, options.portalGroup);
        server.on('connection', (socket) => acceptSocket(socket, accept));
        resolve(portal);
      });
    });
  }

  /** Stops accepting. Connections go on. */
  close(): void {
    this.#server.close();
  }
}

function acceptSocket(socket: net.Socket, accept: Accept): void {
  const stream = new TcpStream(socket);
  const handler = accept(stream);
  if (handler === null) stream.destroy();
  else stream.start(handler);
}

class TcpStream implements ByteStream {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** The accepted socket until `start`: one that is refused costs no more than that. */
  #socket: net.Socket;
  #handler: StreamHandler | null = null;
  #started = false;

  constructor(accepted: net.Socket) {
    this.remoteAddress = plainAddress(accepted.remoteAddress ?? '');
    this.remotePort = accepted.remotePort ?? 0;
    this.localAddress = plainAddress(accepted.localAddress ?? '');
    this.localPort = accepted.localPort ?? 0;
    this.#socket = accepted;
  }

  start(handler: StreamHandler): void {
    const socket = this.#wrap(this.#socket);
    this.#socket = socket;
    this.#handler = handler;
    this.#started = true;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    // The cause is of no account: 'close' follows, and the connection ends either way.
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('close', () => handler.closed());
    socket.resume();
  }

  write(bytes: Uint8Array, done: () => void): boolean {
    const socket = this.#socket;
    if (socket.destroyed) return true;
    socket.write(bytes);
    if (socket.writableLength === 0) return true;
    // Nothing follows it in the same write, so its end is the end of `bytes`.
    socket.write(NOTHING, done);
    return false;
  }

  writeAll(parts: readonly Uint8Array[], done: () => void): boolean {
    const socket = this.#socket;
    if (socket.destroyed) return true;
    socket.cork();
    for (const part of parts) socket.write(part);
    socket.uncork();
    if (socket.writableLength === 0) return true;
    socket.write(NOTHING, done);
    return false;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #wrap(accepted: net.Socket): net.Socket {
    const handle = (accepted as unknown as Wrappable)._handle ?? null;
    if (handle === null) {
      accepted.on('data', (chunk: Buffer) => this.#received(chunk.length, chunk));
      return accepted;
    }
    (accepted as unknown as Wrappable)._handle = null;
    const options = {
      handle,
      writableHighWaterMark: HIGH_WATER_BYTES,
      onread: {
        buffer: readBuffer,
        callback: (length: number, buffer: Uint8Array): boolean => {
          this.#received(length, buffer);
          return true;
        },
      },
    };
    const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
    // The accepted socket has nothing left to own.
    accepted.destroy();
    return socket;
  }

  #received(length: number, bytes: Uint8Array): void {
    if (this.#started) this.#handler?.received(bytes, length);
  }
}

/** `::ffff:192.0.2.1` is how a dual-stack socket names 192.0.2.1. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
