/**
 * Connections that have not logged in: how many there may be, from one address and together.
 *
 * When all places are taken, a newcomer gets that of the oldest connection of the address that holds
 * most, if that is more than the newcomer's own address holds: who keeps connections open without
 * logging in keeps out itself, and a host that does log in finds room.
 */
import type { Limits } from './limits.ts';

export interface PendingConnection {
  readonly stream: { readonly remoteAddress: string };
  /** Ends in `remove` before it returns. */
  dropConnection(reason: string): void;
}

export class PendingLogins {
  /** Oldest first. */
  readonly #bySource = new Map<string, Set<PendingConnection>>();
  readonly #limits: Limits;
  #count = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether one more from `source` may come; another may be dropped for it. */
  makeRoom(source: string): boolean {
    const own = this.#bySource.get(source)?.size ?? 0;
    if (own >= this.#limits.pendingPerSource) return false;
    if (this.#count < this.#limits.pendingTotal) return true;
    // Each source has at least one: this is a walk over at most `pendingTotal` of them.
    let most: Set<PendingConnection> | null = null;
    for (const each of this.#bySource.values()) {
      if (each.size > own + 1 && each.size > (most?.size ?? 0)) most = each;
    }
    for (const oldest of most ?? []) {
      oldest.dropConnection('no login yet, and another address has fewer');
      return true;
    }
    return false;
  }

  add(connection: PendingConnection): void {
    const source = connection.stream.remoteAddress;
    const same = this.#bySource.get(source) ?? new Set();
    same.add(connection);
    this.#bySource.set(source, same);
    this.#count++;
  }

  /** It has logged in or is gone. */
  remove(connection: PendingConnection): void {
    const source = connection.stream.remoteAddress;
    const same = this.#bySource.get(source);
    if (same === undefined || !same.delete(connection)) return;
    this.#count--;
    if (same.size === 0) this.#bySource.delete(source);
  }
}
