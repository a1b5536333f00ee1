/**
 * A network of named nodes in one process, from a seed. A channel is a TCP connection as its ends see
 * it: messages arrive whole, in order, once, or the connection dies.
 *
 * What can go wrong, and what it looks like:
 * - `latency`, `delay`: messages take longer; those of one direction never overtake one another.
 * - `reset`: both ends hear that the connection is dead; what was on its way is lost.
 * - `cut(from, to)`: nothing gets through one way. Messages that way wait (TCP sends again) and arrive
 *   when the cut is healed. Acknowledgements are lost too, so whoever has sent something, in either
 *   direction, waits for its acknowledgement; after `giveUpMs` its end dies, and the other end hears
 *   of that only when a message or a reset gets through to it. New connections time out.
 * - `freeze(node)`: it neither hears nor sends, and its timers stand still; with `clockToo` its clock as
 *   well. After `thaw` all that was due happens at once.
 * - `crash(node)`: its process is gone: others hear resets, it hears nothing any more.
 */
import assert from 'node:assert/strict';
import type { Clock } from '#storage/base/clock.ts';
import { StorageError } from '#storage/base/errors.ts';
import { limits } from '#storage/rpc/limits.ts';
import type { Channel, ChannelListener, Transport } from '#storage/rpc/transport.ts';
import type { SimClock } from './clock.ts';
import { NodeClock } from './node-clock.ts';
import type { SimRandom } from './random.ts';

export interface NetworkOptions {
  /** Of a message, one way. */
  readonly latencyMs: readonly [number, number];
  /** TCP's own patience with what is not acknowledged. */
  readonly giveUpMs: number;
}

type Accept = (channel: Channel) => ChannelListener;

export class SimNetwork {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly options: NetworkOptions;
  readonly #nodes = new Map<string, Node>();
  readonly #cuts = new Set<string>();
  readonly #delays = new Map<string, number>();
  readonly #ends = new Set<End>();
  #numbers = 0;

  constructor(clock: SimClock, random: SimRandom, options: Partial<NetworkOptions> = {}) {
    this.clock = clock;
    this.random = random;
    this.options = { latencyMs: [0.1, 0.5], giveUpMs: 15_000, ...options };
  }

  /** Transport and clock of a process on node `name`. A name is an address. */
  node(name: string): { readonly transport: Transport; readonly clock: Clock } {
    const node = new Node(this, name);
    this.#nodes.set(name, node);
    return { transport: node, clock: node.clock };
  }

  find(name: string): Node | undefined {
    return this.#nodes.get(name);
  }

  cut(from: string, to: string): void {
    this.#cuts.add(way(from, to));
  }

  heal(from: string, to: string): void {
    this.#cuts.delete(way(from, to));
    for (const end of this.#ends) end.retry();
  }

  delay(from: string, to: string, ms: number): void {
    this.#delays.set(way(from, to), ms);
  }

  /** Every connection between two nodes dies. */
  reset(one: string, other: string): void {
    for (const end of [...this.#ends]) {
      if (end.node.name === one && end.peer === other) end.reset('connection reset');
    }
  }

  /** One end dies, and what it sends to say so meets whatever is in its way. */
  loseEnd(one: string, other: string): void {
    for (const end of [...this.#ends]) {
      if (end.node.name === one && end.peer === other) end.close(new StorageError('BUSY', 'lost'));
    }
  }

  /** Connections that have an end which believes in them. */
  get connections(): number {
    return new Set([...this.#ends].map((end) => end.connection)).size;
  }

  freeze(name: string, clockToo = false): void {
    this.#nodes.get(name)!.clock.freeze(clockToo);
  }

  thaw(name: string): void {
    this.#nodes.get(name)!.clock.thaw();
    for (const end of this.#ends) end.retry();
  }

  crash(name: string): void {
    const node = this.#nodes.get(name)!;
    this.#nodes.delete(name);
    node.gone = true;
    node.clock.stop();
    for (const end of [...this.#ends]) if (end.node === node) end.reset('connection reset');
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(way(from, to));
  }

  latency(from: string, to: string): number {
    const [low, high] = this.options.latencyMs;
    const chance = this.random.word() / 2 ** 32;
    return low + (high - low) * chance + (this.#delays.get(way(from, to)) ?? 0);
  }

  join(end: End): number {
    this.#ends.add(end);
    this.#numbers += 1;
    return this.#numbers;
  }

  leave(end: End): void {
    this.#ends.delete(end);
  }
}

const way = (from: string, to: string): string => `${from} ${to}`;

class Node implements Transport {
  readonly name: string;
  readonly clock: NodeClock;
  readonly network: SimNetwork;
  accept: Accept | null = null;
  gone = false;

  constructor(network: SimNetwork, name: string) {
    this.network = network;
    this.name = name;
    this.clock = new NodeClock(network.clock);
  }

  connect(address: string, listener: ChannelListener): Promise<Channel> {
    const { network, name } = this;
    return new Promise((resolve, reject) => {
      let over = false;
      const give = (why: string): void => {
        if (over) return;
        over = true;
        cancel();
        reject(new StorageError('BUSY', `cannot connect to ${address}: ${why}`));
      };
      const cancel = this.clock.after(limits.rpcConnectMs, () =>
        give(`no answer in ${limits.rpcConnectMs} ms`),
      );
      const there = network.latency(name, address);
      network.clock.after(there + network.latency(address, name), () => {
        const node = network.find(address);
        if (over || this.gone || network.isCut(name, address) || network.isCut(address, name))
          return;
        if (node?.clock.frozen) return;
        this.clock.run(() => {
          if (over) return;
          if (node === undefined || node.accept === null) {
            give('connection refused');
            return;
          }
          over = true;
          cancel();
          const mine = new End(this, address);
          const other = new End(node, name);
          mine.pair(other);
          mine.start(listener);
          resolve(mine);
          node.clock.run(() => other.start(node.accept!(other)));
        });
      });
    });
  }

  async listen(
    address: string,
    accept: Accept,
  ): Promise<{ readonly address: string; close(): Promise<void> }> {
    assert.equal(address, this.name, 'a node has its name for an address');
    if (this.accept !== null) throw new StorageError('IN_USE', `${address} is taken`);
    this.accept = accept;
    return {
      address,
      close: async () => {
        this.accept = null;
      },
    };
  }
}

/** One end of a connection. */
class End implements Channel {
  readonly node: Node;
  readonly peer: string;
  readonly number: number;
  #other: End | null = null;
  #listener: ChannelListener | null = null;
  /** Sent and not yet at the other end, in order; null: the end of the stream. */
  #sent: { message: Uint8Array | null; at: number }[] = [];
  /** Bytes that are not acknowledged. */
  #unacknowledged = 0;
  /** Since when there has been no progress. */
  #stalledAt = 0;
  /** Messages arrived whose acknowledgement is on its way, or lost in a cut. */
  #arrived = 0;
  #slow = false;
  #ended = false;
  #moving = false;
  #watching = false;

  constructor(node: Node, peer: string) {
    this.node = node;
    this.peer = peer;
    this.number = node.network.join(this);
  }

  /** The same for both ends. */
  get connection(): string {
    return this.number < this.#other!.number
      ? `${this.number} ${this.#other!.number}`
      : `${this.#other!.number} ${this.number}`;
  }

  pair(other: End): void {
    this.#other = other;
    other.#other = this;
  }

  start(listener: ChannelListener): void {
    this.#listener = listener;
    if (this.#ended) queueMicrotask(() => listener.closed(null));
  }

  send(head: Uint8Array, payload: Uint8Array = new Uint8Array(0)): boolean {
    const message = Buffer.concat([head, payload]);
    assert(message.length > 0 && message.length <= limits.rpcMessageBytes);
    if (this.#ended || this.node.gone) return false;
    if (this.#unacknowledged + message.length > limits.rpcBufferedBytes) {
      this.#die(new StorageError('BUSY', `${this.peer} is too slow`));
      return false;
    }
    this.#put(message);
    this.#slow = this.#unacknowledged > limits.rpcHighWaterBytes;
    return !this.#slow;
  }

  close(reason?: Error): void {
    if (this.#ended) return;
    if (reason === undefined) this.#put(null);
    else this.#other?.resetSoon();
    this.#end(reason ?? null);
  }

  /** Both ends hear of it. */
  reset(why: string): void {
    this.#other?.resetSoon();
    this.#die(new StorageError('BUSY', why));
  }

  /** Something that was in the way is not there any more. */
  retry(): void {
    this.#move();
    this.#acknowledge();
  }

  /** A reset is on its way here; a cut swallows it, and then this end must find out by itself. */
  resetSoon(): void {
    const { network } = this.node;
    if (network.isCut(this.peer, this.node.name)) return;
    network.clock.after(network.latency(this.peer, this.node.name), () => {
      if (network.isCut(this.peer, this.node.name)) return;
      this.node.clock.run(() => this.#die(new StorageError('BUSY', 'connection reset')));
    });
  }

  #put(message: Uint8Array | null): void {
    const { network, name } = this.node;
    const last = this.#sent.at(-1)?.at ?? 0;
    const at = Math.max(last, network.clock.now() + network.latency(name, this.peer));
    if (this.#sent.length === 0 && this.#unacknowledged === 0)
      this.#stalledAt = network.clock.now();
    this.#sent.push({ message, at });
    this.#unacknowledged += message?.length ?? 1;
    this.#move();
    this.#watch();
  }

  /** Let the first message arrive when it is due. */
  #move(): void {
    const first = this.#sent[0];
    if (first === undefined || this.#moving) return;
    const { network, name } = this.node;
    this.#moving = true;
    network.clock.after(Math.max(0, first.at - network.clock.now()), () => {
      this.#moving = false;
      if (this.#sent[0] !== first || network.isCut(name, this.peer)) return;
      const other = this.#other!;
      if (other.node.clock.frozen) return;
      this.#sent.shift();
      this.#stalledAt = network.clock.now();
      this.#arrived += first.message?.length ?? 1;
      if (this.#ended && this.#sent.length === 0) network.leave(this);
      other.#arrives(first.message);
      this.#acknowledge();
      this.#move();
    });
  }

  #arrives(message: Uint8Array | null): void {
    if (this.node.gone) return;
    if (this.#ended) {
      if (message !== null) this.#other!.resetSoon();
      return;
    }
    if (message === null) this.#end(null);
    else this.#listener!.message(message);
  }

  #acknowledge(): void {
    const { network, name } = this.node;
    if (this.#arrived === 0 || network.isCut(this.peer, name)) return;
    this.#unacknowledged -= this.#arrived;
    this.#arrived = 0;
    this.#stalledAt = network.clock.now();
    if (!this.#slow || this.#unacknowledged > 0) return;
    this.node.clock.run(() => {
      if (this.#ended || !this.#slow) return;
      this.#slow = false;
      this.#listener?.drained();
    });
  }

  /** Give up when nothing has been acknowledged for too long. */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    const { network } = this.node;
    const wait = this.#stalledAt + network.options.giveUpMs - network.clock.now();
    network.clock.after(Math.max(0, wait), () => {
      this.#watching = false;
      if (this.#ended || this.#unacknowledged === 0) return;
      const late = network.clock.now() - this.#stalledAt >= network.options.giveUpMs;
      if (late) this.node.clock.run(() => this.#die(new StorageError('BUSY', 'timed out')));
      else this.#watch();
    });
  }

  #die(reason: Error): void {
    if (this.#ended) return;
    this.#sent = [];
    this.#end(reason);
  }

  #end(reason: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#sent.length === 0 || reason !== null) this.node.network.leave(this);
    if (reason !== null) this.#sent = [];
    const listener = this.#listener;
    if (listener !== null && !this.node.gone) queueMicrotask(() => listener.closed(reason));
  }
}
