/**
 * Calls between simulated processes over a network that delays, drops, doubles and cuts, one way or both.
 */
import type { StorageError } from '#storage/base/errors.ts';
import type { CallOf, Kind, Peers, ReplyOf } from '#storage/replica/messages.ts';
import type { SimClock } from '../clock.ts';
import type { SimRandom } from '../random.ts';
import type { SimNode } from './node.ts';

type Handler = (from: string, kind: Kind, call: unknown) => Promise<unknown>;

interface Place {
  readonly node: SimNode;
  readonly handler: Handler | null;
}

export class SimNetwork {
  readonly #world: SimClock;
  readonly #random: SimRandom;
  /** Of the software under test. */
  readonly #Error: typeof StorageError;
  readonly #places = new Map<string, Place>();
  readonly #cuts = new Set<string>();
  /** Messages in a thousand. */
  dropped = 0;
  doubled = 0;
  /** Now and then one takes up to this long. */
  slowMs = 0;
  counts = { sent: 0, dropped: 0, doubled: 0, cut: 0 };

  constructor(world: SimClock, random: SimRandom, error: typeof StorageError) {
    this.#world = world;
    this.#random = random;
    this.#Error = error;
  }

  /** A new process under this name; `handler` null: it only asks. */
  attach(node: SimNode, handler: Handler | null): void {
    this.#places.set(node.name, { node, handler });
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  peers(node: SimNode): Peers {
    return { call: (peer, kind, call, timeoutMs) => this.#call(node, peer, kind, call, timeoutMs) };
  }

  #call<K extends Kind>(
    node: SimNode,
    peer: string,
    kind: K,
    call: CallOf<K>,
    timeoutMs: number,
  ): Promise<ReplyOf<K>> {
    return new Promise((resolve, reject) => {
      if (!node.alive) return;
      const late = (): void => reject(new this.#Error('BUSY', `${peer} does not answer`));
      const cancel = node.clock.after(timeoutMs, late);
      this.#send(node.name, peer, () => {
        const { handler } = this.#places.get(peer)!;
        const answered = handler?.(node.name, kind, call);
        answered?.then(
          (reply) =>
            this.#send(peer, node.name, () => {
              if (this.#places.get(node.name)!.node !== node) return;
              cancel();
              resolve(reply as ReplyOf<K>);
            }),
          (error: unknown) => {
            // What is no refusal is a bug: the world ends with it.
            if (error instanceof this.#Error) return;
            throw error;
          },
        );
      });
    });
  }

  #send(from: string, to: string, heard: () => void): void {
    this.counts.sent += 1;
    if (this.#cuts.has(`${from}>${to}`)) {
      this.counts.cut += 1;
      return;
    }
    if (this.#random.below(1000) < this.dropped) {
      this.counts.dropped += 1;
      return;
    }
    const times = this.#random.below(1000) < this.doubled ? 2 : 1;
    if (times === 2) this.counts.doubled += 1;
    for (let time = 0; time < times; time += 1) {
      const slow = this.slowMs > 0 && this.#random.below(20) === 0;
      const delay =
        0.2 + this.#random.below(1000) / 1000 + (slow ? this.#random.below(this.slowMs) : 0);
      this.#world.after(delay, () => this.#places.get(to)?.node.deliver(heard));
    }
  }
}
