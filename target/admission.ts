/**
 * What a login is told before it is let in: whether there is such a target for this initiator, what
 * it has to prove, and whether it is to go elsewhere. Nothing is kept of a login that fails.
 */
import type { Clock } from './clock.ts';
import type { Limits } from './limits.ts';
import type { ChapPolicy } from './session/chap-exchange.ts';
import { type Log, NOT_REDIRECTED } from './session/log.ts';
import type { FoundTarget, LoginDirectory } from './session/login.ts';
import { type Redirect, RedirectGuard } from './session/redirect.ts';
import type { SessionRegistry } from './session/registry.ts';
import type { ByteStream } from './session/stream.ts';
import type { Access, Peer, Target } from './target.ts';
import { LoginStatus } from './wire/login.ts';

export interface AdmissionOptions {
  readonly targets: ReadonlyMap<string, Target>;
  readonly portals: Iterable<{ readonly host: string; readonly port: number }>;
  readonly registry: SessionRegistry;
  readonly discoveryChap: () => ChapPolicy | null;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Log;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #redirects: RedirectGuard;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#redirects = new RedirectGuard(options.limits, options.clock);
  }

  /** For one connection, which came to `portalGroup`. */
  directory(stream: ByteStream, portalGroup: number): LoginDirectory {
    return {
      find: (name, initiator) => this.#find(stream, portalGroup, name, initiator),
      discoveryChap: this.#options.discoveryChap,
      discoveryFull: () => this.#discoveryFull(stream.remoteAddress),
      sessionExists: (tsih) => this.#options.registry.hasTsih(tsih),
    };
  }

  /** What a peer whose login is complete may do, or the status that refuses it. */
  access(target: Target | null, peer: Peer): Exclude<Access, 'none'> | LoginStatus {
    const access = target?.admits(peer) ?? 'none';
    if (access !== 'none') return access;
    // Who has proved a name that may not come in is told what one with a wrong secret is told.
    const guarded = target !== null && (peer.user !== null || target.chap() !== null);
    return guarded ? LoginStatus.authenticationFailure : LoginStatus.notFound;
  }

  /** What is between this question and the session is bounded by the logins that may wait. */
  #discoveryFull(source: string): boolean {
    const { registry, limits } = this.#options;
    let all = 0;
    let fromSource = 0;
    for (const { facts } of registry.all()) {
      if (facts.scsi !== null) continue;
      all++;
      if (facts.address === source) fromSource++;
    }
    return all >= limits.discoverySessions || fromSource >= limits.discoveryPerSource;
  }

  #find(
    stream: ByteStream,
    portalGroup: number,
    name: string,
    initiator: string,
  ): FoundTarget | { refused: LoginStatus } {
    const target = this.#options.targets.get(name);
    const peer = { initiator, address: stream.remoteAddress, user: null };
    const chap = target?.chap() ?? null;
    // With CHAP, what one may do depends on who is proved, so it is asked for after that.
    if (target === undefined || (chap === null && target.access(peer) === 'none')) {
      return { refused: LoginStatus.notFound };
    }
    const redirect = this.#redirect(stream, target, peer);
    return { portalGroup, alias: target.alias, chap, redirect };
  }

  #redirect(stream: ByteStream, target: Target, peer: Peer): Redirect | null {
    const redirect = target.redirect(peer);
    if (redirect === null) return null;
    const refusal = this.#redirects.refusal(redirect, {
      target: target.name,
      initiator: peer.initiator,
      localAddress: stream.localAddress,
      portals: this.#options.portals,
    });
    if (refusal === null) return redirect;
    const facts = { target: target.name, initiator: peer.initiator, address: redirect.address };
    this.#options.log.info({ ...facts, refusal }, NOT_REDIRECTED);
    return null;
  }
}
