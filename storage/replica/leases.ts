/**
 * Grants and leases of one group (replication.md, section 4). A grant binds its granter for the whole lease
 * from its reply; the holder uses it for less, from when it asked, on its own clock: only rates matter.
 */
import type { Clock } from '../base/clock.ts';
import { limits } from './limits.ts';

export class Leases {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  /** Server → until when we are bound. */
  readonly #granted = new Map<string, number>();
  /** Server → what it granted us. */
  readonly #held = new Map<string, { readonly version: number; readonly until: number }>();

  /** At a start every grant counts as given just now [H2]. */
  constructor(clock: Clock, leaseMs: number, others: readonly string[]) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    for (const server of others) this.grant(server);
  }

  grant(server: string): void {
    this.#granted.set(server, this.#clock.now() + this.#leaseMs);
  }

  /** Milliseconds until no grant to any of these is left. */
  binding(servers: readonly string[]): number {
    const now = this.#clock.now();
    return Math.max(0, ...servers.map((server) => (this.#granted.get(server) ?? now) - now));
  }

  /** `server` granted for `version` what was asked for at `asked`. */
  hold(server: string, version: number, asked: number): void {
    const until = asked + this.#leaseMs * (1 - limits.leaseMargin);
    this.#held.set(server, { version, until });
  }

  /** Whether all of these have granted for `version`, and it has not run out. */
  valid(servers: readonly string[], version: number): boolean {
    const now = this.#clock.now();
    return servers.every((server) => {
      const lease = this.#held.get(server);
      return lease !== undefined && lease.version === version && now < lease.until;
    });
  }

  /** Nothing is held any more. */
  drop(): void {
    this.#held.clear();
  }
}
