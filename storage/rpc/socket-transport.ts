/**
 * What TCP and TLS have in common: connect within a time limit, accept within bounds, and give each
 * connection a channel once it is known who is at its other end.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { formatAddress, type HostPort, parseAddress } from './address.ts';
import { limits } from './limits.ts';
import { SocketChannel } from './socket-channel.ts';
import type { Channel, ChannelListener, Transport } from './transport.ts';

/** Ready: to be written to, and identified. */
export interface Sockets {
  /** A socket on its way to `to`; `ready` is called once, unless it fails with 'error'. */
  open(to: HostPort, ready: () => void): Socket;
  /** The same for one that was accepted; `ready` gets the socket to talk over. */
  accept(accepted: Socket, ready: (socket: Socket) => void): void;
  /** Who is at the other end, in an error's stead: why this one is not talked to. */
  identify(socket: Socket, address: string): string | Error;
  /** A socket has become a channel. */
  opened(channel: Channel, socket: Socket): void;
}

export function socketTransport(clock: Clock, sockets: Sockets): Transport {
  return {
    connect: (address, listener) => connectTo(clock, sockets, address, listener),
    listen: (address, accept) => new Listener(clock, sockets, accept).open(parseAddress(address)),
  };
}

const nobodyListens = (): void => {}; // Already told: what a dying socket adds is of no use.

/** INVALID; BUSY: nobody there, or not within the time limit, or refused. */
function connectTo(
  clock: Clock,
  sockets: Sockets,
  address: string,
  listener: ChannelListener,
): Promise<Channel> {
  const to = parseAddress(address);
  return new Promise((resolve, reject) => {
    const give = (why: string, cause?: unknown): void => {
      cancel();
      socket.removeAllListeners();
      socket.on('error', nobodyListens);
      socket.destroy();
      reject(new StorageError('BUSY', `cannot connect to ${address}: ${why}`, { cause }));
    };
    const socket = sockets.open(to, () => {
      const peer = sockets.identify(socket, address);
      if (typeof peer !== 'string') {
        give(peer.message, peer);
        return;
      }
      cancel();
      socket.removeListener('error', failed);
      socket.removeListener('close', closed);
      const channel = new SocketChannel(clock, socket, peer);
      sockets.opened(channel, socket);
      channel.start(listener);
      resolve(channel);
    });
    const failed = (error: Error): void => give(error.message, error);
    const closed = (): void => give('closed by the other side');
    const cancel = clock.after(limits.rpcConnectMs, () =>
      give(`no answer in ${limits.rpcConnectMs} ms`),
    );
    socket.once('error', failed);
    socket.once('close', closed);
  });
}

class Listener {
  readonly #clock: Clock;
  readonly #sockets: Sockets;
  readonly #accept: (channel: Channel) => ChannelListener;
  readonly #server: Server;
  readonly #all = new Set<Socket>();
  /** Not ready yet: how many there are of each address. */
  readonly #strangers = new Map<string, number>();
  #strangerCount = 0;

  constructor(clock: Clock, sockets: Sockets, accept: (channel: Channel) => ChannelListener) {
    this.#clock = clock;
    this.#sockets = sockets;
    this.#accept = accept;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accepted(socket));
    this.#server.maxConnections = limits.rpcChannels;
  }

  open({ host, port }: HostPort): Promise<{ readonly address: string; close(): Promise<void> }> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        const message = `cannot listen on ${formatAddress(host, port)}: ${cause.message}`;
        const code = cause.code === 'EADDRINUSE' ? 'IN_USE' : 'INVALID';
        reject(new StorageError(code, message, { cause }));
      });
      server.listen({ host, port }, () => {
        const bound = server.address();
        const real = typeof bound === 'object' && bound !== null ? bound.port : port;
        resolve({ address: formatAddress(host, real), close: () => this.#close() });
      });
    });
  }

  #accepted(accepted: Socket): void {
    const source = accepted.remoteAddress ?? 'unknown';
    const ofSource = this.#strangers.get(source) ?? 0;
    if (this.#strangerCount >= limits.rpcStrangers || ofSource >= limits.rpcStrangersOfOneAddress) {
      accepted.destroy();
      return;
    }
    this.#strangerCount += 1;
    this.#strangers.set(source, ofSource + 1);
    let stranger = true;
    const known = (): void => {
      if (!stranger) return;
      stranger = false;
      cancel();
      this.#strangerCount -= 1;
      const left = this.#strangers.get(source)! - 1;
      if (left === 0) this.#strangers.delete(source);
      else this.#strangers.set(source, left);
    };
    const cancel = this.#clock.after(limits.rpcConnectMs, () => accepted.destroy());
    this.#all.add(accepted);
    accepted.once('close', () => {
      known();
      this.#all.delete(accepted);
    });
    accepted.on('error', nobodyListens); // A channel hears its errors itself.
    this.#sockets.accept(accepted, (socket) => {
      known();
      const { remoteAddress, remotePort } = accepted;
      const address = formatAddress(remoteAddress ?? 'unknown', remotePort ?? 0);
      const peer = this.#sockets.identify(socket, address);
      if (typeof peer !== 'string') {
        socket.destroy();
        return;
      }
      const channel = new SocketChannel(this.#clock, socket, peer);
      this.#sockets.opened(channel, socket);
      channel.start(this.#accept(channel));
    });
  }

  /** No newcomers, and an end to those that are there. */
  #close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#all) socket.destroy();
    });
  }
}
