/**
 * Who may speak to the API: a bearer of the token, through a Host header that no foreign web page can
 * make a browser send. A page on evil.example that points its name at 127.0.0.1 (DNS rebinding)
 * still sends `Host: evil.example`, so a Host that is a name is refused unless it is ours.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { PetalError } from '../errors.ts';

export class Guard {
  readonly #tokenHash: Buffer;
  readonly #names: ReadonlySet<string>;

  /** `boundHost`: what --api named; when that is a name, it is a good Host too. */
  constructor(token: string, boundHost: string) {
    this.#tokenHash = hash(token);
    this.#names = new Set(['localhost', boundHost.toLowerCase()]);
  }

  /** Throws FORBIDDEN or UNAUTHORIZED. */
  check(headers: Pick<IncomingHttpHeaders, 'host' | 'authorization'>): void {
    if (!this.#isOurHost(headers.host)) {
      const text = `this API does not answer for the host '${headers.host ?? ''}'; use its address`;
      throw new PetalError('FORBIDDEN', text);
    }
    const token = /^Bearer ([\x21-\x7e]+)$/i.exec(headers.authorization ?? '')?.[1];
    // Hashes have one length, so the comparison takes the same time for every guess.
    if (token !== undefined && timingSafeEqual(hash(token), this.#tokenHash)) return;
    const text = 'no or wrong token; send Authorization: Bearer with the one in the data directory';
    throw new PetalError('UNAUTHORIZED', text);
  }

  #isOurHost(host: string | undefined): boolean {
    const match = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(host ?? '');
    if (match === null) return false;
    if (match[1] !== undefined) return isIP(match[1]) === 6;
    const name = (match[2] ?? '').toLowerCase();
    return isIP(name) === 4 || this.#names.has(name);
  }
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
