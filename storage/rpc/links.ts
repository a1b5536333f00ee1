/**
 * The servers that this one talks to: one live channel for each, made when it is first needed and
 * again after it died, and the handlers of what they ask.
 *
 * Two servers may open channels to one another at the same moment. Each says in its first message how
 * many openings of the other it has seen. Who has not seen this side's opened at the same time: the
 * one that the lower id opened stays, and the other goes when nothing uses it any more. Who has seen
 * it and opens anew has lost it, so this side lets go of it as well. A server that was started anew
 * (another incarnation) has lost them all.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { type CallOptions, fail, newCall, type Reply } from './calls.ts';
import { RpcError } from './failure.ts';
import type { KindTable, Request, Response } from './kind.ts';
import { limits } from './limits.ts';
import { Peer } from './peer.ts';
import { Queue } from './queue.ts';
import type { Handler } from './serving.ts';
import type { Channel, ChannelListener, Transport } from './transport.ts';
import type { Hello, Versions } from './versions.ts';

export interface LinksOptions<T extends KindTable> {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly log: Log;
  readonly table: T;
  readonly versions: Versions;
  /** The id of this server. */
  readonly self: string;
  /** Where a member listens; null: it is no member. */
  addressOf(id: string): string | null;
}

interface Link {
  readonly peer: Peer;
  readonly channel: Channel;
  /** This side opened it: its number, from 1; else 0. */
  readonly opening: number;
  /** What the other side said first. */
  readonly theirs: Hello;
}

/** What is known of one other server. */
class Remote {
  readonly id: string;
  readonly queue: Queue;
  live: Link | null = null;
  readonly retired = new Set<Link>();
  dialing = false;
  failures = 0;
  openings = 0;
  incarnation = 0n;
  seen = 0;
  cancelRetry: (() => void) | null = null;

  constructor(id: string, clock: Clock) {
    this.id = id;
    this.queue = new Queue(id, clock);
  }
}

export class Links<T extends KindTable> {
  readonly #options: LinksOptions<T>;
  readonly #clock: Clock;
  readonly #handlers = new Map<string, Handler<unknown, unknown>>();
  readonly #remotes = new Map<string, Remote>();
  readonly #incarnation: bigint;
  readonly #listeners: { close(): Promise<void> }[] = [];
  #closed = false;

  constructor(options: LinksOptions<T>) {
    this.#options = options;
    this.#clock = options.clock;
    this.#incarnation = Buffer.from(options.random.bytes(8)).readBigUInt64LE();
  }

  /** What `name` asks for is done by `handler`, from now on. */
  serve<K extends keyof T & string>(
    name: K,
    handler: Handler<Request<T, K>, Response<T, K>>,
  ): void {
    this.#handlers.set(name, handler as Handler<unknown, unknown>);
  }

  /** Resolves to the bound address. IN_USE, INVALID. */
  async listen(address: string): Promise<string> {
    const listener = await this.#options.transport.listen(address, (channel) =>
      this.#accepted(channel),
    );
    this.#listeners.push(listener);
    return listener.address;
  }

  /**
   * Ask server `id`. Rejects with RpcError, or with the StorageError that its handler threw. With no
   * channel it waits for one until the deadline, or with `whenFull: 'refuse'` ends at once.
   */
  call<K extends keyof T & string>(
    id: string,
    name: K,
    body: Request<T, K>,
    options: CallOptions,
  ): Promise<Reply<Response<T, K>>> {
    const { signal, whenFull } = options;
    const kind = this.#options.table[name]!;
    const { call, reply } = newCall(name, kind, body, options, this.#clock.now());
    const remote = this.#remote(id);
    if (signal?.aborted) {
      fail(call, 'cancelled', `${name} was cancelled`);
    } else if (this.#closed || this.#options.addressOf(id) === null) {
      fail(call, 'stranger', this.#closed ? 'closing' : `${id} is no member`);
    } else if (remote.live !== null) {
      remote.live.peer.start(call, whenFull);
    } else {
      if (whenFull === 'refuse') fail(call, 'closed', `there is no channel to ${id}`);
      else remote.queue.push(call);
      this.#dial(remote);
    }
    return reply as Promise<Reply<Response<T, K>>>;
  }

  /** The version that is spoken with a server now; 0: there is no channel. */
  version(id: string): number {
    return this.#remotes.get(id)?.live?.peer.version ?? 0;
  }

  /** Members have changed: end what goes to those that are none any more. */
  recheck(): void {
    for (const remote of this.#remotes.values()) {
      if (this.#options.addressOf(remote.id) !== null) continue;
      this.drop(remote.id, new RpcError('stranger', false, `${remote.id} is no member`));
    }
  }

  /** End the channels to a server that is not believed any more; calls in flight end as unknown. */
  drop(id: string, reason: StorageError): void {
    const remote = this.#remotes.get(id);
    if (remote === undefined) return;
    remote.queue.fail(reason);
    for (const link of [...remote.retired, ...(remote.live === null ? [] : [remote.live])]) {
      link.channel.close(reason);
    }
  }

  /** No newcomers, and an end to all channels. */
  async close(): Promise<void> {
    this.#closed = true;
    const reason = new StorageError('BUSY', 'this server is closing');
    for (const remote of this.#remotes.values()) {
      remote.cancelRetry?.();
      this.drop(remote.id, reason);
    }
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  #remote(id: string): Remote {
    let remote = this.#remotes.get(id);
    if (remote === undefined) {
      remote = new Remote(id, this.#clock);
      this.#remotes.set(id, remote);
    }
    return remote;
  }

  /** Open a channel, unless there is one or it is being done. */
  #dial(remote: Remote): void {
    const address = this.#options.addressOf(remote.id);
    if (this.#closed || remote.live !== null || remote.dialing || remote.cancelRetry !== null)
      return;
    if (address === null) {
      remote.queue.fail(new RpcError('stranger', false, `${remote.id} is no member`));
      return;
    }
    remote.dialing = true;
    remote.openings += 1;
    const peer = this.#peer(remote, remote.openings, () => channel);
    let channel: Channel | null = null;
    this.#options.transport.connect(address, peer).then(
      (connected) => {
        channel = connected;
        peer.open(connected);
        if (this.#closed) connected.close();
        if (connected.peer === remote.id || connected.peer === address) return;
        const who = `at ${address} is ${connected.peer}, not ${remote.id}`;
        connected.close(new RpcError('stranger', false, who));
      },
      (error: unknown) => this.#failed(remote, error as Error),
    );
  }

  #accepted(channel: Channel): ChannelListener {
    const remote = this.#remote(channel.peer);
    const peer = this.#peer(remote, 0, () => channel);
    peer.open(channel);
    if (this.#closed || this.#options.addressOf(channel.peer) === null) {
      channel.close(new RpcError('stranger', false, `${channel.peer} is no member`));
    }
    return peer;
  }

  /** The calls over a channel that this side opens (by its number) or accepts (0). */
  #peer(remote: Remote, opening: number, channel: () => Channel | null): Peer {
    const { clock, table, versions, log } = this.#options;
    let link: Link | null = null;
    const peer: Peer = new Peer({
      clock,
      table,
      versions,
      handlers: this.#handlers,
      incarnation: this.#incarnation,
      opening,
      seen: remote.seen,
      ready: (theirs) => {
        link = { peer, channel: channel()!, opening, theirs };
        if (opening > 0) remote.dialing = false;
        this.#ready(remote, link);
      },
      ended: (reason, unsent) => {
        if (reason !== null) log.warn({ peer: remote.id, reason: reason.message }, 'channel ended');
        for (const call of unsent) remote.queue.push(call);
        if (link === null) {
          if (opening > 0) this.#failed(remote, reason ?? new Error('closed before it was ready'));
          return;
        }
        remote.retired.delete(link);
        if (remote.live === link) remote.live = null;
        if (!remote.queue.empty) this.#dial(remote);
      },
    });
    return peer;
  }

  #ready(remote: Remote, link: Link): void {
    const old = remote.live;
    remote.failures = 0;
    remote.cancelRetry?.();
    remote.cancelRetry = null;
    const restarted = link.theirs.incarnation !== remote.incarnation;
    remote.incarnation = link.theirs.incarnation;
    remote.seen = Math.max(restarted ? 0 : remote.seen, link.theirs.opening);
    if (old === null) {
      remote.live = link;
    } else if (restarted) {
      remote.live = link;
      for (const lost of [old, ...remote.retired]) lost.channel.close(superseded(remote.id));
    } else {
      this.#settle(remote, old, link);
    }
    remote.queue.drain((call) => remote.live!.peer.start(call));
  }

  /** Two channels to one incarnation of a server: which stays. */
  #settle(remote: Remote, old: Link, link: Link): void {
    const ours = [old, link].find(({ opening }) => opening > 0);
    const theirs = [link, old].find(({ opening }) => opening === 0);
    if (ours === undefined || theirs === undefined || theirs.theirs.seen >= ours.opening) {
      // Opened although they knew the other: they have lost that.
      const stays = theirs ?? link;
      remote.live = stays;
      (stays === link ? old : link).channel.close(superseded(remote.id));
      return;
    }
    const stays = this.#options.self < remote.id ? ours : theirs;
    remote.live = stays;
    this.#retire(remote, stays === ours ? theirs : ours);
  }

  #retire(remote: Remote, link: Link): void {
    remote.retired.add(link);
    link.peer.unused(); // What is asked from now on counts.
    const look = (): void => {
      if (!remote.retired.has(link)) return;
      if (link.peer.unused()) link.channel.close();
      else this.#clock.after(limits.rpcRetireMs, look);
    };
    this.#clock.after(limits.rpcRetireMs, look);
  }

  #failed(remote: Remote, error: Error): void {
    remote.dialing = false;
    if (error instanceof RpcError) remote.queue.fail(error); // Trying again does not help.
    if (this.#closed || remote.live !== null) return;
    const most = Math.min(limits.rpcRetryMsMax, limits.rpcRetryMsMin * 2 ** remote.failures);
    remote.failures = Math.min(remote.failures + 1, 16);
    // Half of it by chance, so that servers which lost one another do not meet at the same moments.
    const chance = this.#options.random.bytes(1)[0]! / 256;
    remote.cancelRetry?.();
    remote.cancelRetry = this.#clock.after((most * (1 + chance)) / 2, () => {
      remote.cancelRetry = null;
      if (!remote.queue.empty) this.#dial(remote);
    });
  }
}

const superseded = (id: string): StorageError =>
  new StorageError('BUSY', `${id} has opened another channel`);
