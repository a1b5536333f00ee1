/**
 * Overlapping calls of any alignment in flight take effect in some order per sector: a sector reads
 * as one of the values that may be there, never as a mixture and never as something older.
 *
 * Every written sector carries the number of its write. A register per sector knows which numbers a
 * read may return: the last one that completed before the read began, and every one in flight
 * between then and the end of the read.
 */
import test from 'ava';
import type { StorageError } from '#storage/base/errors.ts';
import { silentLog } from '#storage/base/log.ts';
import type { Done } from '#storage/map/blocks.ts';
import { rewrite } from '#storage/volume/flatten.ts';
import { OpenVolume } from '#storage/volume/open.ts';
import type { DiskRecord } from '#storage/volume/volume.ts';
import { WriteBack } from '#storage/volume/write-back.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { ManualClock } from '#test/sim/manual-clock.ts';
import { MemoryBlocks } from '#test/sim/memory-blocks.ts';

const sector = 512;
const sectors = 96; // 12 blocks: everything overlaps

const record = (over: Partial<DiskRecord> = {}): DiskRecord => ({
  id: '0'.repeat(32),
  ref: 1,
  name: 'a',
  size: sectors * sector,
  sectorBytes: 512,
  physicalSectorBytes: 4096,
  reserved: false,
  created: 0,
  removed: null,
  attributes: {},
  ...over,
});

const noSpace = { reclaimable: () => false, purges: 0, reclaim: async () => false };

interface Write {
  readonly stamp: number;
  readonly began: number;
  /** Infinity while in flight; a failed or mismatched one never takes effect. */
  ended: number;
}

/** What was written to one sector, as the client saw it. */
class Register {
  #writes: Write[] = [{ stamp: 0, began: -1, ended: -1 }];

  write(write: Write): void {
    this.#writes.push(write);
  }

  drop(write: Write): void {
    this.#writes = this.#writes.filter((one) => one !== write);
  }

  /** Not begun yet, or overwritten by one that began after it ended and ended before the read began. */
  allowed(stamp: number, began: number, ended: number): boolean {
    const gone = (write: Write): boolean =>
      this.#writes.some((one) => one.began > write.ended && one.ended < began);
    return this.#writes.some(
      (write) => write.stamp === stamp && write.began < ended && !gone(write),
    );
  }
}

const stampOf = (bytes: Uint8Array): number | null => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, sector);
  const stamp = view.getUint32(0, true);
  for (let at = 4; at < sector; at += 4) if (view.getUint32(at, true) !== stamp) return null;
  return stamp;
};

const stamped = (stamp: number, count: number): Uint8Array => {
  const bytes = new Uint8Array(count * sector);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, stamp, true);
  return bytes;
};

class Client {
  readonly registers = Array.from({ length: sectors }, () => new Register());
  readonly faults: string[] = [];
  readonly counts = {
    read: 0,
    readNow: 0,
    write: 0,
    unmap: 0,
    zero: 0,
    caw: 0,
    miss: 0,
    rewrite: 0,
  };
  readonly #volume: OpenVolume;
  readonly #random: SeededRandom;
  #now = 0;
  #stamps = 0;
  inFlight = 0;

  constructor(volume: OpenVolume, random: SeededRandom) {
    this.#volume = volume;
    this.#random = random;
  }

  act(): void {
    const first = this.#random.below(sectors);
    const aligned = this.#random.chance(0.3);
    const from = aligned ? first - (first % 8) : first;
    const most = Math.min(sectors - from, this.#random.chance(0.5) ? 3 : 40);
    const count = aligned ? Math.min(8, sectors - from) : this.#random.between(1, most);
    const choice = this.#random.below(100);
    if (choice < 5) this.#rewrite(first);
    else if (choice < 35) this.#read(from, count);
    else if (choice < 70) this.#write(from, count);
    else if (choice < 78) this.#zero(from, count, 'unmap');
    else if (choice < 85) this.#zero(from, count, 'zero');
    else this.#compareAndWrite(from, Math.min(count, 9));
  }

  #begin(from: number, count: number, stamp: number): { write: Write; done: Done } {
    const write: Write = { stamp, began: this.#now++, ended: Number.POSITIVE_INFINITY };
    const range = this.registers.slice(from, from + count);
    for (const register of range) register.write(write);
    this.inFlight++;
    const complete = (error: StorageError | null): void => {
      this.inFlight--;
      write.ended = this.#now++;
      if (error === null) return;
      if (error.code !== 'MISCOMPARE') this.faults.push(`unexpected ${error.code}`);
      this.counts.miss++;
      for (const register of range) register.drop(write);
    };
    return { write, done: { complete } };
  }

  #write(from: number, count: number): void {
    this.counts.write++;
    const stamp = ++this.#stamps;
    const data = stamped(stamp, count);
    const { done } = this.#begin(from, count, stamp);
    this.#volume.write(from * sector, data, done, this.#random.chance(0.2));
    data.fill(0xee); // borrowed only until the call returned
  }

  #zero(from: number, count: number, how: 'unmap' | 'zero'): void {
    this.counts[how]++;
    // Zeros cannot be told apart: all of them, the beginning included, have stamp 0.
    const { done } = this.#begin(from, count, 0);
    const mayUnmap = this.#random.chance(0.5);
    if (how === 'unmap') this.#volume.unmap(from * sector, count * sector, done);
    else this.#volume.writeZeroes(from * sector, count * sector, mayUnmap, done);
  }

  #compareAndWrite(from: number, count: number): void {
    this.counts.caw++;
    const seen = new Uint8Array(count * sector);
    if (!this.#volume.readNow(from * sector, seen.length, seen, 0)) return;
    const stamp = ++this.#stamps;
    const data = stamped(stamp, count);
    const { done } = this.#begin(from, count, stamp);
    this.#volume.compareAndWrite(from * sector, seen, data, done);
    seen.fill(0xdd);
    data.fill(0xee);
  }

  /** As flattening does: no value of its own, so registers hear nothing of it. */
  #rewrite(first: number): void {
    this.counts.rewrite++;
    const block = Math.floor(first / 8);
    this.inFlight++;
    rewrite(this.#volume.raw, block, Math.min(4, sectors / 8 - block)).then(
      () => this.inFlight--,
      (error: unknown) => this.faults.push(`a rewrite failed: ${error}`),
    );
  }

  #read(from: number, count: number): void {
    const into = new Uint8Array(count * sector + 64);
    const began = this.#now++;
    if (this.#random.chance(0.4)) {
      this.counts.readNow++;
      if (this.#volume.readNow(from * sector, count * sector, into, 64)) {
        this.#check(from, count, into, began);
      }
      return;
    }
    this.counts.read++;
    this.inFlight++;
    const complete = (error: StorageError | null): void => {
      this.inFlight--;
      if (error !== null) this.faults.push(`unexpected ${error.code}`);
      else this.#check(from, count, into, began);
    };
    this.#volume.read(from * sector, count * sector, into, 64, { complete });
  }

  #check(from: number, count: number, into: Uint8Array, began: number): void {
    const ended = this.#now++;
    for (let index = 0; index < count; index++) {
      const at = 64 + index * sector;
      const stamp = stampOf(into.subarray(at, at + sector));
      if (stamp === null) this.faults.push(`sector ${from + index} is a mixture`);
      else if (stamp === 0)
        continue; // see `final`
      else if (!this.registers[from + index]!.allowed(stamp, began, ended)) {
        this.faults.push(`sector ${from + index} reads ${stamp}`);
      }
    }
    if (into.subarray(0, 64).some((byte) => byte !== 0))
      this.faults.push('wrote outside of `into`');
  }
}

interface How {
  readonly later: boolean;
  readonly writeBack?: boolean;
  readonly spoil?: (volume: OpenVolume) => void;
}

/** What waits for a promise goes on. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function run(
  random: SeededRandom,
  { later, writeBack = false, spoil = () => {} }: How,
): Promise<Client> {
  const blocks = new MemoryBlocks(later ? { random } : {});
  blocks.spaces.set(1, { content: new Map(), reserved: 0 });
  const clock = new ManualClock();
  const cached = new WriteBack({ store: blocks, clock, log: silentLog }, 2 ** 20);
  void cached.setWriteBack(1, writeBack);
  const volume = new OpenVolume(record(), writeBack ? cached : blocks, noSpace);
  spoil(volume);
  const client = new Client(volume, random);
  for (let action = 0; action < 300; action++) {
    client.act();
    while (client.inFlight > 0 && random.chance(0.45)) if (!blocks.step()) break;
    if (random.chance(0.3)) await turn();
    if (client.inFlight > 48) blocks.settle();
    if (random.chance(0.05)) clock.advance(random.between(1, 31_000));
  }
  for (let left = 0; client.inFlight > 0 && left < 1000; left++) {
    blocks.settle();
    await turn();
  }
  if (client.inFlight > 0) client.faults.push('a call never completed');
  if (volume.locks.count > 0) client.faults.push('a lock is left');
  return client;
}

const hows: readonly [string, How][] = [
  ['completing later', { later: true }],
  ['completing at once', { later: false }],
  ['with write-back, the store completing later', { later: true, writeBack: true }],
  ['with write-back, the store completing at once', { later: false, writeBack: true }],
];

for (const [what, how] of hows) {
  test(`random calls in flight, ${what}`, async (t) => {
    const random = new SeededRandom();
    t.log(`seed ${random.seed}`);
    const total = { read: 0, readNow: 0, write: 0, unmap: 0, zero: 0, caw: 0, miss: 0, rewrite: 0 };
    for (let round = 0; round < 60; round++) {
      const client = await run(random, how);
      t.deepEqual(client.faults, [], `seed ${random.seed} round ${round}`);
      for (const key of Object.keys(total) as (keyof typeof total)[]) {
        total[key] += client.counts[key];
      }
    }
    t.log(JSON.stringify(total));
    t.true(total.caw > 100 && total.write > 1000 && total.rewrite > 500);
  });
}

const spoils: readonly [string, (volume: OpenVolume) => void][] = [
  [
    'the locks',
    ({ locks }) => {
      locks.acquire = (first, last, go) => go({ first, last });
      locks.release = () => {};
    },
  ],
  [
    'waiting for changes in flight',
    ({ changes }) => {
      changes.whenNone = (_, go) => go();
    },
  ],
];

for (const [what, spoil] of spoils) {
  test(`without ${what} the registers see it`, async (t) => {
    let faults = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const client = await run(new SeededRandom(seed), { later: true, spoil });
      faults += client.faults.length;
    }
    t.true(faults > 0);
  });
}

test('one call at a time is a byte array', async (t) => {
  const random = new SeededRandom();
  t.log(`seed ${random.seed}`);
  const blocks = new MemoryBlocks();
  blocks.spaces.set(1, { content: new Map(), reserved: 0 });
  const volume = new OpenVolume(record(), blocks, noSpace);
  const model = new Uint8Array(sectors * sector);
  const call = (start: (done: Done) => void): Promise<StorageError | null> =>
    new Promise((resolve) => start({ complete: resolve }));
  for (let action = 0; action < 3000; action++) {
    const from = random.below(sectors);
    const count = random.between(1, sectors - from);
    const [offset, length] = [from * sector, count * sector];
    const data = random.fill(Buffer.alloc(length));
    const choice = random.below(5);
    let error: StorageError | null = null;
    if (choice === 0) {
      error = await call((done) => volume.write(offset, data, done));
      model.set(data, offset);
    } else if (choice === 1) {
      error = await call((done) => volume.unmap(offset, length, done));
      model.fill(0, offset, offset + length);
    } else if (choice === 2) {
      const mayUnmap = random.chance(0.5);
      error = await call((done) => volume.writeZeroes(offset, length, mayUnmap, done));
      model.fill(0, offset, offset + length);
    } else if (choice === 3) {
      const compare = model.slice(offset, offset + length);
      error = await call((done) => volume.compareAndWrite(offset, compare, data, done));
      model.set(data, offset);
    } else {
      const compare = model.slice(offset, offset + length);
      const at = random.below(length);
      compare[at]! ^= 1;
      const miss = await call((done) => volume.compareAndWrite(offset, compare, data, done));
      t.is(miss?.code, 'MISCOMPARE');
      t.is(miss?.offset, at);
    }
    t.is(error, null);
    const into = new Uint8Array(length);
    t.is(await call((done) => volume.read(offset, length, into, 0, done)), null);
    t.is(Buffer.compare(into, model.subarray(offset, offset + length)), 0, `seed ${random.seed}`);
  }
  const whole = new Uint8Array(model.length);
  t.true(volume.readNow(0, whole.length, whole, 0));
  t.is(Buffer.compare(whole, model), 0);
});
