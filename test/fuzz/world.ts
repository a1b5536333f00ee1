/**
 * The world of one fuzz round: a server over memory with small buffers, LUNs that are each filled
 * with a byte of their own, and a clock without waiting. Buffers that the target gives back or takes
 * anew are filled with poison, so that stale bytes in an answer can be told from its own.
 */

import { DelayFilter, FaultFilter } from '../../target/filters/index.ts';
import { type Clock, IscsiServer, RamDevice } from '../../target/index.ts';
import { ScratchPool } from '../../target/scsi/scratch.ts';
import { BufferPool } from '../../target/session/buffers.ts';
import { ArenaPool, type Output } from '../../target/session/output.ts';
import type { SeededRandom } from '../kit/random.ts';

/** Bytes that the generator never sends six of in a row (`Generator.data`). */
export const Mark = {
  first: 0xa1,
  second: 0xa2,
  /** Of targets that the fuzzing initiator may not use. */
  secret: 0xa3,
  poison: 0xdb,
} as const;
export type Mark = (typeof Mark)[keyof typeof Mark];

const RUN = 6;
const runs = new Map(Object.values(Mark).map((mark) => [mark, Buffer.alloc(RUN, mark)] as const));

/** Where `mark` stands six times in a row in `bytes`, or -1. */
export function markAt(bytes: Buffer, mark: Mark): number {
  return bytes.indexOf(runs.get(mark)!);
}

export const OPEN = 'iqn.2026-11.test:open';
export const HIDDEN = 'iqn.2026-11.test:hidden';
export const PROVED = 'iqn.2026-11.test:proved';
export const CHAP_SECRET = 'a secret of 16 c';
export const DEVICE_BYTES = 128 * 1024;

const PENDING_MAX = 1_000_000;

/** Time that passes when told, and `soon` that runs when told: a round needs no event loop. */
export class FuzzClock implements Clock {
  #now = 1000;
  #timers: { readonly at: number; readonly fire: () => void }[] = [];
  #soon: (() => void)[] = [];

  now(): number {
    return this.#now;
  }
  wall(): number {
    return 1_800_000_000_000 + this.#now;
  }
  after(delayMs: number, fire: () => void): () => void {
    const timer = { at: this.#now + delayMs, fire };
    this.#timers.push(timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }
  soon(fire: () => void): void {
    this.#soon.push(fire);
  }

  /** Runs what waits for `soon`, and what that asks for. Throws when it goes on without end. */
  settle(): void {
    for (let ran = 0; this.#soon.length !== 0; ran++) {
      if (ran > PENDING_MAX) throw new Error('work that never comes to rest');
      const all = this.#soon;
      this.#soon = [];
      for (const fire of all) fire();
    }
  }

  /** Time passes; timers fire in order, also those set meanwhile. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      this.settle();
      let next: { readonly at: number; readonly fire: () => void } | undefined;
      for (const timer of this.#timers) {
        if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
      }
      if (next === undefined) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
    this.#now = end;
  }
}

export interface FuzzWorld {
  readonly server: IscsiServer;
  readonly clock: FuzzClock;
  /** Each with the byte it was filled with. */
  readonly devices: readonly (readonly [Mark, RamDevice])[];
  readonly slow: DelayFilter;
}

/** The designator of the LUN that is filled with `mark`; whoever knows it may name it in a copy. */
export function naaOf(mark: Mark): Uint8Array {
  return new Uint8Array(16).fill(0x60).fill(mark & 0x0f, 8);
}

function filled(
  mark: Mark,
  capabilities: ConstructorParameters<typeof RamDevice>[0]['capabilities'],
) {
  const naa = naaOf(mark);
  const device = new RamDevice({
    bytes: DEVICE_BYTES,
    identity: { naa, serial: `FUZZ${mark}` },
    capabilities: capabilities ?? {},
  });
  device.write(0, new Uint8Array(DEVICE_BYTES).fill(mark), false, { complete: () => {} });
  return device;
}

/** `clock` of its own unless a real one is given (sockets). */
export function makeWorld(random: SeededRandom, real: Clock | null = null): FuzzWorld {
  const clock = new FuzzClock();
  const time = real ?? clock;
  // Small buffers make every "does not fit" happen; the relations of limits.ts still hold.
  const server = new IscsiServer({
    clock: time,
    limits: {
      readPieceBytes: 8192,
      arenaBytes: 12 * 1024,
      heldBytes: 24 * 1024,
      heldBytesStop: 64 * 1024,
    },
  });
  const first = filled(Mark.first, {
    atomicBytes: 65_536,
    removable: random.chance(0.3),
    sanitize: random.chance(0.1),
  });
  const second = filled(Mark.second, { writeBack: true, readOnly: random.chance(0.1) });
  const faulty = new FaultFilter(second);
  if (random.chance(0.5)) {
    const code = random.pick(['mediumError', 'writeError', 'noSpace', 'busy', 'failed'] as const);
    faulty.add({ code, skip: random.below(4), every: random.between(1, 4) });
  }
  const slow = new DelayFilter(faulty, { clock: time, delayMs: real === null ? 700 : 1 });
  const secrets = [filled(Mark.secret, {}), filled(Mark.secret, {})];
  const open = server.addTarget({ name: OPEN, access: () => 'read-write' });
  open.scsi.add(0, first);
  open.scsi.add(1, slow);
  server.addTarget({ name: HIDDEN, access: () => 'none' }).scsi.add(0, secrets[0]!);
  const policy = { user: (name: string) => (name === 'user' ? { secret: CHAP_SECRET } : null) };
  const proved = server.addTarget({ name: PROVED, access: () => 'read-write', chap: () => policy });
  proved.scsi.add(0, secrets[1]!);
  const devices = [
    [Mark.first, first],
    [Mark.second, second],
    [Mark.secret, secrets[0]!],
    [Mark.secret, secrets[1]!],
  ] as const;
  return { server, clock, devices, slow };
}

/** Every device holds what it may: no poison, nothing of another LUN; a secret one is untouched. */
export function checkDevices(world: FuzzWorld): void {
  const bytes = Buffer.alloc(DEVICE_BYTES);
  for (const [own, device] of world.devices) {
    device.readNow(0, DEVICE_BYTES, bytes, 0);
    for (const mark of Object.values(Mark)) {
      if (mark === own) continue;
      const at = markAt(bytes, mark);
      if (at >= 0) throw new Error(`LUN ${own.toString(16)} holds ${mark.toString(16)} at ${at}`);
    }
    if (own !== Mark.secret) continue;
    if (!bytes.equals(untouched)) throw new Error('a LUN that nobody may use was written');
  }
}
const untouched = Buffer.alloc(DEVICE_BYTES, Mark.secret);

let poisoned = false;

/** From now on every pool of this process hands out and takes back poison. */
export function poisonPools(): void {
  if (poisoned) return;
  poisoned = true;
  const { take, give } = BufferPool.prototype;
  BufferPool.prototype.take = function (bytes) {
    return take.call(this, bytes).fill(Mark.poison);
  };
  BufferPool.prototype.give = function (buffer) {
    give.call(this, buffer.fill(Mark.poison));
  };
  const arenaTake = ArenaPool.prototype.take;
  const arenaGive = ArenaPool.prototype.give;
  ArenaPool.prototype.take = function () {
    return arenaTake.call(this).fill(Mark.poison) as Output['bytes'];
  };
  ArenaPool.prototype.give = function (arena) {
    arenaGive.call(this, arena.fill(Mark.poison));
  };
  const scratchTake = ScratchPool.prototype.take;
  ScratchPool.prototype.take = function (ready) {
    scratchTake.call(this, (buffer) => ready(buffer.fill(Mark.poison)));
  };
}
