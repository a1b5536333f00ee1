/**
 * The Transport between servers: TLS 1.3 in both directions, certificates of the cluster's own
 * authority, and a channel only for those whom `verify` lets in. `Channel.peer` is the id in the
 * certificate, never what the peer says of itself.
 *
 * A certificate is looked at when a connection is made, so there is no resumption of sessions, which
 * would skip that; `recheck` looks again at those that stand.
 */
import { constants, type X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  connect,
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { StorageError, storageError } from '../base/errors.ts';
import { serverIdOf } from './identity.ts';
import { socketTransport } from './socket-transport.ts';
import type { Channel, Transport } from './transport.ts';

/** PEM. */
export interface Credentials {
  /** The authorities that are trusted: while one is replaced, the old and the new. */
  readonly ca: readonly string[];
  readonly cert: string;
  readonly key: string;
}

/** An error for a server that may not talk to this one: it is no member, or is revoked. */
export type Verify = (peer: { readonly id: string; readonly serial: string }) => Error | null;

export class TlsTransport implements Transport {
  readonly #clock: Clock;
  readonly #verify: Verify;
  readonly #transport: Transport;
  readonly #live = new Map<Channel, TLSSocket>();
  readonly #server: Server;
  /** Who is told when an accepted connection has passed its handshake, by the connection's ends. */
  readonly #waiting = new Map<string, (socket: Socket) => void>();
  #context: SecureContext;

  constructor(clock: Clock, credentials: Credentials, verify: Verify) {
    this.#clock = clock;
    this.#verify = verify;
    this.#context = secureContext(credentials);
    this.#server = this.#handshakes(credentials);
    this.#transport = socketTransport(clock, {
      open: ({ host, port }, ready) => this.#open(host, port, ready),
      accept: (accepted, ready) => this.#accept(accepted, ready),
      identify: (socket) => this.#identify(socket as TLSSocket),
      opened: (channel, socket) => this.#opened(channel, socket as TLSSocket),
    });
  }

  connect: Transport['connect'] = (address, listener) => this.#transport.connect(address, listener);
  listen: Transport['listen'] = (address, accept) => this.#transport.listen(address, accept);

  /** Connections from now on use these; those that stand go on with what they began with. INVALID. */
  renew(credentials: Credentials): void {
    this.#context = secureContext(credentials);
    this.#server.setSecureContext(contextOptions(credentials));
  }

  /** The members or the revocations have changed, or time has passed: end what is not allowed now. */
  recheck(): void {
    for (const [channel, socket] of this.#live) {
      const peer = this.#identify(socket);
      if (typeof peer !== 'string') channel.close(peer);
    }
  }

  #open(host: string, port: number, ready: () => void): Socket {
    return connect(
      {
        host,
        port,
        secureContext: this.#context,
        rejectUnauthorized: true,
        // Servers are known by the id in their certificate and may change their addresses.
        checkServerIdentity: () => undefined,
      },
      ready,
    ).setNoDelay(true);
  }

  /** The listening is done elsewhere: this server only shakes hands, and lets in who passes. */
  #handshakes(credentials: Credentials): Server {
    const server = createServer(
      { ...contextOptions(credentials), requestCert: true, rejectUnauthorized: true },
      (socket) => this.#waiting.get(addressOf(socket))?.(socket),
    );
    return server.on('tlsClientError', () => {});
  }

  #accept(accepted: Socket, ready: (socket: Socket) => void): void {
    const address = addressOf(accepted);
    this.#waiting.set(address, ready);
    accepted.once('close', () => this.#waiting.delete(address));
    this.#server.emit('connection', accepted);
  }

  #identify(socket: TLSSocket): string | Error {
    try {
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined) return refusal('it shows no certificate');
      const wall = this.#clock.wall();
      if (wall >= Date.parse(certificate.validTo)) return refusal('its certificate has expired');
      const id = serverIdOf(certificate);
      return this.#verify({ id, serial: serialOf(certificate) }) ?? id;
    } catch (error) {
      return storageError(error, 'INVALID', String(error));
    }
  }

  #opened(channel: Channel, socket: TLSSocket): void {
    this.#live.set(channel, socket);
    socket.once('close', () => this.#live.delete(channel));
  }
}

/** As certificates.ts writes them. */
const serialOf = (certificate: X509Certificate): string => certificate.serialNumber.toLowerCase();

const refusal = (why: string): StorageError => new StorageError('INVALID', `refused: ${why}`);

const addressOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;

const contextOptions = ({ ca, cert, key }: Credentials): SecureContextOptions => ({
  ca: [...ca],
  cert,
  key,
  minVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
});

/** INVALID: the key is not that of the certificate, or is none. */
function secureContext(credentials: Credentials): SecureContext {
  try {
    return createSecureContext(contextOptions(credentials));
  } catch (cause) {
    throw new StorageError('INVALID', `certificate or key: ${String(cause)}`, { cause });
  }
}
