/**
 * An initiator's side of CHAP, computed with node:crypto from RFC 1994 and RFC 7143 12.1.3 alone, and
 * logins that stop after each request so that a test can say anything in between.
 */
import { createHash } from 'node:crypto';
import type { ChapPolicy, IscsiServer } from '../../../target/index.ts';
import { Host, INITIATOR, NAME, type Pdu, pairs, pdu, text } from './kit.ts';

export const USER = 'alice';
export const SECRET = 'correct-horse';
export const MUTUAL = { name: 'petal', secret: 'battery-staple' };

export const HASHES: Record<string, string> = {
  5: 'md5',
  6: 'sha1',
  7: 'sha256',
  8: 'sha3-256',
};

export const policy: ChapPolicy = {
  user: (name) => (name === USER ? { secret: SECRET } : null),
  mutual: MUTUAL,
};

export function answerTo(a: string, i: number, secret: string, challenge: Buffer): Buffer {
  const input = Buffer.concat([Buffer.from([i]), Buffer.from(secret), challenge]);
  return createHash(HASHES[a]!).update(input).digest();
}

export interface Challenge {
  algorithm: string;
  identifier: number;
  bytes: Buffer;
}

export class Caller {
  readonly host: Host;
  readonly #keys: Record<string, string>;
  #sent = false;

  constructor(server: IscsiServer, keys: Record<string, string> = {}, address?: string) {
    this.host = new Host(server, address);
    this.#keys = { InitiatorName: INITIATOR, SessionType: 'Normal', TargetName: NAME, ...keys };
  }

  /** One request of the security stage. `flags`: T and stages; 0x81 asks to go on to operational. */
  async say(keys: Record<string, string>, flags = 0x00): Promise<Pdu> {
    const all = this.#sent ? keys : { ...this.#keys, ...keys };
    this.#sent = true;
    this.host.send(pdu(0x43, { flags, tag: 1, w24: this.host.cmdSn, data: text(all) }));
    const [reply] = await this.host.receive();
    if (reply === undefined) throw new Error('no login response');
    return reply;
  }

  /** Up to the challenge. */
  async challenge(algorithms = '5', flags = 0x00): Promise<Challenge> {
    await this.say({ AuthMethod: 'CHAP,None' }, flags);
    const reply = pairs((await this.say({ CHAP_A: algorithms }, flags)).data);
    const bytes = Buffer.from(reply.CHAP_C?.slice(2) ?? '', 'hex');
    return { algorithm: reply.CHAP_A ?? '', identifier: Number(reply.CHAP_I), bytes };
  }

  /** The right answer, as keys. */
  answer(to: Challenge, name = USER, secret = SECRET): Record<string, string> {
    const response = answerTo(to.algorithm, to.identifier, secret, to.bytes);
    return { CHAP_N: name, CHAP_R: `0x${response.toString('hex')}` };
  }

  /** From the end of the security stage to full feature. */
  async operate(): Promise<Pdu> {
    return await this.say({}, 0x87);
  }
}
