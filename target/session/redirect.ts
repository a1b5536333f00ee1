/**
 * Login redirection (RFC 7143 6.3.4, 11.13.5: TargetAddress with status 01/01 or 01/02), and the
 * guard against logins that are sent round in circles.
 *
 * An initiator is not sent back to where it came (unless that is meant), and after some redirections
 * within some time it is served here: a path that works beats a better one that is never reached.
 */
import type { Clock } from '../clock.ts';
import type { Limits } from '../limits.ts';
import { isWildcard, withPort } from './addresses.ts';

export interface Redirect {
  /** `host`, `host:port` or `[IPv6]:port`. The port is 3260 unless said. */
  readonly address: string;
  /** 01/02, which initiators may remember; else 01/01. */
  readonly permanent: boolean;
  /** The address may be a portal of this server, for instance one of another portal group. */
  readonly toSelf?: boolean;
}

/** The port that IANA has given to iSCSI (RFC 7143 14). */
const ISCSI_PORT = 3260;
const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9](?:[A-Za-z0-9.-]{0,253})))(?::(\d{1,5}))?$/;

interface Hops {
  count: number;
  readonly untilMs: number;
}

export interface RedirectQuestion {
  readonly target: string;
  readonly initiator: string;
  /** Where the initiator has reached us. */
  readonly localAddress: string;
  readonly portals: Iterable<{ readonly host: string; readonly port: number }>;
}

export class RedirectGuard {
  readonly #limits: Limits;
  readonly #clock: Clock;
  /** By target and initiator, the oldest first. */
  readonly #hops = new Map<string, Hops>();

  constructor(limits: Limits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Why this redirection is not to happen, or null: it is, and counts. */
  refusal(redirect: Redirect, question: RedirectQuestion): string | null {
    const place = parse(redirect.address);
    if (place === null) return 'the address is malformed';
    if (redirect.toSelf !== true && isOwn(place, question)) return 'the address is our own';
    const key = `${question.target}\n${question.initiator}`;
    const now = this.#clock.now();
    let hops = this.#hops.get(key);
    if (hops === undefined || hops.untilMs <= now) {
      hops = { count: 0, untilMs: now + this.#limits.redirectWindowMs };
      this.#hops.delete(key);
      this.#hops.set(key, hops);
      this.#forgetOldest();
    }
    if (hops.count >= this.#limits.redirects) return 'it was redirected too often';
    hops.count++;
    return null;
  }

  #forgetOldest(): void {
    if (this.#hops.size <= this.#limits.redirectsTracked) return;
    for (const oldest of this.#hops.keys()) {
      this.#hops.delete(oldest);
      break;
    }
  }
}

function parse(address: string): { readonly host: string; readonly port: number } | null {
  const found = ADDRESS.exec(address);
  if (found === null) return null;
  const port = found[3] === undefined ? ISCSI_PORT : Number(found[3]);
  if (port < 1 || port > 0xffff) return null;
  return { host: (found[1] ?? found[2]!).toLowerCase(), port };
}

function isOwn(place: { host: string; port: number }, question: RedirectQuestion): boolean {
  const to = withPort(place.host, place.port);
  for (const { host, port } of question.portals) {
    if (to === withPort(isWildcard(host) ? question.localAddress : host, port)) return true;
  }
  return false;
}
