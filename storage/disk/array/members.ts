/**
 * The disks of a store and the table in force. What is lost is recorded before anything else is
 * told: a write that a lost disk did not get is answered only when the table on all others says that
 * the disk is out, so that no later opening can take it for good.
 *
 * - Changes of the table happen one at a time, each with a higher version, and count when every disk
 *   that is there has them durably. A disk that cannot take the table is lost as well.
 * - Where the layout does not bear a loss, nothing is recorded and the store fails closed: every
 *   later write is refused, and the disk, should it recover, still has all that was acknowledged.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../../base/clock.ts';
import { diskFailure, StorageError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { Serial } from '../../base/serial.ts';
import type { Member } from './member.ts';
import { unbearable } from './placement.ts';
import { DiskState, isConsistent, type Table, writeTable } from './table.ts';

export interface MembersPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly storeId: Uint8Array;
  /** For people. */
  readonly name: string;
}

export class Members {
  readonly #ports: MembersPorts;
  readonly #byIndex = new Map<number, Member>();
  readonly #serial = new Serial();
  /** Lost disks that are being told so. */
  readonly #told = new Set<string>();
  #table: Table;
  /** Versions that were tried and not seen through count as used. */
  #version: number;
  #failed: StorageError | null = null;
  #losing: Promise<void> | null = null;
  #changes: (() => void)[] = [];

  constructor(ports: MembersPorts, table: Table, members: readonly Member[]) {
    this.#ports = ports;
    this.#table = table;
    this.#version = table.version;
    for (const member of members) this.#byIndex.set(member.index, member);
  }

  get table(): Table {
    return this.#table;
  }

  /** Why nothing is written any more, or null. */
  get failed(): StorageError | null {
    return this.#failed;
  }

  /** Resolves when every loss so far is recorded; null when all are. */
  get losing(): Promise<void> | null {
    return this.#losing;
  }

  /** The disk with that number, if it is there. */
  at(index: number): Member | null {
    const member = this.#byIndex.get(index);
    return member?.alive ? member : null;
  }

  /** Those that are there. */
  alive(): Member[] {
    return [...this.#byIndex.values()].filter((member) => member.alive);
  }

  /** Those opened or added, lost ones included. */
  all(): Member[] {
    return [...this.#byIndex.values()];
  }

  join(member: Member): void {
    this.#byIndex.set(member.index, member);
  }

  leave(member: Member): void {
    member.alive = false;
    if (this.#byIndex.get(member.index) === member) this.#byIndex.delete(member.index);
  }

  /** Called after every change of the table. */
  onChange(heard: () => void): void {
    this.#changes.push(heard);
  }

  /**
   * Write to one disk. Resolves also when the disk is lost by that, after the loss was recorded; the
   * others have to have it then. Rejects when the store has failed.
   */
  async put(
    member: Member,
    offset: number,
    data: readonly Uint8Array[],
    durable: boolean,
  ): Promise<boolean> {
    if (!member.alive) return false;
    try {
      await member.disk.write(offset, data, durable);
      if (member.alive) return true;
    } catch (error) {
      await this.lost(member, error);
    }
    return false;
  }

  /** As `put`, a sync. */
  async sync(member: Member): Promise<void> {
    if (!member.alive) return;
    try {
      await member.disk.sync();
    } catch (error) {
      await this.lost(member, error);
    }
  }

  /** The disk is not used any more. Resolves when that is recorded; rejects when it cannot be borne. */
  lost(member: Member, cause: unknown): Promise<void> {
    if (member.alive) {
      member.alive = false;
      member.failure = diskFailure(member.disk.name, cause);
      member.journal?.release();
      const facts = { disk: member.disk.name, id: member.id, err: member.failure };
      this.#ports.log.error(facts, 'a disk is lost');
      const recorded = this.change((table) => table);
      const losing = recorded.finally(() => {
        if (this.#losing === losing) this.#losing = null;
      });
      losing.catch(() => {});
      this.#losing = losing;
    }
    if (this.#failed !== null) return Promise.reject(this.#failed);
    return this.#losing ?? Promise.resolve();
  }

  /** Make the table what `edit` makes of it, and every disk that is lost `out`. */
  change(edit: (table: Table) => Table): Promise<void> {
    return this.#serial.run(() => this.#change(edit));
  }

  /** Decide something by the table while no change of it is under way. */
  decide<T>(how: (table: Table) => T): Promise<T> {
    return this.#serial.run(async () => how(this.#table));
  }

  async #change(edit: (table: Table) => Table): Promise<void> {
    if (this.#failed !== null) throw this.#failed;
    const edited = edit(this.#table);
    for (;;) {
      const zones = unbearable(edited, (disk) => this.#isLost(edited, disk));
      if (zones > 0) throw this.#fail(zones);
      this.#version += 1;
      const next = { ...this.#withLosses(edited), version: this.#version };
      assert(isConsistent(next), 'no extent is used twice');
      if (await this.#write(next)) {
        this.#table = next;
        for (const heard of this.#changes) heard();
        return;
      }
    }
  }

  #isLost(table: Table, disk: number): boolean {
    return table.disks[disk]?.state === DiskState.out || this.at(disk) === null;
  }

  #withLosses(table: Table): Table {
    const since = this.#ports.clock.wall();
    const disks = table.disks.map((entry, index) => {
      if (entry === null || entry.state === DiskState.out || this.at(index) !== null) return entry;
      return { ...entry, state: DiskState.out, since };
    });
    return { ...table, disks };
  }

  /** False: a disk was lost on the way. */
  async #write(table: Table): Promise<boolean> {
    const { storeId, log } = this.#ports;
    let whole = true;
    for (const member of this.all()) if (!member.alive) this.#bidFarewell(member, table);
    const writes = this.alive().map(async (member) => {
      try {
        await writeTable(member.disk, storeId, table);
      } catch (error) {
        whole = false;
        member.alive = false;
        member.failure = diskFailure(member.disk.name, error);
        member.journal?.release();
        log.error({ disk: member.disk.name, id: member.id, err: error }, 'a disk is lost');
      }
    });
    await Promise.all(writes);
    if (this.alive().length === 0) throw this.#fail(0);
    return whole;
  }

  /** A lost disk is told that it is stale, as far as it still listens; nobody waits for it. */
  #bidFarewell(member: Member, table: Table): void {
    const { id } = member;
    if (this.#told.has(id)) return;
    this.#told.add(id);
    writeTable(member.disk, this.#ports.storeId, table)
      .catch(() => {})
      .finally(() => this.#told.delete(id));
  }

  #fail(zones: number): StorageError {
    const lost = this.all().filter((member) => !member.alive);
    const names = lost.map((member) => member.disk.name).join(', ');
    const what = zones === 0 ? 'no disk is left' : `${zones} zones of the store are on lost disks`;
    const message = `${this.#ports.name}: ${what} (lost: ${names}); nothing more is written`;
    const cause = lost.at(-1)?.failure;
    this.#failed ??= new StorageError('DISK_FAILED', message, { cause });
    return this.#failed;
  }
}
