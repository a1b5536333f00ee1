/**
 * A gateway and the initiators' side of its connections. What an initiator sends lies in the gateway's socket until
 * the gateway reads it, also while the gateway is frozen.
 */
import type { Clock } from '#storage/base/clock.ts';
import type { Client, Stamp } from '#storage/volume/client.ts';
import type { SimNode } from './node.ts';

type Work = (client: Client, stamp: Stamp) => void;

const pollMs = 20;

export class Gateway {
  readonly node: SimNode;
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #socket: Work[] = [];
  #drained: number;

  constructor(node: SimNode, client: Client) {
    this.node = node;
    this.#clock = node.clock;
    this.#client = client;
    this.#drained = this.#clock.now();
    this.#poll();
  }

  /** From an initiator. Its answer is lost when the gateway dies. */
  send(work: Work): void {
    this.#socket.push(work);
    this.node.deliver(() => this.#drain());
  }

  #poll(): void {
    this.#drain();
    this.#clock.after(pollMs, () => this.#poll());
  }

  #drain(): void {
    const now = this.#clock.now();
    for (const work of this.#socket.splice(0)) {
      work(this.#client, { low: this.#drained, high: now });
    }
    this.#drained = now;
  }
}
