/**
 * An area that every disk has at the same place, all written before a write is told: the Directory
 * and the superblocks. Any one disk has all that was acknowledged.
 *
 * After a crash the copies may differ in what was being written. Before anything else is read, the
 * one that ranks highest is copied over the others (`align`).
 */
import assert from 'node:assert/strict';
import { StorageError } from '../../base/errors.ts';
import type { Disk, Redundancy } from '../disk.ts';
import type { Area } from '../label.ts';
import { Slice } from '../slice.ts';
import { segmentBytes } from './geometry.ts';
import type { Member } from './member.ts';
import type { Members } from './members.ts';
import { all } from './unsealed.ts';

export class Replicated implements Disk {
  readonly name: string;
  readonly size: number;
  readonly allocatesOnWrite = false;
  readonly redundancy: Redundancy;
  readonly #members: Members;
  readonly #offset: number;
  #gate: Promise<unknown> | null = null;
  #writing = 0;
  #quiet: (() => void) | null = null;

  constructor(name: string, members: Members, area: Area) {
    this.name = name;
    this.size = area.length;
    this.#members = members;
    this.#offset = area.offset;
    this.redundancy = {
      recover: (offset, into, good) => this.#recover(offset, into, good),
      sealed: () => {},
      settle: (offset, bytes) => this.write(offset, [bytes], true),
      audit: async () => 0,
    };
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#check(offset, into.length);
    let failure: unknown = new StorageError('MEDIUM_ERROR', `${this.name}: no disk is left`);
    for (const member of this.#members.alive()) {
      try {
        await member.disk.read(this.#offset + offset, into);
        return;
      } catch (error) {
        member.readErrors += 1;
        failure = error;
      }
    }
    throw failure;
  }

  async write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    this.#check(
      offset,
      data.reduce((sum, part) => sum + part.length, 0),
    );
    while (this.#gate !== null) await this.#gate;
    const { failed } = this.#members;
    if (failed !== null) throw failed;
    this.#writing += 1;
    try {
      await this.#write(offset, data, durable);
    } finally {
      this.#writing -= 1;
      if (this.#writing === 0) this.#quiet?.();
    }
  }

  async #write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    const puts = this.#members
      .alive()
      .map((member) => this.#members.put(member, this.#offset + offset, data, durable));
    await all(puts);
    if (this.#members.losing !== null) await this.#members.losing;
    if (this.#members.failed !== null) throw this.#members.failed;
  }

  /** Do `work` while nobody writes here. */
  async still<T>(work: () => Promise<T>): Promise<T> {
    while (this.#gate !== null) await this.#gate;
    const working = this.#when().then(work);
    const gate = working.then(nothing, nothing).then(() => {
      this.#gate = null;
    });
    this.#gate = gate;
    return await working;
  }

  async #when(): Promise<void> {
    while (this.#writing > 0) {
      await new Promise<void>((resolve) => {
        this.#quiet = resolve;
      });
    }
  }

  async sync(): Promise<void> {
    await all(this.#members.alive().map((member) => this.#members.sync(member)));
    if (this.#members.failed !== null) throw this.#members.failed;
  }

  /** The disks are their owner's to close. */
  async close(): Promise<void> {}

  async #recover(
    offset: number,
    into: Uint8Array,
    good: (bytes: Uint8Array) => boolean,
  ): Promise<boolean> {
    for (const member of this.#members.alive()) {
      try {
        await member.disk.read(this.#offset + offset, into);
      } catch {
        member.readErrors += 1;
        continue;
      }
      if (!good(into)) continue;
      await this.write(offset, [into], true);
      return true;
    }
    return false;
  }

  /** Make all copies what the one of the highest rank is; `rank` reads a copy alone. */
  async align(rank: (copy: Disk) => Promise<number>): Promise<void> {
    const members = this.#members.alive();
    if (members.length < 2) return;
    let best: Member | null = null;
    let highest = Number.NEGATIVE_INFINITY;
    for (const member of members) {
      const reached = await rank(new Slice(member.disk, this.#offset, this.size));
      if (reached <= highest) continue;
      highest = reached;
      best = member;
    }
    assert(best !== null);
    for (const member of members) if (member !== best) await this.copy(best, member);
  }

  /** Of each block that differs. */
  async copy(from: Member, to: Member): Promise<void> {
    const source = Buffer.alloc(segmentBytes);
    const target = Buffer.alloc(segmentBytes);
    for (let at = 0; at < this.size; at += segmentBytes) {
      await lenient(from.disk, this.#offset + at, source);
      await lenient(to.disk, this.#offset + at, target);
      if (source.equals(target)) continue;
      await this.#members.put(to, this.#offset + at, [source], true);
    }
  }

  #check(offset: number, length: number): void {
    assert(offset >= 0 && offset + length <= this.size, 'a call lies within its area');
  }
}

const nothing = (): void => {};

/** What cannot be read is zeros: no record of ours parses from them. */
async function lenient(disk: Disk, offset: number, into: Buffer): Promise<void> {
  try {
    await disk.read(offset, into);
    return;
  } catch {
    // Piece by piece: the rest is good.
  }
  for (let at = 0; at < into.length; at += 4096) {
    const block = into.subarray(at, at + 4096);
    await disk.read(offset + at, block).catch(() => block.fill(0));
  }
}
