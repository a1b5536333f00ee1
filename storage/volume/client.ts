/**
 * The client side of Petal: a gateway's reads and writes go to the servers that hold the chunks. What it knows of
 * the servers are hints: an error brings a later configuration, and the request goes again (Petal, section 2.1).
 *
 * A write is numbered for each chunk, so that however often it is sent it happens once, and carries when it
 * arrived, so that it cannot come back over one that the initiator sent later through another gateway
 * (replication.md, section 6). It ends in `good`, or in `busy`: then it may or may not have happened.
 */
import { type Clock, pause } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { type Configuration, groupOf } from '../replica/configuration.ts';
import { limits } from '../replica/limits.ts';
import type { Peers } from '../replica/messages.ts';
import { type Chunk, chunkOf } from '../replica/store.ts';

export interface ClientPorts {
  readonly clock: Clock;
  readonly peers: Peers;
  /** Bytes of a chunk. */
  readonly chunkBytes: number;
  /** Where the copies of a chunk lie, the first one first. */
  readonly order: (chunk: Chunk) => readonly string[];
}

/** On the gateway's clock: when its socket was last known to be empty, and when the last byte came. */
export interface Stamp {
  readonly low: number;
  readonly high: number;
}

/** What is known of a server's clock: its time is ours plus something between. */
interface Offset {
  readonly least: number;
  readonly most: number;
  readonly incarnation: string;
  /** When it was asked, on our clock. */
  readonly at: number;
}

interface Part {
  readonly chunk: Chunk;
  readonly offset: number;
  readonly from: number;
  readonly length: number;
}

export class Client {
  /** Of this start of this gateway. */
  readonly #name: string;
  readonly #ports: ClientPorts;
  readonly #hints = new Map<string, Configuration>();
  readonly #offsets = new Map<string, Offset>();
  /** Sequences whose write may still be sent again. */
  readonly #outstanding = new Set<number>();
  #sequence = 0;
  #turn = 0;

  constructor(name: string, ports: ClientPorts) {
    this.#name = name;
    this.#ports = ports;
  }

  async write(
    disk: number,
    offset: number,
    data: Uint8Array,
    stamp: Stamp,
  ): Promise<'good' | 'busy'> {
    const ends = this.#parts(disk, offset, data.length).map((part) => {
      const { from, length } = part;
      return this.#writePart(part, data.subarray(from, from + length), stamp);
    });
    return (await Promise.all(ends)).every((good) => good) ? 'good' : 'busy';
  }

  /** BUSY: no copy in sync could answer in time. */
  async read(disk: number, offset: number, length: number): Promise<Uint8Array> {
    const into = new Uint8Array(length);
    await Promise.all(
      this.#parts(disk, offset, length).map(async (part) => {
        into.set(await this.#readPart(part), part.from);
      }),
    );
    return into;
  }

  #parts(disk: number, offset: number, length: number): Part[] {
    const { chunkBytes } = this.#ports;
    const parts: Part[] = [];
    for (let from = 0; from < length; ) {
      const index = Math.floor((offset + from) / chunkBytes);
      const at = (offset + from) % chunkBytes;
      const count = Math.min(chunkBytes - at, length - from);
      parts.push({ chunk: chunkOf(disk, index), offset: at, from, length: count });
      from += count;
    }
    return parts;
  }

  async #writePart({ chunk, offset }: Part, data: Uint8Array, stamp: Stamp): Promise<boolean> {
    const { clock, peers, order } = this.#ports;
    this.#sequence += 1;
    const sequence = this.#sequence;
    this.#outstanding.add(sequence);
    const group = groupOf(order(chunk));
    const end = stamp.high + limits.commandMs;
    try {
      for (let tries = 0; clock.now() < end; tries += 1) {
        const server = this.#coordinator(chunk, tries);
        try {
          const { arrival, incarnation } = await this.#arrival(server, stamp, sequence);
          const version = this.#hints.get(group)?.version ?? 0;
          const lowest = Math.min(...this.#outstanding);
          const call = {
            ...{ group, version, chunk, offset, data, client: this.#name, sequence, lowest },
            ...{ arrival, incarnation },
          };
          const reply = await peers.call(server, 'write', call, limits.callMs);
          if (reply.kind === 'done') return true;
          if (reply.kind === 'refused') {
            // Its server was started anew: stamped by its new clock it may still be young enough.
            if (!this.#offsets.delete(server) || tries > 0) return false;
            continue;
          }
          if (reply.kind === 'redirect' && this.#learn(group, reply.configuration)) continue;
        } catch {
          // No answer: perhaps it happened. It goes again, to whoever coordinates by then.
        }
        await pause(clock, limits.retryMs);
      }
      return false;
    } finally {
      this.#outstanding.delete(sequence);
    }
  }

  async #readPart({ chunk, offset, length }: Part): Promise<Uint8Array> {
    const { clock, peers, order } = this.#ports;
    const group = groupOf(order(chunk));
    const end = clock.now() + limits.commandMs;
    for (let tries = 0; clock.now() < end; tries += 1) {
      const version = this.#hints.get(group)?.version ?? 0;
      try {
        const call = { group, version, chunk, offset, length };
        const reply = await peers.call(this.#copy(chunk, tries), 'read', call, limits.callMs);
        if (reply.kind === 'data') return reply.data;
        if (reply.kind === 'redirect' && this.#learn(group, reply.configuration)) continue;
      } catch {
        // The other copy may answer.
      }
      await pause(clock, limits.retryMs);
    }
    throw new StorageError('BUSY', 'no copy in sync answers');
  }

  /** Whether it was news. */
  #learn(group: string, configuration: Configuration): boolean {
    const known = this.#hints.get(group)?.version ?? 0;
    if (configuration.version <= known) return false;
    this.#hints.set(group, configuration);
    return true;
  }

  #synced(chunk: Chunk): readonly string[] {
    const order = this.#ports.order(chunk);
    const hint = this.#hints.get(groupOf(order));
    const known = order.filter((server) => hint?.insync.some((each) => each.server === server));
    return known.length > 0 ? known : order;
  }

  /** By the hint; every third try is another's, who may know more. */
  #coordinator(chunk: Chunk, tries: number): string {
    const order = this.#ports.order(chunk);
    return tries % 3 === 2 ? order[tries % order.length]! : this.#synced(chunk)[0]!;
  }

  /** Copies in sync in turn. */
  #copy(chunk: Chunk, tries: number): string {
    this.#turn += 1;
    const servers = tries % 3 === 2 ? this.#ports.order(chunk) : this.#synced(chunk);
    return servers[this.#turn % servers.length]!;
  }

  /** The stamp on the server's clock. */
  async #arrival(server: string, { low, high }: Stamp, sequence: number) {
    const offset = await this.#offset(server);
    const drift = limits.rateMargin * Math.abs(offset.at - low);
    return {
      arrival: {
        gateway: this.#name,
        sequence,
        low: low + offset.least - drift,
        high: high + offset.most + drift,
      },
      incarnation: offset.incarnation,
    };
  }

  async #offset(server: string): Promise<Offset> {
    const { clock, peers } = this.#ports;
    const known = this.#offsets.get(server);
    const sent = clock.now();
    if (known !== undefined && sent - known.at < limits.clockMs) return known;
    const { now, incarnation } = await peers.call(server, 'clock', null, limits.callMs);
    const received = clock.now();
    const offset = { least: now - received, most: now - sent, incarnation, at: received };
    this.#offsets.set(server, offset);
    return offset;
  }
}
