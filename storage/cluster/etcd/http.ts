/**
 * One request to one endpoint of etcd's gateway, over HTTPS with both sides' certificates. The only
 * file here that touches the network. Nothing is tried twice; every answer has a bound.
 */
import { Agent, type RequestOptions, request } from 'node:https';
import { TLSSocket } from 'node:tls';
import { StorageError } from '../../base/errors.ts';
import { limits } from '../limits.ts';

/** PEM. The key never leaves the process. */
export interface EtcdTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

export class RequestFailed extends Error {
  /** The other side may have got it. */
  readonly sent: boolean;

  constructor(message: string, sent: boolean) {
    super(message);
    this.sent = sent;
  }
}

/** There was an answer, larger than we take: the other side did what it was asked for. */
export class AnswerTooLarge extends RequestFailed {
  constructor() {
    super(`an answer of more than ${limits.etcdAnswerBytes} bytes`, true);
  }
}

/** A request under way. */
export interface Call {
  /** Rejects with RequestFailed. */
  readonly answer: Promise<HttpAnswer>;
  /** Give up: `answer` rejects with `why`, if it has not settled. */
  abort(why: string): void;
}

export interface StreamListener {
  line(text: string): void;
  /** Once; nothing is heard after it. */
  ended(why: string): void;
}

/** INVALID: not `https://host:port`. */
export function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const plain = url?.pathname === '/' && url.search === '' && url.hash === '';
  if (url?.protocol === 'https:' && plain && url.username === '' && url.password === '') return url;
  throw new StorageError('INVALID', `"${text}" is no endpoint like https://host:2379`);
}

export class EtcdHttp {
  readonly #calls: Agent;
  /** A stream has a connection of its own, which is never used again. */
  readonly #streams: Agent;

  constructor(tls: EtcdTls) {
    const common = { ...tls, minVersion: 'TLSv1.2', rejectUnauthorized: true } as const;
    this.#calls = new Agent({ ...common, keepAlive: true, maxSockets: limits.etcdSockets });
    this.#streams = new Agent({ ...common, keepAlive: false });
  }

  call(endpoint: URL, path: string, body: string): Call {
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    let sent = false;
    const sending = request(endpoint, optionsOf(path, this.#calls), (response) => {
      const pieces: Buffer[] = [];
      let length = 0;
      response.on('data', (piece: Buffer) => {
        length += piece.length;
        if (length > limits.etcdAnswerBytes) failWith(new AnswerTooLarge());
        else pieces.push(piece);
      });
      response.on('end', () => {
        if (!response.complete) return;
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(pieces).toString('utf8'),
        });
      });
      response.on('error', (error) => fail(error.message));
      response.on('close', () => {
        if (!response.complete) fail('the answer was cut off');
      });
    });
    const failWith = (error: RequestFailed): void => {
      reject(error);
      sending.destroy();
    };
    const fail = (why: string): void => failWith(new RequestFailed(why, sent));
    sending.on('socket', (socket) => {
      // Until TLS stands nothing of the request can have left.
      if (!sending.reusedSocket && socket instanceof TLSSocket && !socket.authorized) {
        socket.once('secureConnect', () => {
          sent = true;
        });
      } else sent = true;
    });
    sending.on('error', (error) => fail(reasonOf(error)));
    sending.end(body);
    return { answer: promise, abort: fail };
  }

  /** An answer that goes on and on, in lines; returns the way to stop, after which nothing is heard. */
  stream(endpoint: URL, path: string, body: string, listener: StreamListener): () => void {
    const lines = new Lines();
    let ended = false;
    const end = (why: string | null): void => {
      if (ended) return;
      ended = true;
      sending.destroy();
      if (why !== null) listener.ended(why);
    };
    const sending = request(endpoint, optionsOf(path, this.#streams), (response) => {
      if (response.statusCode !== 200) {
        end(`HTTP status ${response.statusCode}`);
        return;
      }
      response.on('data', (piece: Buffer) => {
        for (const line of lines.push(piece)) {
          if (!ended) listener.line(line);
        }
        if (lines.tooLong) end('a line without an end');
      });
      response.on('error', (error) => end(error.message));
      response.on('close', () => end('the answer ended'));
    });
    sending.on('socket', (socket) => socket.setKeepAlive(true, limits.etcdSilentMs));
    sending.on('error', (error) => end(reasonOf(error)));
    sending.end(body);
    return () => end(null);
  }

  close(): void {
    this.#calls.destroy();
    this.#streams.destroy();
  }
}

const optionsOf = (path: string, agent: Agent): RequestOptions => ({
  method: 'POST',
  path,
  agent,
  headers: { 'content-type': 'application/json' },
});

/** Node joins the failures of several addresses into one without a text. */
const reasonOf = (error: NodeJS.ErrnoException): string =>
  error.message || (error.code ?? 'failed');

/** Bytes in, whole lines out; a line that does not end is bounded. */
class Lines {
  #pieces: Buffer[] = [];
  #length = 0;

  get tooLong(): boolean {
    return this.#length > limits.etcdAnswerBytes;
  }

  push(piece: Buffer): string[] {
    const lines: string[] = [];
    let rest = piece;
    for (let at = rest.indexOf(10); at >= 0; at = rest.indexOf(10)) {
      const line = Buffer.concat([...this.#pieces, rest.subarray(0, at)]).toString('utf8');
      this.#pieces = [];
      this.#length = 0;
      rest = rest.subarray(at + 1);
      if (line !== '') lines.push(line);
    }
    if (rest.length > 0) this.#pieces.push(rest);
    this.#length += rest.length;
    return lines;
  }
}
