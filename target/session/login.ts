/**
 * The login phase of one connection as a state machine without I/O (RFC 7143 6.3, 11.12, 11.13).
 *
 *   security (CSG 0) ──T──▶ operational (CSG 1) ──T──▶ full feature (3)
 *        └────────────────────────T───────────────────────▶
 *
 * `step` takes one Login Request and answers with one Login Response; a status other than success
 * ends the connection. Nothing outside is touched: the caller registers the session when `done`.
 */
import { type Limits, Rfc7143 } from '../limits.ts';
import { type LoginRequest, LoginStatus, PROTOCOL_VERSION, Stage } from '../wire/login.ts';
import { type Pair, readPairs, TextError, type TextLimits, writePairs } from '../wire/text.ts';
import type { ChapPolicy, ChapProof } from './chap-exchange.ts';
import type { Parameters } from './keys.ts';
import { initiatorName } from './names.ts';
import { Negotiation } from './negotiation.ts';
import type { Redirect } from './redirect.ts';
import { methodsFor, type SecurityMethod } from './security.ts';

export interface FoundTarget {
  readonly portalGroup: number;
  readonly alias: string;
  /** What is to be proved; null: nothing. */
  readonly chap: ChapPolicy | null;
  /** Where the initiator is to log in instead. */
  readonly redirect: Redirect | null;
}

/** What the login asks of the server: may this initiator see that target? */
export interface LoginDirectory {
  find(target: string, initiator: string): FoundTarget | { readonly refused: LoginStatus };
  /** What a discovery session has to prove. */
  discoveryChap(): ChapPolicy | null;
  /** Whether as many discovery sessions are open as may be, from here or together. */
  discoveryFull(): boolean;
  /** Whether a session with this TSIH exists. */
  sessionExists(tsih: number): boolean;
}

export interface LoginReply {
  readonly status: LoginStatus;
  readonly transit: boolean;
  readonly currentStage: number;
  readonly nextStage: number;
  readonly text: Uint8Array;
  /** The connection is in full-feature phase once this reply is sent. */
  readonly done: boolean;
  /** For the log, when the login is refused. */
  readonly reason: string;
}

/** Who has logged in; valid when a reply was `done`. */
export interface LoginResult {
  readonly initiator: string;
  /** Whom it has proved to be by CHAP, or null. */
  readonly proof: ChapProof | null;
  /** Null in a discovery session. */
  readonly target: string | null;
  readonly isid: string;
  readonly cid: number;
  readonly parameters: Parameters;
}

class Refusal extends Error {
  readonly status: LoginStatus;
  readonly text: readonly Pair[];

  constructor(status: LoginStatus, reason: string, text: readonly Pair[] = []) {
    super(reason);
    this.status = status;
    this.text = text;
  }
}

/** Bounds of the keys during login: the CHAP values alone may be long. */
const loginText: TextLimits = {
  ...Rfc7143,
  longValues: { CHAP_C: Rfc7143.chapValueBytes, CHAP_R: Rfc7143.chapValueBytes },
};

const NOTHING = new Uint8Array(0);

export class Login {
  readonly #limits: Limits;
  readonly #directory: LoginDirectory;
  #pdus = 0;
  #textBytes = 0;
  /** Text of requests with the C bit, waiting for the rest. */
  #parts: Uint8Array[] = [];
  #first: LoginRequest | null = null;
  #stage: number = Stage.security;
  #initiator = '';
  #target: string | null = null;
  #negotiation: Negotiation | null = null;
  #methods: readonly SecurityMethod[] = [];
  #method: SecurityMethod | null = null;
  #authenticated = false;
  #declaredSegment = false;
  #portalGroup = 0;
  #alias = '';
  #introduced = false;

  constructor(options: {
    readonly limits: Limits;
    readonly directory: LoginDirectory;
  }) {
    this.#limits = options.limits;
    this.#directory = options.directory;
  }

  get result(): LoginResult {
    return {
      initiator: this.#initiator,
      proof: this.#method?.proof ?? null,
      target: this.#target,
      isid: this.#first!.isid,
      cid: this.#first!.cid,
      parameters: this.#negotiation!.parameters,
    };
  }

  /** One Login Request. `data` is borrowed. */
  step(request: LoginRequest, data: Uint8Array): LoginReply {
    try {
      return this.#step(request, data);
    } catch (error) {
      if (error instanceof Refusal) return refuse(request, error.status, error.message, error.text);
      if (error instanceof TextError) {
        return refuse(request, LoginStatus.initiatorError, error.message);
      }
      throw error;
    }
  }

  #step(request: LoginRequest, data: Uint8Array): LoginReply {
    this.#checkRequest(request);
    this.#textBytes += data.length;
    if (this.#textBytes > this.#limits.textBytes) {
      throw new Refusal(LoginStatus.initiatorError, 'too much text');
    }
    if (request.continues) {
      this.#parts.push(new Uint8Array(data));
      return this.#reply(request, false, []);
    }
    const pairs = readPairs(this.#joined(data), loginText);
    if (this.#negotiation === null) this.#introduce(request, pairs);
    return this.#exchange(request, pairs);
  }

  #checkRequest(request: LoginRequest): void {
    if (++this.#pdus > this.#limits.loginPdus) {
      throw new Refusal(LoginStatus.initiatorError, 'too many login requests');
    }
    if (request.hasAhs) throw new Refusal(LoginStatus.initiatorError, 'a login has no AHS');
    if (request.versionMin > PROTOCOL_VERSION) {
      throw new Refusal(LoginStatus.unsupportedVersion, `version ${request.versionMin}`);
    }
    if (request.continues && request.transit) {
      throw new Refusal(LoginStatus.initiatorError, 'C and T at once (RFC 7143 11.12.2)');
    }
    const { currentStage, nextStage, transit } = request;
    const legal = currentStage === Stage.security || currentStage === Stage.operational;
    if (!legal || (transit && (nextStage <= currentStage || nextStage === 2))) {
      throw new Refusal(LoginStatus.invalidDuringLogin, `stage ${currentStage} to ${nextStage}`);
    }
    if (this.#first === null) {
      this.#first = request;
      this.#stage = currentStage;
      if (request.tsih !== 0) this.#refuseSecondConnection(request.tsih);
    } else {
      this.#checkSame(this.#first, request);
    }
    if (currentStage !== this.#stage) {
      throw new Refusal(LoginStatus.invalidDuringLogin, `stage ${currentStage} out of turn`);
    }
  }

  #checkSame(first: LoginRequest, request: LoginRequest): void {
    const same =
      first.isid === request.isid && first.tsih === request.tsih && first.cid === request.cid;
    if (!same) throw new Refusal(LoginStatus.invalidDuringLogin, 'ISID, TSIH or CID changed');
  }

  /** One connection per session (MaxConnections=1, ErrorRecoveryLevel 0). */
  #refuseSecondConnection(tsih: number): never {
    if (this.#directory.sessionExists(tsih)) {
      throw new Refusal(LoginStatus.tooManyConnections, 'a session has one connection');
    }
    throw new Refusal(LoginStatus.sessionDoesNotExist, `no session ${tsih}`);
  }

  #joined(data: Uint8Array): Uint8Array {
    if (this.#parts.length === 0) return data;
    const all = Buffer.concat([...this.#parts, data]);
    this.#parts = [];
    return all;
  }

  /** The first whole request says who comes and where to (RFC 7143 6.3). */
  #introduce(request: LoginRequest, pairs: readonly Pair[]): void {
    const name = pairValue(pairs, 'InitiatorName');
    if (name === null) throw new Refusal(LoginStatus.missingParameter, 'no InitiatorName');
    const initiator = initiatorName(name);
    if (initiator === null) {
      throw new Refusal(LoginStatus.initiatorError, 'InitiatorName is no iSCSI name');
    }
    this.#initiator = initiator;
    const type = pairValue(pairs, 'SessionType') ?? 'Normal';
    if (type !== 'Normal' && type !== 'Discovery') {
      throw new Refusal(LoginStatus.sessionTypeNotSupported, 'unknown SessionType');
    }
    if (type === 'Discovery' && this.#directory.discoveryFull()) {
      throw new Refusal(LoginStatus.outOfResources, 'too many discovery sessions');
    }
    const chap =
      type === 'Normal'
        ? this.#findTarget(pairValue(pairs, 'TargetName'))
        : this.#directory.discoveryChap();
    this.#methods = methodsFor(chap);
    this.#authenticated = this.#methods.some((method) => method.name === 'None');
    if (request.currentStage !== Stage.security && !this.#authenticated) {
      throw new Refusal(LoginStatus.authenticationFailure, 'the security stage was skipped');
    }
    this.#negotiation = new Negotiation(this.#limits, type === 'Discovery');
  }

  /** What is to be proved to it. */
  #findTarget(name: string | null): ChapPolicy | null {
    if (name === null) throw new Refusal(LoginStatus.missingParameter, 'no TargetName');
    const target = name.toLowerCase();
    const found = this.#directory.find(target, this.#initiator);
    if ('refused' in found) throw new Refusal(found.refused, 'no such target for this initiator');
    if (found.redirect !== null) {
      // Before any proof (RFC 7143 6.3.4): the initiator proves itself where it is sent to.
      const { address, permanent } = found.redirect;
      const status = permanent ? LoginStatus.movedPermanently : LoginStatus.movedTemporarily;
      throw new Refusal(status, `redirected to ${address}`, [['TargetAddress', address]]);
    }
    this.#target = target;
    this.#portalGroup = found.portalGroup;
    this.#alias = found.alias;
    return found.chap;
  }

  #exchange(request: LoginRequest, pairs: readonly Pair[]): LoginReply {
    const answer: Pair[] = [];
    this.#greet(answer);
    if (this.#stage === Stage.security) this.#secure(pairs, answer);
    else this.#negotiate(pairs, answer);
    const transit = request.transit && this.#mayLeave(request.nextStage);
    return this.#reply(request, transit, answer);
  }

  #mayLeave(nextStage: number): boolean {
    if (this.#stage === Stage.security && !this.#authenticated) {
      if (this.#method === null) {
        throw new Refusal(LoginStatus.authenticationFailure, 'no authentication was offered');
      }
      return false;
    }
    if (nextStage === Stage.fullFeature) this.#negotiation!.finish();
    return true;
  }

  /** TargetPortalGroupTag belongs in the first answer of a normal session (RFC 7143 13.9). */
  #greet(answer: Pair[]): void {
    if (this.#introduced || this.#target === null) return;
    this.#introduced = true;
    answer.push(['TargetPortalGroupTag', String(this.#portalGroup)]);
    if (this.#alias !== '') answer.push(['TargetAlias', this.#alias]);
  }

  #secure(pairs: readonly Pair[], answer: Pair[]): void {
    const rest: Pair[] = [];
    for (const pair of pairs) {
      const [key, value] = pair;
      if (isIdentity(key)) this.#checkIdentity(key, value);
      else if (key === 'AuthMethod') this.#chooseMethod(value, answer);
      // Some initiators send operational keys here; RFC 7143 6.3.2 leaves it to the target.
      else if (this.#method === null || !key.startsWith('CHAP_')) this.#offer(key, value, answer);
      else rest.push(pair);
    }
    if (this.#method === null) return;
    const step = this.#method.step(rest);
    if (step.outcome === 'failed') {
      throw new Refusal(LoginStatus.authenticationFailure, step.reason);
    }
    answer.push(...step.answer);
    this.#authenticated = step.outcome === 'done';
  }

  #chooseMethod(offered: string, answer: Pair[]): void {
    if (this.#negotiation!.repeated('AuthMethod')) {
      throw new Refusal(LoginStatus.initiatorError, 'AuthMethod was offered twice');
    }
    const names = offered.split(',');
    const method = this.#methods.find((known) => names.includes(known.name));
    if (method === undefined) {
      throw new Refusal(LoginStatus.authenticationFailure, 'no AuthMethod in common');
    }
    this.#method = method;
    this.#authenticated = false;
    answer.push(['AuthMethod', method.name]);
  }

  #negotiate(pairs: readonly Pair[], answer: Pair[]): void {
    for (const [key, value] of pairs) {
      if (isIdentity(key)) this.#checkIdentity(key, value);
      else this.#offer(key, value, answer);
    }
    if (this.#declaredSegment) return;
    this.#declaredSegment = true;
    answer.push(['MaxRecvDataSegmentLength', String(this.#limits.receiveSegmentBytes)]);
  }

  #offer(key: string, value: string, answer: Pair[]): void {
    // What an initiator answers to our own declarations is no offer.
    if (value === 'NotUnderstood' || value === 'Irrelevant' || value === 'Reject') return;
    if (key === 'SendTargets') {
      throw new Refusal(LoginStatus.initiatorError, 'SendTargets during login');
    }
    const negotiation = this.#negotiation!;
    if (negotiation.repeated(key)) {
      throw new Refusal(LoginStatus.initiatorError, `${key} was offered twice`);
    }
    const pair = negotiation.offer(key, value);
    if (pair !== null && key === 'MaxRecvDataSegmentLength') {
      // An answer would be taken for the target's own declaration.
      throw new Refusal(LoginStatus.initiatorError, `MaxRecvDataSegmentLength is ${value}`);
    }
    if (pair !== null) answer.push(pair);
  }

  /** Some initiators repeat who they are in each request: harmless while it stays the same. */
  #checkIdentity(key: string, value: string): void {
    const known =
      key === 'InitiatorName'
        ? this.#initiator
        : key === 'TargetName'
          ? this.#target
          : this.#target === null
            ? 'discovery'
            : 'normal';
    // A discovery session may name a target; it is of no account there.
    if (key === 'TargetName' && known === null) return;
    if (value.toLowerCase() !== known) {
      throw new Refusal(LoginStatus.initiatorError, `${key} changed during login`);
    }
  }

  #reply(request: LoginRequest, transit: boolean, answer: readonly Pair[]): LoginReply {
    const done = transit && request.nextStage === Stage.fullFeature;
    const currentStage = this.#stage;
    const text = answer.length === 0 ? NOTHING : writePairs(answer);
    // Only a flood of keys that nobody knows gets there: NotUnderstood is longer than most of them.
    if (text.length > Rfc7143.loginSegmentBytes) {
      throw new Refusal(LoginStatus.initiatorError, 'too many keys');
    }
    if (transit) this.#stage = request.nextStage;
    return {
      status: LoginStatus.success,
      transit,
      currentStage,
      nextStage: request.nextStage,
      text,
      done,
      reason: '',
    };
  }
}

function isIdentity(key: string): boolean {
  return key === 'InitiatorName' || key === 'TargetName' || key === 'SessionType';
}

function pairValue(pairs: readonly Pair[], key: string): string | null {
  return pairs.find((pair) => pair[0] === key)?.[1] ?? null;
}

function refuse(
  request: LoginRequest,
  status: LoginStatus,
  reason: string,
  text: readonly Pair[] = [],
): LoginReply {
  return {
    status,
    transit: false,
    currentStage: request.currentStage === 2 ? 0 : request.currentStage,
    nextStage: 0,
    text: text.length === 0 ? NOTHING : writePairs(text),
    done: false,
    reason,
  };
}
