/**
 * Write-back against its promise, on a simulated disk and clock, from a seed: changes, flushes, cuts
 * and reads at random, then the power goes off at any moment; what the store holds when it is opened
 * again is held against what was completed and what was flushed (storage/volume/write-back.ts says
 * what may be lost). Then it goes on from there.
 */
import { pause } from '#storage/base/clock.ts';
import type { StorageError } from '../../storage/base/errors.ts';
import type { Store } from '../../storage/map/open.ts';
import type { WriteBack, WriteBackPorts } from '../../storage/volume/write-back.ts';
import { drained, SimClock } from './clock.ts';
import { type CrashMode, type Image, SimDisk } from './disk.ts';
import { SimRandom } from './random.ts';
import { stamped, stampOf } from './store-history.ts';
import { type Software, smallStore } from './store-load.ts';

/** The software under test: ours, or a copy of it with a fault planted. */
export interface WriteBackSoftware extends Software {
  readonly WriteBack: new (ports: WriteBackPorts, budgetBytes?: number) => WriteBack;
}

const size = 24 * 1024 * 1024;
const log = { info: () => {}, warn: () => {}, error: () => {} };
/** Space 1 has write-back, space 2 has not, space 3 has it now and then. */
const refs = [1, 2, 3] as const;
const blocks = 160;
const chunk = 16;

/** A change of some blocks: its number is the stamp, or zeros were asked for. */
interface Change {
  readonly order: number;
  readonly ref: number;
  readonly block: number;
  readonly count: number;
  readonly zeros: boolean;
  acked: boolean;
  /** Survives every crash. */
  safe: boolean;
}

export interface Faults {
  /** The disk fails at so many of its writes; 0: never. */
  readonly failWrite?: number;
}

export class WriteBackLoad {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly wrong: string[] = [];
  /** By space and block, the oldest first; what is there before is zeros. */
  #changes = new Map<string, Change[]>();
  #disk: SimDisk;
  #store: Store | null = null;
  #cache: WriteBack | null = null;
  #order = 0;
  #inFlight = 0;
  /** Rises with each crash: what an earlier machine still does counts for nothing. */
  #life = 0;
  readonly #software: WriteBackSoftware;
  /** Every write that completes is safe: the power is failing, and all disks write through. */
  #through = false;
  crashes = 0;
  reads = 0;
  lost = 0;
  cuts = 0;

  constructor(software: WriteBackSoftware, seed: number) {
    this.#software = software;
    this.random = new SimRandom(seed);
    this.#disk = this.#newDisk();
  }

  #newDisk(image?: Image): SimDisk {
    const { clock, random } = this;
    return new SimDisk({ clock, random, size, slowMs: 4, ...(image ? { image } : {}) });
  }

  async run(rounds: number, operations: number): Promise<void> {
    const { clock, random } = this;
    const storeId = random.bytes(16);
    await clock.until(this.#software.formatBlocks(this.#disk, { storeId, random }));
    await this.#open();
    for (const ref of refs) await clock.until(this.#store!.create(ref, 0));
    for (let round = 0; round < rounds && this.wrong.length === 0; round += 1) {
      const count = random.between(operations / 2, operations);
      for (let index = 0; index < count; index += 1) await this.#step();
      await this.#crash();
    }
  }

  async #open(): Promise<void> {
    const { clock, random } = this;
    const opening = this.#software.openBlocks({ disk: this.#disk, clock, random }, smallStore);
    this.#store = await clock.until(opening);
    this.#cache = new this.#software.WriteBack({ store: this.#store, clock, log }, 2 ** 20);
    await clock.until(this.#cache.setWriteBack(1, true));
  }

  async #step(): Promise<void> {
    const { random } = this;
    const choice = random.below(100);
    if (choice < 55) this.#write();
    else if (choice < 65) this.#unmap();
    else if (choice < 75) this.#read();
    else if (choice < 79) this.#flush();
    else if (choice < 80) this.#cut();
    else if (choice < 82) this.#switch();
    else if (choice < 83) this.#power();
    else if (choice < 96) await this.#pass(random.below(20));
    else if (choice < 99) await this.#pass(random.below(5000));
    else await this.#pass(32_000);
    if (this.#inFlight > 40) await this.#pass(8);
  }

  /** Time passes. */
  async #pass(ms: number): Promise<void> {
    await this.clock.until(pause(this.clock, ms));
  }

  #key(ref: number, block: number): string {
    return `${ref}/${block}`;
  }

  #of(ref: number, block: number): Change[] {
    return this.#changes.get(this.#key(ref, block)) ?? [];
  }

  #begin(ref: number, block: number, count: number, zeros: boolean): Change {
    this.#order += 1;
    const change = { order: this.#order, ref, block, count, zeros, acked: false, safe: false };
    for (let at = block; at < block + count; at += 1) {
      this.#changes.set(this.#key(ref, at), [...this.#of(ref, at), change]);
    }
    this.#inFlight += 1;
    return change;
  }

  #write(): void {
    const { random } = this;
    const ref = random.pick(refs);
    let count = random.pick([1, 1, 1, 2, 5, chunk, 40]);
    let block = random.below(blocks - count);
    if (count > 1 && count <= chunk) {
      // Inside one chunk, so that it is whole or not there.
      block -= block % chunk;
      if (count < chunk) block += random.below(chunk - count + 1);
      count = Math.min(count, blocks - block);
    }
    const change = this.#begin(ref, block, count, false);
    const data = new Uint8Array(count * 4096);
    for (let at = 0; at < count; at += 1) {
      data.set(stamped(ref, block + at, change.order), at * 4096);
    }
    const durable = random.chance(0.1) || this.#through;
    const asked = durable && !this.#through;
    const life = this.#life;
    const complete = (error: StorageError | null): void => {
      if (life !== this.#life) return;
      this.#inFlight -= 1;
      if (error !== null) this.wrong.push(`a write: ${error.message}`);
      change.acked = true;
      if (durable || ref === 2) change.safe = true;
    };
    this.#cache!.write(ref, block, data, { complete }, asked);
    data.fill(0xee);
  }

  #unmap(): void {
    const { random } = this;
    const ref = random.pick(refs);
    const block = random.below(blocks - 1);
    const count = random.between(1, Math.min(40, blocks - block));
    const change = this.#begin(ref, block, count, true);
    const life = this.#life;
    const complete = (error: StorageError | null): void => {
      if (life !== this.#life) return;
      this.#inFlight -= 1;
      if (error !== null) this.wrong.push(`an unmap: ${error.message}`);
      change.acked = true;
      change.safe = true;
    };
    this.#cache!.unmap(ref, block, count, { complete });
  }

  /** All that is acknowledged now, of `ref`. */
  #acked(ref: number): Change[] {
    const found = new Set<Change>();
    for (const changes of this.#changes.values()) {
      for (const change of changes) if (change.ref === ref && change.acked) found.add(change);
    }
    return [...found];
  }

  #flush(): void {
    const ref = this.random.pick(refs);
    const covered = this.#acked(ref);
    this.#inFlight += 1;
    const life = this.#life;
    const complete = (error: StorageError | null): void => {
      if (life !== this.#life) return;
      this.#inFlight -= 1;
      if (error !== null) this.wrong.push(`a flush: ${error.message}`);
      for (const change of covered) change.safe = true;
    };
    this.#cache!.flush({ complete }, ref);
  }

  /** A cut has all that was acknowledged before it, as the store shows it by itself. */
  #cut(): void {
    const covered = this.#acked(1);
    const least = Array.from({ length: blocks }, (_, block) => this.#leastOf(1, block));
    this.#inFlight += 1;
    this.cuts += 1;
    const life = this.#life;
    const cut = this.#cache!.during([1], async () => {
      const into = new Uint8Array(4096);
      for (const change of covered) if (life === this.#life) change.safe = true;
      for (const [block, order] of least.entries()) {
        if (life !== this.#life) return;
        const error = await new Promise<StorageError | null>((complete) =>
          this.#store!.read(1, block, 1, into, 0, { complete }),
        );
        const found = error === null ? this.#orderOf(1, block, into) : -1;
        if (found < order && life === this.#life)
          this.wrong.push(`a cut has ${found} of block ${block}, not ${order}`);
      }
    });
    cut.then(
      () => {
        if (life === this.#life) this.#inFlight -= 1;
      },
      (error: StorageError) => {
        if (life !== this.#life) return;
        this.#inFlight -= 1;
        if (error.code !== 'BUSY') this.wrong.push(`a cut: ${error.message}`);
      },
    );
  }

  #switch(): void {
    const on = this.random.chance(0.6);
    const covered = this.#acked(3);
    this.#inFlight += 1;
    const life = this.#life;
    this.#cache!.setWriteBack(3, on).then(
      () => {
        if (life !== this.#life) return;
        this.#inFlight -= 1;
        if (!on) for (const change of covered) change.safe = true;
      },
      (error: Error) => {
        if (life === this.#life) this.wrong.push(`a switch: ${error.message}`);
      },
    );
  }

  #power(): void {
    const cache = this.#cache!;
    if (this.#through) {
      this.#through = false;
      cache.resume();
      return;
    }
    const covered = refs.flatMap((ref) => this.#acked(ref));
    this.#through = true;
    this.#inFlight += 1;
    const life = this.#life;
    cache.suspend().then(
      () => {
        if (life !== this.#life) return;
        this.#inFlight -= 1;
        for (const change of covered) change.safe = true;
      },
      (error: Error) => {
        if (life === this.#life) this.wrong.push(`a failing power: ${error.message}`);
      },
    );
  }

  #read(): void {
    const { random } = this;
    const ref = random.pick(refs);
    const block = random.below(blocks - 20);
    const count = random.between(1, 20);
    const least = Array.from({ length: count }, (_, at) => this.#leastOf(ref, block + at));
    const into = new Uint8Array(count * 4096);
    const judge = (): void => {
      this.reads += 1;
      for (const [at, order] of least.entries()) {
        const data = into.subarray(at * 4096, (at + 1) * 4096);
        const found = this.#orderOf(ref, block + at, data);
        if (found < order) {
          this.wrong.push(`block ${ref}/${block + at} read as ${found}; ${order} was acknowledged`);
        }
      }
    };
    if (this.#cache!.readNow(ref, block, count, into, 0)) {
      judge();
      return;
    }
    this.#inFlight += 1;
    const life = this.#life;
    this.#cache!.read(ref, block, count, into, 0, {
      complete: (error) => {
        if (life !== this.#life) return;
        this.#inFlight -= 1;
        if (error !== null) this.wrong.push(`a read: ${error.message}`);
        else judge();
      },
    });
  }

  /** The last change that is acknowledged. */
  #leastOf(ref: number, block: number): number {
    return this.#of(ref, block).findLast((change) => change.acked)?.order ?? 0;
  }

  /** Which change the content is of; zeros are the last zeros. -1: of none. */
  #orderOf(ref: number, block: number, data: Uint8Array): number {
    const stamp = stampOf(ref, block, data);
    const changes = this.#of(ref, block);
    if (stamp === 0) return changes.findLast((change) => change.zeros)?.order ?? 0;
    return changes.some((change) => change.order === stamp && !change.zeros) ? stamp : -1;
  }

  async #crash(): Promise<void> {
    const { random } = this;
    this.crashes += 1;
    const mode = random.pick<CrashMode>(['drop', 'keep', 'tear']);
    const image = this.#disk.crash(mode);
    this.#life += 1;
    this.#through = false;
    await this.clock.quiet();
    await drained();
    this.#inFlight = 0;
    this.#disk = this.#newDisk(image);
    await this.#open();
    await this.#judge();
  }

  async #judge(): Promise<void> {
    const found = new Map<string, number>();
    for (const [key, changes] of this.#changes) {
      const [ref, block] = key.split('/').map(Number) as [number, number];
      const into = new Uint8Array(4096);
      const reading = new Promise<StorageError | null>((complete) =>
        this.#cache!.read(ref, block, 1, into, 0, { complete }),
      );
      const error = await this.clock.until(reading);
      const least = changes.findLast((change) => change.safe)?.order ?? 0;
      const order = error === null ? this.#orderOf(ref, block, into) : -1;
      found.set(key, order);
      if (order < least) this.wrong.push(`after a crash ${key} is ${order}; ${least} was safe`);
      if (order < (changes.at(-1)?.order ?? 0)) this.lost += 1;
    }
    this.#judgeWholes(found);
    this.#restart(found);
  }

  /** A write inside one chunk is there in all its blocks, or gave way to something later. */
  #judgeWholes(found: ReadonlyMap<string, number>): void {
    const seen = new Set<Change>();
    for (const changes of this.#changes.values()) for (const change of changes) seen.add(change);
    for (const { ref, block, count, order, zeros } of seen) {
      const whole = Math.floor(block / chunk) === Math.floor((block + count - 1) / chunk);
      if (!whole || zeros) continue;
      const orders = Array.from(
        { length: count },
        (_, at) => found.get(this.#key(ref, block + at))!,
      );
      if (!orders.includes(order)) continue;
      if (orders.some((other) => other < order)) {
        this.wrong.push(`write ${order} of ${ref}/${block} is torn: ${orders}`);
      }
    }
  }

  /** What survived is what there is. */
  #restart(found: ReadonlyMap<string, number>): void {
    const then = this.#changes;
    this.#changes = new Map();
    for (const [key, changes] of then) {
      const change = changes.find(({ order }) => order === found.get(key));
      if (change === undefined) continue;
      change.acked = true;
      change.safe = true;
      this.#changes.set(key, [change]);
    }
  }
}
