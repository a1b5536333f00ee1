/**
 * Moves extents to other disks while the store is in use: off lost disks (what was there is read
 * from the copy or computed), off disks that drain, and onto a new disk so that zones can be formed.
 *
 * One extent at a time, segment by segment (zones.ts); the table names the new place when all of it
 * is there, durably. A crash before that starts the extent over, one after it goes on with the next.
 * Clients first: while they work, moving takes `share` of the time and rests for what is left.
 */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { limits } from '../limits.ts';
import type { ArrayDisk } from './array.ts';
import { blockBytes, columnBlocks, columnPlace, parityPlace, segmentBytes } from './geometry.ts';
import type { Member } from './member.ts';
import { freeExtent, type Move, misplaced, nextMove, usedExtents } from './placement.ts';
import { DiskState, extentOf, placeOf, type Table } from './table.ts';
import type { Relocation } from './zones.ts';

export interface MoverPorts {
  readonly clock: Clock;
  readonly log: Log;
}

export interface MoveProgress {
  readonly why: Move['why'];
  /** Extents moved since this began, and in all; null: as long as it makes room. */
  readonly done: number;
  readonly total: number | null;
  readonly bytes: number;
  /** At the pace so far; null: not known yet. */
  readonly secondsLeft: number | null;
}

export class Mover {
  readonly #array: ArrayDisk;
  readonly #ports: MoverPorts;
  #running: Promise<void> | null = null;
  #stopped = false;
  #wakeRest: (() => void) | null = null;
  #why: Move['why'] | null = null;
  #done = 0;
  #bytes = 0;
  #begun = 0;
  /** Share of the time that moving takes while clients work. */
  share: number = limits.moveShare;
  /** Whether the log may need what a segment holds. */
  needed: (segment: number) => boolean = () => true;
  /** A disk has left the store: nothing of the store is on it any more. */
  left: (member: Member) => void = () => {};

  constructor(array: ArrayDisk, ports: MoverPorts) {
    this.#array = array;
    this.#ports = ports;
    array.members.onChange(() => this.wake());
  }

  /** Look whether something is to be moved. */
  wake(): void {
    if (this.#running !== null || this.#stopped || this.#array.members.failed !== null) return;
    const next = nextMove(this.#array.members.table);
    if (next === null && !this.#untidy()) return;
    if (next !== null) this.#begin(next.why);
    this.#running = this.#run().finally(() => {
      this.#running = null;
      this.#why = null;
      // What changed while this was ending.
      this.wake();
    });
  }

  /** Null: nothing is being moved. */
  get progress(): MoveProgress | null {
    if (this.#why === null) return null;
    const { rebuild, drain } = misplaced(this.#array.members.table);
    const left = this.#why === 'rebuild' ? rebuild : this.#why === 'drain' ? drain : null;
    const elapsed = this.#ports.clock.now() - this.#begun;
    const pace = this.#done === 0 ? null : elapsed / this.#done / 1000;
    return {
      why: this.#why,
      done: this.#done,
      total: left === null ? null : this.#done + left,
      bytes: this.#bytes,
      secondsLeft: pace === null || left === null ? null : Math.ceil(pace * left),
    };
  }

  /** Ends with the segment that is being copied; the extent starts over next time. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wakeRest?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { members } = this.#array;
    try {
      for (;;) {
        await this.#tidy();
        const chosen = await members.decide((table) => this.#choose(table));
        if (chosen === null) return;
        if (chosen.move.why !== this.#why) this.#begin(chosen.move.why);
        await this.#move(chosen.move, chosen.place);
      }
    } catch (err) {
      // Failed for good, which the log's next write says to everybody; anything else is a bug.
      if (members.failed === null) throw err;
    }
  }

  #begin(why: Move['why']): void {
    this.#why = why;
    this.#done = 0;
    this.#bytes = 0;
    this.#begun = this.#ports.clock.now();
    this.#ports.log.info({ why, ...misplaced(this.#array.members.table) }, 'extents are moved');
  }

  /**
   * The next move and the place that it goes to, which is reserved from now on: a zone that is being formed
   * has its extents before or looks for others after.
   */
  #choose(table: Table): { move: Move; place: number } | null {
    if (this.#stopped) return null;
    const { reserved } = this.#array.zones;
    const move = nextMove(table);
    if (move === null) return null;
    const place = placeOf(move.to, freeExtent(table, move.to, reserved));
    reserved.add(place);
    return { move, place };
  }

  async #move({ zone, index, to }: Move, place: number): Promise<void> {
    const { members, zones } = this.#array;
    const { width } = zones.shape;
    const member = members.at(to);
    const old = members.table.zones[zone * width + index]!;
    if (member === null) {
      zones.reserved.delete(place);
      return;
    }
    const extent = extentOf(place);
    const relocation: Relocation = { zone, index, member, extent, cursor: 0, gate: null };
    zones.relocation = relocation;
    try {
      if (!(await this.#copyAll(relocation))) return;
      await this.#forgetJournals();
      await members.change((table) => moved(table, zone * width + index, place));
      if (!member.alive) return;
      zones.reserved.add(old);
      zones.relocation = null;
      // Writes to the old place may still be under way: until they end nothing else may go there.
      for (let at = 0; at < zones.zoneSegments; at += 1) await zones.quiet(this.#segment(zone, at));
      this.#done += 1;
    } finally {
      zones.relocation = null;
      zones.reserved.delete(place);
      zones.reserved.delete(old);
    }
  }

  #segment(zone: number, at: number): number {
    return zone * this.#array.zones.zoneSegments + at + 1;
  }

  /** False: given up, because of the stop or because the new disk is lost. */
  async #copyAll(relocation: Relocation): Promise<boolean> {
    const { zones, members } = this.#array;
    for (let at = 0; at < zones.zoneSegments; at += 1) {
      if (this.#stopped || !relocation.member.alive) return false;
      const { calls } = this.#array;
      const before = this.#ports.clock.now();
      await this.#copyOne(relocation, at);
      if (members.failed !== null) throw members.failed;
      const took = this.#ports.clock.now() - before;
      await this.#rest(this.#array.calls === calls ? 0 : took * (1 / this.share - 1));
    }
    return relocation.member.alive;
  }

  async #copyOne(relocation: Relocation, at: number): Promise<void> {
    const { zones } = this.#array;
    const segment = this.#segment(relocation.zone, at);
    let open = (): void => {};
    relocation.cursor = at;
    relocation.gate = new Promise((resolve) => {
      open = resolve;
    });
    try {
      await zones.quiet(segment);
      if (this.needed(segment)) await this.#copy(relocation, segment);
    } finally {
      relocation.cursor = at + 1;
      relocation.gate = null;
      open();
    }
  }

  async #copy(relocation: Relocation, segment: number): Promise<void> {
    const { members, zones } = this.#array;
    const { shape } = zones;
    const at = zones.indexOf(segment);
    const bytes =
      parityPlace(shape, at) === relocation.index
        ? await this.#parity(relocation, segment)
        : await this.#column(relocation, segment, at);
    if (bytes === null) return;
    const target = zones.newPlace(relocation, segment);
    await members.put(target.member, target.offset, [bytes], true);
    this.#bytes += bytes.length;
  }

  async #column(relocation: Relocation, segment: number, at: number): Promise<Uint8Array> {
    const { zones, unsealed } = this.#array;
    const { shape } = zones;
    let column = 0;
    if (shape.layout !== 'mirrored') {
      while (columnPlace(shape, at, column) !== relocation.index) column += 1;
    }
    const first = column * shape.chunkBlocks;
    const bytes = Buffer.alloc(columnBlocks(shape, column) * blockBytes);
    const image = unsealed.imageOf(segment);
    if (image === null) await this.#read(segment, first, bytes);
    else bytes.set(image.bytes.subarray(first * blockBytes, first * blockBytes + bytes.length));
    return bytes;
  }

  /** Of a segment without parity yet the journal goes along: null. */
  async #parity(relocation: Relocation, segment: number): Promise<Uint8Array | null> {
    const { unsealed } = this.#array;
    const image = unsealed.imageOf(segment);
    if (image !== null) {
      const data = image.bytes.subarray(0, image.end * blockBytes);
      await unsealed.record(relocation.member, segment, 0, [data]);
      return null;
    }
    const whole = Buffer.alloc(segmentBytes);
    await this.#read(segment, 0, whole);
    return unsealed.parity(whole);
  }

  /** Nothing is healed on the way: the segment's writers wait for us. */
  async #read(segment: number, first: number, into: Uint8Array): Promise<void> {
    const bad = await this.#array.copies.readLenient(segment, first, into, false);
    if (bad === 0) return;
    this.#ports.log.error({ segment, blocks: bad }, 'blocks that no disk can give were not moved');
  }

  /** Records of a segment whose parity was elsewhere since then must not be found when it comes back. */
  async #forgetJournals(): Promise<void> {
    const { members } = this.#array;
    for (const member of members.alive()) {
      if (member.journal === null) continue;
      const { offset, front } = await member.journal.mark();
      await members.put(member, offset, [front], true);
    }
  }

  #rest(ms: number): Promise<void> {
    const { clock } = this.#ports;
    return new Promise((resolve) => {
      if (this.#stopped || ms <= 0) {
        clock.soon(resolve);
        return;
      }
      const cancel = clock.after(ms, resolve);
      this.#wakeRest = () => {
        cancel();
        resolve();
      };
    });
  }

  #untidy(): boolean {
    const { table } = this.#array.members;
    const used = usedExtents(table);
    return table.disks.some((entry, disk) => {
      if (entry === null || used[disk] !== 0) return false;
      return entry.state === DiskState.draining || (entry.state !== DiskState.in && entry.leaves);
    });
  }

  /** Disks that nothing is on any more are empty, or leave. */
  async #tidy(): Promise<void> {
    if (!this.#untidy()) return;
    const { members } = this.#array;
    const since = this.#ports.clock.wall();
    const gone: number[] = [];
    await members.change((table) => {
      const used = usedExtents(table);
      gone.length = 0;
      const disks = table.disks.map((entry, disk) => {
        if (entry === null || entry.state === DiskState.in || used[disk] !== 0) return entry;
        if (entry.leaves) gone.push(disk);
        if (entry.leaves) return null;
        return entry.state === DiskState.out ? entry : { ...entry, state: DiskState.empty, since };
      });
      return { ...table, disks };
    });
    for (const member of members.all()) {
      if (!gone.includes(member.index)) continue;
      members.leave(member);
      this.left(member);
    }
  }
}

function moved(table: Table, at: number, place: number): Table {
  const zones = table.zones.slice();
  zones[at] = place;
  return { ...table, zones };
}
