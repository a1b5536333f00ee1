/**
 * Brings dirty blocks to the store: the oldest first, chunk by chunk, many at once; at once for whom
 * it is asked for.
 *
 * - All that is dirty of a chunk goes together, each run of neighbours as one write, so that what was
 *   written whole becomes durable whole.
 * - The store keeps the order in which it was given things, so a later content wins there as well.
 * - What could not be written stays dirty and is tried again, unless the disk has failed: then nothing
 *   is given to the store any more.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { blockBytes, type Claims, type Done } from '../map/blocks.ts';
import type { Join } from './join.ts';
import { limits } from './limits.ts';
import { bits, type Chunk, lowestRun, type Memory, type Passage } from './write-back-memory.ts';

export interface FlusherPorts {
  readonly store: Claims;
  readonly memory: Memory;
  readonly clock: Clock;
  readonly log: Log;
  /** Nothing of the chunk is left. */
  readonly emptied: (chunk: Chunk) => void;
}

export class Flusher {
  readonly #ports: FlusherPorts;
  /** Dirty chunks, the longest dirty first. */
  readonly #queue = new Set<Chunk>();
  /** Those of them that somebody waits for. */
  readonly #urgent = new Set<Chunk>();
  readonly #scratch = new Uint8Array(limits.atomicBytes);
  #dirty = 0;
  #flying = 0;
  #draining = false;
  #pumping = false;
  #turn = false;
  #cancel: (() => void) | null = null;
  /** Before this time nothing is tried again. */
  #restUntil = 0;
  failure: StorageError | null = null;
  /** The last attempt was refused: memory takes nothing more until one succeeds. */
  refused = false;
  /** Blocks given to the store, since open. */
  written = 0;

  constructor(ports: FlusherPorts) {
    this.#ports = ports;
  }

  get dirtyBlocks(): number {
    return this.#dirty;
  }

  /** The blocks of `mask` hold something new, and room was claimed for it. */
  soiled(chunk: Chunk, mask: number): void {
    const fresh = mask & ~chunk.dirty;
    if (chunk.dirty === 0) {
      chunk.since = this.#ports.clock.now();
      this.#queue.add(chunk);
    }
    chunk.dirty |= mask;
    this.#dirty += bits(fresh);
  }

  /** Bring what is dirty of the chunk to the store; `join` ends when all that is here now is durable. */
  hurry(chunk: Chunk, join: Join): void {
    for (const passage of chunk.passages) passage.told.push(join.add());
    if (chunk.dirty === 0) return;
    chunk.wanted.push(join.add());
    this.#urgent.add(chunk);
  }

  /** Something has become dirty: mostly nothing is due before the timer says so. */
  poke(): void {
    if (this.#cancel === null || this.#dirty > this.#ports.memory.slots / 2) this.pump();
  }

  /** Look whether something is due. */
  pump(): void {
    if (this.#pumping || this.failure !== null) return;
    this.#pumping = true;
    if (this.#dirty > this.#ports.memory.slots / 2) this.#draining = true;
    const before = this.written;
    while (this.#flying < limits.writeBackFlightBlocks) {
      const chunk = this.#next();
      if (chunk === null) break;
      if (this.written - before >= limits.writeBackTurnBlocks) {
        this.#again();
        break;
      }
      this.submit(chunk);
    }
    this.#pumping = false;
    this.#arm();
  }

  /** The rest when others had their turn. */
  #again(): void {
    if (this.#turn) return;
    this.#turn = true;
    this.#ports.clock.soon(() => {
      this.#turn = false;
      this.pump();
    });
  }

  #next(): Chunk | null {
    const urgent = this.#urgent.values().next().value;
    if (urgent !== undefined) return urgent;
    const oldest = this.#queue.values().next().value;
    if (oldest === undefined) return null;
    const now = this.#ports.clock.now();
    if (now < this.#restUntil) return null;
    // A quarter less than half, so that it comes in large groups.
    if (this.#dirty <= this.#ports.memory.slots * 0.375) this.#draining = false;
    // Those that are due soon go with the one that is due.
    const due = oldest.since + limits.writeBackAgeMs - limits.writeBackSlackMs <= now;
    return this.#draining || due ? oldest : null;
  }

  /** A timer that is set may fire early, because the oldest went: that costs one look. */
  #arm(): void {
    if (this.#cancel !== null) return;
    const oldest = this.#queue.values().next().value;
    if (oldest === undefined || this.failure !== null) return;
    const { clock } = this.#ports;
    const due = Math.max(oldest.since + limits.writeBackAgeMs, this.#restUntil);
    this.#cancel = clock.after(Math.max(due - clock.now(), 1), () => {
      this.#cancel = null;
      this.pump();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  /** Give what is dirty of the chunk to the store now. */
  submit(chunk: Chunk): void {
    const told = chunk.wanted;
    chunk.wanted = [];
    const passages: Passage[] = [];
    for (let rest = chunk.dirty; rest !== 0; ) {
      const run = lowestRun(rest);
      rest &= ~run;
      const pages = passages.length === 0 ? chunk.pages : 0;
      const joins = passages.length === 0 ? told : told.map((join) => join.add());
      passages.push(this.#begin(chunk, run, pages, joins));
    }
    for (const passage of passages) this.#write(passage);
  }

  #write(passage: Passage): void {
    const { store, memory } = this.#ports;
    const { chunk, mask, slots, claims, pages } = passage;
    slots.forEach((slot, index) => {
      memory.copy(slot, this.#scratch, index * blockBytes);
    });
    const data = this.#scratch.subarray(0, slots.length * blockBytes);
    const block = chunk.first + Math.log2(mask & -mask);
    this.written += slots.length;
    store.redeem(
      { ref: chunk.ref, block, data, blocks: bits(claims), pages },
      { complete: (error) => this.#ended(passage, error, true) },
    );
  }

  /** What is in memory of `mask` gives way to what the caller now gives to the store itself. */
  giveWay(chunk: Chunk, mask: number): Done {
    const blocks = mask & chunk.held;
    const last = (chunk.dirty & ~blocks) === 0;
    // Who waits for what was here waits for what replaces it: should that fail, this is what there is.
    const told = last ? chunk.wanted.splice(0) : chunk.wanted.map((join) => join.add());
    const passage = this.#begin(chunk, blocks, last ? chunk.pages : 0, told);
    return { complete: (error) => this.#ended(passage, error, false) };
  }

  #begin(chunk: Chunk, mask: number, pages: number, told: Join[]): Passage {
    const { memory } = this.#ports;
    const slots: number[] = [];
    for (let bit = 0; mask >> bit !== 0; bit += 1) {
      if (mask & (1 << bit)) slots.push(chunk.slots[bit]!);
    }
    const versions = slots.map((slot) => memory.version[slot]!);
    const passage = { chunk, mask, slots, versions, claims: mask & chunk.claims, pages, told };
    for (const slot of slots) memory.flying[slot]! += 1;
    this.#dirty -= bits(chunk.dirty & mask);
    this.#flying += slots.length;
    chunk.dirty &= ~mask;
    chunk.claims &= ~mask;
    chunk.pages -= pages;
    chunk.passages.add(passage);
    if (chunk.dirty === 0) {
      this.#queue.delete(chunk);
      this.#urgent.delete(chunk);
    }
    return passage;
  }

  /** `own`: what was written is what is in memory; else something else has replaced it. */
  #ended(passage: Passage, error: StorageError | null, own: boolean): void {
    const { chunk } = passage;
    chunk.passages.delete(passage);
    this.#flying -= passage.slots.length;
    const again = error !== null && error.code !== 'NOT_FOUND' ? this.#leave(passage) : 0;
    let index = 0;
    for (let bit = 0; passage.mask >> bit !== 0; bit += 1) {
      if (!(passage.mask & (1 << bit))) continue;
      this.#settle(passage, bit, index, own || error !== null);
      index += 1;
    }
    if (error === null) this.refused = false;
    this.#release(passage, again, error === null && own);
    if (chunk.held === 0 && chunk.passages.size === 0) this.#ports.emptied(chunk);
    if (error !== null) this.#troubled(error);
    for (const done of passage.told) done.complete(error);
    if (this.#flying <= limits.writeBackFlightBlocks / 2) this.pump();
  }

  /** It was not written: what did not change meanwhile is dirty again; returns the mask of that. */
  #leave({ chunk, mask, slots, versions }: Passage): number {
    const { memory } = this.#ports;
    let again = 0;
    let index = 0;
    for (let bit = 0; mask >> bit !== 0; bit += 1) {
      if (!(mask & (1 << bit))) continue;
      const slot = slots[index]!;
      const same = chunk.slots[bit] === slot && memory.version[slot] === versions[index];
      if (same) again |= 1 << bit;
      index += 1;
    }
    if (again !== 0) this.soiled(chunk, again);
    return again;
  }

  #settle(passage: Passage, bit: number, index: number, keepChanged: boolean): void {
    const { memory } = this.#ports;
    const { chunk } = passage;
    const slot = passage.slots[index]!;
    memory.flying[slot]! -= 1;
    const current = chunk.slots[bit] === slot;
    const replaced = !keepChanged && memory.version[slot] === passage.versions[index];
    if (current && replaced) this.#clean(chunk, 1 << bit);
    const dirty = (chunk.dirty & (1 << bit)) !== 0;
    if (current && !dirty && (memory.flying[slot] === 0 || replaced)) {
      chunk.slots[bit] = 0;
      chunk.held &= ~(1 << bit);
    }
    if (chunk.slots[bit] !== slot && memory.flying[slot] === 0) memory.give(slot);
  }

  /** Of two that replaced it one failed and made it dirty again, the other did not. */
  #clean(chunk: Chunk, mask: number): void {
    if ((chunk.dirty & mask) === 0) return;
    chunk.dirty &= ~mask;
    this.#dirty -= bits(mask);
    this.#ports.store.release(bits(chunk.claims & mask), 0);
    chunk.claims &= ~mask;
    if (chunk.dirty !== 0) return;
    this.#queue.delete(chunk);
    this.#urgent.delete(chunk);
    this.#ports.store.release(0, chunk.pages);
    chunk.pages = 0;
    for (const join of chunk.wanted.splice(0)) join.complete(null);
  }

  /** Claims that the store did not redeem go back to what is dirty again, or are given up. */
  #release(passage: Passage, again: number, redeemed: boolean): void {
    if (redeemed) return;
    const { chunk, claims, pages } = passage;
    chunk.claims |= claims & again;
    const kept = again !== 0 && chunk.pages === 0 ? pages : 0;
    chunk.pages += kept;
    this.#ports.store.release(bits(claims & ~again), pages - kept);
  }

  #troubled(error: StorageError): void {
    const { clock } = this.#ports;
    if (error.code === 'NOT_FOUND') return;
    this.#restUntil = clock.now() + limits.writeBackRetryMs;
    if (error.code === 'DISK_FAILED') this.fail(error);
    else this.refused = true;
  }

  /** The disk has failed: what is dirty is lost. */
  fail(error: StorageError): void {
    if (this.failure !== null) return;
    this.failure = error;
    this.stop();
    if (this.#dirty > 0) {
      const text = 'acknowledged blocks of disks with write-back cannot be written and are lost';
      this.#ports.log.error({ err: error, blocks: this.#dirty }, text);
    }
    for (const chunk of this.#queue) {
      for (const done of chunk.wanted.splice(0)) done.complete(error);
    }
    this.#urgent.clear();
  }

  /** The chunk's content is not wanted any more. */
  discard(chunk: Chunk): void {
    const { store } = this.#ports;
    this.#queue.delete(chunk);
    this.#urgent.delete(chunk);
    this.#dirty -= bits(chunk.dirty);
    store.release(bits(chunk.claims), chunk.pages);
    [chunk.dirty, chunk.claims, chunk.pages] = [0, 0, 0];
    const gone = new StorageError('NOT_FOUND', `there is no space ${chunk.ref}`);
    for (const done of chunk.wanted.splice(0)) done.complete(gone);
    chunk.slots.forEach((slot, bit) => {
      if (slot === 0) return;
      chunk.slots[bit] = 0;
      if (this.#ports.memory.flying[slot] === 0) this.#ports.memory.give(slot);
    });
    chunk.held = 0;
    if (chunk.passages.size === 0) this.#ports.emptied(chunk);
  }
}
