/**
 * Hosts that read and write the same disk through two gateways and remember what they saw. One that gets no answer
 * from a gateway, or BUSY, sends what it wants anew through the other, as multipath does.
 */
import type { SimClock } from '../clock.ts';
import type { SimRandom } from '../random.ts';
import type { Gateway } from './gateway.ts';
import type { RegisterRead, RegisterWrite } from './registers.ts';

export const blockBytes = 8;

export interface History {
  readonly writes: RegisterWrite[];
  readonly reads: RegisterRead[];
}

export interface Hosts {
  readonly world: SimClock;
  readonly random: SimRandom;
  readonly gateways: () => readonly Gateway[];
  /** Block by block. */
  readonly histories: readonly History[];
  /** Where they all work just now. */
  readonly window: { at: number };
  /** Blocks of one command at most. */
  readonly most: number;
  readonly nextValue: () => number;
}

/** How long a host waits for an answer before it takes the other path: some are set to give up early. */
const patienceMs = 6000;
const hastyMs = 300;
/** Blocks that all hosts work on for a while: they meet there, and what is left keeps what once went wrong. */
const windowBlocks = 6;

export class Host {
  readonly #hosts: Hosts;
  #path: number;
  readonly #hasty: boolean;
  /** Block → values that were sent and given up, and not followed by one that was acknowledged. */
  readonly #givenUp = new Map<number, number[]>();
  done = 0;
  busy = 0;
  lost = 0;

  constructor(hosts: Hosts, path: number) {
    this.#hosts = hosts;
    this.#path = path;
    this.#hasty = hosts.random.below(2) === 0;
  }

  /** Until told to stop. */
  async run(going: () => boolean): Promise<void> {
    const { random, histories, most, window } = this.#hosts;
    while (going()) {
      const count = 1 + random.below(most);
      if (random.below(100) === 0) window.at = random.below(histories.length);
      const near = window.at + random.below(windowBlocks);
      const block = near % (histories.length - count + 1);
      if (random.below(5) < 2) await this.#read(block, count);
      else await this.#write(block, count);
      // Now and then it is quiet for a while.
      await this.#pause(random.below(200) === 0 ? random.below(3000) : random.below(30));
      if (random.below(20) === 0) this.#path += 1;
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#hosts.world.after(ms, resolve);
    });
  }

  get #gateway(): Gateway {
    const gateways = this.#hosts.gateways();
    return gateways[this.#path % gateways.length]!;
  }

  async #write(block: number, count: number): Promise<void> {
    const { world, histories, nextValue } = this.#hosts;
    const data = new Uint8Array(count * blockBytes);
    const view = new DataView(data.buffer);
    const start = world.now();
    const writes = Array.from({ length: count }, (_, index) => {
      const value = nextValue();
      view.setUint32(index * blockBytes, value, true);
      view.setUint32(index * blockBytes + 4, ~value >>> 0, true);
      const givenUp = [...(this.#givenUp.get(block + index) ?? [])];
      const write = { value, start, end: Number.POSITIVE_INFINITY, givenUp };
      histories[block + index]!.writes.push(write);
      return write;
    });
    const outcome = await this.#ask((client, stamp) =>
      client.write(0, block * blockBytes, data, stamp),
    );
    this.done += 1;
    for (const [index, write] of writes.entries()) {
      if (outcome === 'good') {
        write.end = world.now();
        this.#givenUp.delete(block + index);
      } else {
        this.#givenUp.set(block + index, [...write.givenUp, write.value]);
      }
    }
    if (outcome === 'good') return;
    if (outcome === null) this.lost += 1;
    else this.busy += 1;
    this.#failed();
  }

  /** The other path, and often work elsewhere, so that what was half done stays as it is. */
  #failed(): void {
    const { random, histories, window } = this.#hosts;
    this.#path += 1;
    if (random.below(4) > 0) window.at = random.below(histories.length);
  }

  async #read(block: number, count: number): Promise<void> {
    const { world } = this.#hosts;
    const start = world.now();
    const data = await this.#ask((client) =>
      client.read(0, block * blockBytes, count * blockBytes).catch(() => null),
    );
    this.done += 1;
    if (data === null) {
      this.lost += 1;
      this.#failed();
      return;
    }
    this.saw(block, data, start);
  }

  saw(block: number, data: Uint8Array, start: number): void {
    const { world, histories } = this.#hosts;
    const view = new DataView(data.buffer, data.byteOffset);
    for (let index = 0; index * blockBytes < data.length; index += 1) {
      const value = view.getUint32(index * blockBytes, true);
      const check = view.getUint32(index * blockBytes + 4, true);
      // A torn block is a value that nobody wrote.
      const good = value === 0 ? check === 0 : check === ~value >>> 0;
      histories[block + index]!.reads.push({ value: good ? value : -1, start, end: world.now() });
    }
  }

  /** Null: no answer. */
  #ask<T>(
    work: (
      client: Parameters<Parameters<Gateway['send']>[0]>[0],
      stamp: { low: number; high: number },
    ) => Promise<T>,
  ): Promise<T | null> {
    const { world, random } = this.#hosts;
    const patience = this.#hasty ? hastyMs + random.below(1500) : patienceMs;
    return new Promise((resolve) => {
      const cancel = world.after(patience, () => resolve(null));
      this.#gateway.send((client, stamp) => {
        void work(client, stamp).then((result) => {
          cancel();
          resolve(result);
        });
      });
    });
  }
}
