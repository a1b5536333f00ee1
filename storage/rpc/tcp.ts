/**
 * The Transport over TCP. A channel is one connection: messages framed by their length (frames.ts),
 * in order, bounded in size and in what is queued; it dies on the first thing that is wrong.
 * Addresses are `host:port`, `[v6]:port`; port 0 takes a free one.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { FrameReader, frame } from './frames.ts';
import { limits } from './limits.ts';
import type { Channel, ChannelListener, Transport } from './transport.ts';

export function tcpTransport(clock: Clock): Transport {
  return {
    connect: (address, listener) => connectTo(clock, address, listener),
    listen: (address, accept) => listenOn(clock, address, accept),
  };
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** INVALID. */
export function parseAddress(address: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new StorageError('INVALID', `"${address}" is no address like host:port or [v6]:port`);
  }
  return { host, port };
}

const formatAddress = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

function connectTo(clock: Clock, address: string, listener: ChannelListener): Promise<Channel> {
  const { host, port } = parseAddress(address);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const give = (why: string, cause?: unknown): void => {
      cancel();
      socket.removeAllListeners();
      socket.on('error', () => {}); // Already told: what a dying socket adds is of no use.
      socket.destroy();
      reject(new StorageError('BUSY', `cannot connect to ${address}: ${why}`, { cause }));
    };
    const cancel = clock.after(limits.rpcConnectMs, () =>
      give(`no answer in ${limits.rpcConnectMs} ms`),
    );
    socket.once('error', (error) => give(error.message, error));
    socket.once('connect', () => {
      cancel();
      socket.removeAllListeners('error');
      const channel = new TcpChannel(clock, socket, address);
      channel.start(listener);
      resolve(channel);
    });
  });
}

function listenOn(
  clock: Clock,
  address: string,
  accept: (channel: Channel) => ChannelListener,
): Promise<{ readonly address: string; close(): Promise<void> }> {
  const { host, port } = parseAddress(address);
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const { remoteAddress, remotePort } = socket;
    const peer = formatAddress(remoteAddress ?? 'unknown', remotePort ?? 0);
    const channel = new TcpChannel(clock, socket, peer);
    channel.start(accept(channel));
  });
  server.maxConnections = limits.rpcChannels;
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `cannot listen on ${address}: ${cause.message}`;
      reject(new StorageError(portTaken(cause) ? 'IN_USE' : 'INVALID', message, { cause }));
    });
    server.listen({ host, port }, () => {
      const bound = server.address();
      const real = typeof bound === 'object' && bound !== null ? bound.port : port;
      resolve({
        address: formatAddress(host, real),
        close: () => stop(server, sockets),
      });
    });
  });
}

const portTaken = (error: NodeJS.ErrnoException): boolean => error.code === 'EADDRINUSE';

/** No newcomers, and an end to those that are there. */
function stop(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}

class TcpChannel implements Channel {
  readonly peer: string;
  readonly #clock: Clock;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  #listener: ChannelListener | null = null;
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

  send(message: Uint8Array): boolean {
    if (this.#ended) return false;
    const framed = frame(message);
    if (this.#socket.writableLength + framed.length > limits.rpcBufferedBytes) {
      const bound = limits.rpcBufferedBytes;
      this.#end(new StorageError('BUSY', `${this.peer} is too slow: ${bound} bytes are queued`));
      return false;
    }
    this.#socket.write(framed);
    this.#slow = this.#socket.writableLength > limits.rpcHighWaterBytes;
    return !this.#slow;
  }

  /** What was sent still goes out. */
  close(): void {
    this.#end(null);
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
