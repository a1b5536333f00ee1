/**
 * CHAP from the target's side as a state machine without I/O (RFC 7143 12.1.3); chap.ts has the
 * arithmetic and the order of the keys.
 *
 *   start ──CHAP_A──▶ challenged ──CHAP_N, CHAP_R [, CHAP_I, CHAP_C]──▶ done
 *
 * The target proves itself only to an initiator that has proved itself first, never with the secret
 * that the initiator has, and never to a challenge of its own: what it answers is of no use to anyone
 * who wants to log in here. An unknown user costs what a wrong secret costs.
 */
import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { isTextValue, type Pair } from '../wire/text.ts';
import {
  type ChapAlgorithm,
  chapLimits,
  chooseAlgorithm,
  decodeBinary,
  decodeIdentifier,
  encodeBinary,
  refuseSecret,
  respond,
  verify,
} from './chap.ts';
import type { SecurityMethod, SecurityStep } from './security.ts';

export interface ChapUser {
  /** 12 to 16 printable characters (`refuseSecret`). */
  readonly secret: string;
  /** This user may only read, whatever the target's `access` says. */
  readonly readOnly?: boolean;
}

export interface ChapPolicy {
  /** Who may log in. Null: nobody of this name. */
  user(name: string): ChapUser | null;
  /** How the target proves itself to initiators that ask for it; absent: it cannot. */
  readonly mutual?: { readonly name: string; readonly secret: string } | null;
}

interface Challenge {
  readonly algorithm: ChapAlgorithm;
  readonly identifier: number;
  readonly bytes: Buffer;
}

/** For users that there are not: their answers are computed and compared as well. */
const nobody: ChapUser = { secret: randomBytes(8).toString('hex') };

/** That a peer knows the secret of `user`: kept to find out where else that would do. Never shown. */
export class ChapProof {
  readonly user: string;
  readonly #secret: Buffer;

  constructor(user: string, secret: string) {
    this.user = user;
    this.#secret = digestOf(secret);
  }

  /** Whether the same answer would be right under `policy`, as it is now. Costs the same for any secret. */
  holds(policy: ChapPolicy): boolean {
    const known = policy.user(this.user);
    const usable = known !== null && refuseSecret(known.secret) === null;
    return timingSafeEqual(digestOf((usable ? known : nobody).secret), this.#secret) && usable;
  }
}

/** Of one length, so that secrets of any length are compared alike. */
function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

export class ChapExchange implements SecurityMethod {
  readonly name = 'CHAP';
  proof: ChapProof | null = null;
  readonly #policy: ChapPolicy;
  #challenge: Challenge | null = null;
  #done = false;

  constructor(policy: ChapPolicy) {
    this.#policy = policy;
  }

  step(pairs: readonly Pair[]): SecurityStep {
    // A request without keys of ours moves nothing: the initiator only passes the turn (T bit later).
    if (pairs.length === 0) return { outcome: this.#done ? 'done' : 'more', answer: [] };
    const keys = new Map(pairs);
    if (this.#done || keys.size !== pairs.length) return failed('keys out of turn');
    return this.#challenge === null ? this.#start(keys) : this.#finish(keys, this.#challenge);
  }

  #start(keys: ReadonlyMap<string, string>): SecurityStep {
    const list = keys.get('CHAP_A');
    if (list === undefined || keys.size !== 1) return failed('CHAP_A comes first, and alone');
    const algorithm = chooseAlgorithm(list);
    if (algorithm === null) return failed('no algorithm in common');
    const bytes = randomBytes(chapLimits.challengeBytes);
    const challenge = { algorithm, identifier: randomInt(256), bytes };
    this.#challenge = challenge;
    const answer: Pair[] = [
      ['CHAP_A', String(algorithm)],
      ['CHAP_I', String(challenge.identifier)],
      ['CHAP_C', encodeBinary(bytes)],
    ];
    return { outcome: 'more', answer };
  }

  #finish(keys: ReadonlyMap<string, string>, challenge: Challenge): SecurityStep {
    const name = keys.get('CHAP_N');
    const response = decodeBinary(keys.get('CHAP_R') ?? '', chapLimits.challengeBytesMax);
    const asksBack = keys.has('CHAP_I') || keys.has('CHAP_C');
    if (name === undefined || response === null || keys.size !== (asksBack ? 4 : 2)) {
      return failed('CHAP_N and CHAP_R are not both there, or malformed');
    }
    const known = this.#policy.user(name);
    const usable = known !== null && refuseSecret(known.secret) === null;
    const { algorithm, identifier, bytes } = challenge;
    const { secret } = usable ? known : nobody;
    const right = verify(algorithm, identifier, secret, bytes, response);
    if (!right || !usable) return failed(`wrong secret or no such user: ${JSON.stringify(name)}`);
    const step: SecurityStep = asksBack
      ? this.#prove(keys, challenge, secret)
      : { outcome: 'done', answer: [] };
    if (step.outcome === 'done') {
      this.#done = true;
      this.proof = new ChapProof(name, secret);
    }
    return step;
  }

  /** The initiator wants the target to prove itself. */
  #prove(keys: ReadonlyMap<string, string>, ours: Challenge, secret: string): SecurityStep {
    const identifier = decodeIdentifier(keys.get('CHAP_I') ?? '');
    const challenge = decodeBinary(keys.get('CHAP_C') ?? '', chapLimits.challengeBytesMax);
    if (identifier === null || challenge === null) return failed('CHAP_I or CHAP_C is malformed');
    // RFC 7143 12.1.3: a challenge that comes back is somebody in between.
    if (challenge.equals(ours.bytes)) return failed('our own challenge came back');
    const mutual = this.#policy.mutual ?? null;
    if (mutual === null) return failed('the target has no secret to prove itself with');
    if (refuseSecret(mutual.secret) !== null)
      return failed("the target's own secret is not usable");
    if (!isTextValue(mutual.name)) return failed("the target's own name cannot be sent");
    // RFC 7143 9.2.1: one secret for both directions would answer for either.
    if (mutual.secret === secret) return failed('both directions have the same secret');
    const answer: Pair[] = [
      ['CHAP_N', mutual.name],
      ['CHAP_R', encodeBinary(respond(ours.algorithm, identifier, mutual.secret, challenge))],
    ];
    return { outcome: 'done', answer };
  }
}

function failed(reason: string): SecurityStep {
  return { outcome: 'failed', reason: `CHAP: ${reason}` };
}
