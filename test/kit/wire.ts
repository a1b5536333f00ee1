/**
 * One TCP connection of the test initiator: sends any bytes, hands out whole PDUs in order, and
 * tells how the connection ended. It knows nothing of sessions; the malformed-input tests talk
 * through it directly.
 */
import { connect, type Socket } from 'node:net';
import { buildPdu, type Digests, NO_DIGESTS, type Pdu, type PduFields, PduReader } from './pdu.ts';

/** How a connection ended: the peer's FIN, an error such as ECONNRESET, or our own `close`. */
export interface Ended {
  readonly by: 'peer' | 'error' | 'us';
  readonly message: string;
}

export class ConnectionEnded extends Error {
  readonly ended: Ended;

  constructor(ended: Ended) {
    super(`the connection ended: ${ended.by} (${ended.message})`);
    this.name = 'ConnectionEnded';
    this.ended = ended;
  }
}

type Waiter = { resolve(pdu: Pdu): void; reject(error: Error): void };

export class Wire {
  readonly socket: Socket;
  /** Resolves when the connection has ended, however that was. */
  readonly ended: Promise<Ended>;
  #reader = new PduReader();
  #arrived: Pdu[] = [];
  #waiters: Waiter[] = [];
  #end: Ended | null = null;
  #resolveEnded: (ended: Ended) => void = () => {};
  #digests = NO_DIGESTS;
  #consume: ((pdu: Pdu) => void) | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.#finish({ by: 'peer', message: 'FIN' }));
    socket.on('error', (error) => this.#finish({ by: 'error', message: error.message }));
    socket.on('close', () => this.#finish({ by: 'peer', message: 'closed' }));
  }

  static connect(port: number, host = '127.0.0.1', localAddress?: string): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        port,
        host,
        ...(localAddress === undefined ? {} : { localAddress }),
      });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Wire(socket));
      });
    });
  }

  get digests(): Digests {
    return this.#digests;
  }

  /** In force from the next PDU on, both ways. */
  set digests(digests: Digests) {
    this.#digests = digests;
    this.#reader.digests = digests;
  }

  get isOpen(): boolean {
    return this.#end === null;
  }

  send(fields: PduFields): void {
    this.sendBytes(buildPdu(fields, this.#digests));
  }

  /** Any bytes at all. Nothing happens once the connection has ended. */
  sendBytes(bytes: Uint8Array): void {
    if (this.#end === null) this.socket.write(bytes);
  }

  /** Hand every PDU from now on to `consume` instead of to `receive`. */
  onPdu(consume: (pdu: Pdu) => void): void {
    this.#consume = consume;
    for (const pdu of this.#arrived.splice(0)) consume(pdu);
  }

  /** The next PDU. Rejects with ConnectionEnded, or when none came within `timeoutMs`. */
  receive(timeoutMs = 5000): Promise<Pdu> {
    const ready = this.#arrived.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#end !== null) return Promise.reject(new ConnectionEnded(this.#end));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: (pdu) => {
          clearTimeout(timer);
          resolve(pdu);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(new Error(`no PDU within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiters.push(waiter);
    });
  }

  /** Closes at once; the peer sees a reset when it had sent what we did not read. */
  close(): void {
    this.#finish({ by: 'us', message: 'closed' });
    this.socket.destroy();
  }

  #receive(chunk: Buffer): void {
    try {
      this.#reader.push(chunk);
      for (let pdu = this.#reader.next(); pdu !== null; pdu = this.#reader.next()) {
        this.#deliver(pdu);
      }
    } catch (error) {
      this.#finish({ by: 'error', message: (error as Error).message });
      this.socket.destroy();
    }
  }

  #deliver(pdu: Pdu): void {
    if (this.#consume !== null) {
      this.#consume(pdu);
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#arrived.push(pdu);
    else waiter.resolve(pdu);
  }

  #finish(ended: Ended): void {
    if (this.#end !== null) return;
    this.#end = ended;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(new ConnectionEnded(ended));
    this.#resolveEnded(ended);
  }
}
