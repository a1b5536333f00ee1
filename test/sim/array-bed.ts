/**
 * Several simulated disks under one store: made, opened, crashed, with disks lost. All disks write
 * one trace, in the order in which things happened on any of them.
 */
import { pause } from '#storage/base/clock.ts';
import { StorageError } from '../../storage/base/errors.ts';
import type { ArrayDisk } from '../../storage/disk/array/array.ts';
import type { Layout } from '../../storage/disk/array/geometry.ts';
import type { Member } from '../../storage/disk/array/member.ts';
import type { Mover } from '../../storage/disk/array/mover.ts';
import type { ArrayPorts, LabelledDisk } from '../../storage/disk/array/open.ts';
import type { Disk } from '../../storage/disk/disk.ts';
import type { BlocksOptions, Store } from '../../storage/map/open.ts';
import { SimClock } from './clock.ts';
import { type CrashMode, type Image, SimDisk } from './disk.ts';
import { SimRandom } from './random.ts';
import { type Tagged, TaggedTrace } from './replay.ts';
import { smallStore } from './store-load.ts';

export const mebibyte = 1024 * 1024;
export const diskBytes = 64 * mebibyte;

/** The software under test: ours, or a copy of it with a fault planted. */
export interface ArraySoftware {
  readonly map: typeof import('../../storage/map/open.ts');
  readonly open: typeof import('../../storage/disk/array/open.ts');
  readonly label: typeof import('../../storage/disk/label.ts');
  readonly superblock: typeof import('../../storage/log/superblock.ts');
  readonly mover: typeof import('../../storage/disk/array/mover.ts');
  readonly change: typeof import('../../storage/disk/array/change.ts');
}

export async function ourSoftware(directory = '../../storage'): Promise<ArraySoftware> {
  return {
    map: await import(`${directory}/map/open.ts`),
    open: await import(`${directory}/disk/array/open.ts`),
    label: await import(`${directory}/disk/label.ts`),
    superblock: await import(`${directory}/log/superblock.ts`),
    mover: await import(`${directory}/disk/array/mover.ts`),
    change: await import(`${directory}/disk/array/change.ts`),
  };
}

/** Open the store on these disks; one without a label is no part of it. */
export async function openStore(
  software: ArraySoftware,
  disks: readonly Disk[],
  ports: ArrayPorts,
  options: BlocksOptions,
  opened: (array: ArrayDisk) => void = () => {},
): Promise<Store> {
  const labelled: LabelledDisk[] = [];
  for (const disk of disks) {
    const label = await software.label.readLabel(disk, () => {});
    if (label !== null) labelled.push({ disk, label });
  }
  if (labelled.length === 0) throw new StorageError('INVALID', 'no disk has a label');
  const { array } = await software.open.openArray('array', labelled, ports);
  opened(array);
  await array.superblocks.align(async (copy) => {
    try {
      return (await software.superblock.readSuperblock(copy)).superblock.sequence;
    } catch {
      return -1;
    }
  });
  const { log } = ports;
  return await software.map.openBlocks({ disk: array, ...ports }, { ...options, log });
}

export interface BedOptions {
  readonly software: ArraySoftware;
  readonly seed?: number;
  /** By disk; undefined: a blank one. */
  readonly images?: readonly (Image | undefined)[];
  readonly disks?: number;
  readonly slowMs?: number;
}

export class ArrayBed {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly disks: SimDisk[];
  readonly log: { level: string; facts: object; message: string }[] = [];
  readonly #software: ArraySoftware;
  readonly #slowMs: number;
  array: ArrayDisk | null = null;
  mover: Mover | null = null;
  store: Store | null = null;

  constructor(options: BedOptions) {
    const { images = [], slowMs = 2, seed = 1 } = options;
    this.#software = options.software;
    this.#slowMs = slowMs;
    this.random = new SimRandom(seed);
    const count = options.disks ?? images.length;
    this.disks = Array.from({ length: count }, (_, index) => this.#disk(images[index]));
  }

  #disk(image: Image | undefined): SimDisk {
    const { clock, random } = this;
    const options = { clock, random, size: diskBytes, slowMs: this.#slowMs };
    return new SimDisk({ ...options, ...(image === undefined ? {} : { image }) });
  }

  /** One more disk, blank, becomes one of the store. `leaving`: which it replaces. */
  async addDisk(trace: Tagged[] | null, leaving: readonly number[] = []): Promise<Member> {
    const { label, change } = this.#software;
    const disk = this.#disk(undefined);
    if (trace !== null) disk.trace = TaggedTrace.tagging(this.disks.length, trace);
    this.disks.push(disk);
    const array = this.array!;
    const { storeId } = array.members.all()[0]!.label;
    const id = this.random.bytes(16);
    const parity = array.zones.shape.layout === 'parity';
    const written = label.layOutMember(storeId, id, this.clock.wall(), disk.size, parity);
    await label.writeLabel(disk, written);
    return await change.addDisk(array, { disk, label: written }, leaving, this.clock.wall());
  }

  /** The disk with this number drains. */
  async drain(index: number): Promise<void> {
    const { planDrain } = this.#software.change;
    const now = this.clock.wall();
    await this.array!.members.change((table) => planDrain(table, index, false, now).table);
  }

  /** Resolves when nothing is left to move. */
  async settled(): Promise<void> {
    this.mover!.wake();
    while (this.mover!.progress !== null) {
      await pause(this.clock, 5);
    }
  }

  get ports() {
    const hear = (level: string) => (facts: object, message: string) => {
      this.log.push({ level, facts, message });
    };
    const log = { info: hear('info'), warn: hear('warn'), error: hear('error') };
    return { clock: this.clock, random: this.random, log };
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.clock.until(promise);
  }

  async format(layout: Layout, columns: number | null = null): Promise<void> {
    await this.until(this.#format(layout, columns));
  }

  async #format(layout: Layout, columns: number | null): Promise<void> {
    const { open, label, map } = this.#software;
    const labels = open.layOutArray(
      this.disks.map((disk) => disk.size),
      layout,
      this.ports,
    );
    const disks = this.disks.map((disk, index) => ({ disk, label: labels[index]! }));
    await open.formatArray(disks, layout, columns, this.ports);
    const { array } = await open.openArray('array', disks, this.ports);
    const { storeId } = labels[0]!;
    await map.formatBlocks(array, { storeId, random: this.random });
    for (const each of disks) await label.writeLabel(each.disk, each.label);
  }

  /** Disks without a label are left out; INVALID when there is none. */
  async open(options: BlocksOptions = smallStore): Promise<Store> {
    this.store = await this.until(this.#open(options));
    return this.store;
  }

  async #open(options: BlocksOptions): Promise<Store> {
    const { ports } = this;
    return await openStore(this.#software, this.disks, ports, options, (array) => {
      this.array = array;
      this.mover = new this.#software.mover.Mover(array, ports);
    });
  }

  /** From now on all disks write one trace. */
  trace(): Tagged[] {
    const events: Tagged[] = [];
    this.disks.forEach((disk, index) => {
      disk.trace = TaggedTrace.tagging(index, events);
    });
    return events;
  }

  images(mode: CrashMode): Image[] {
    return this.disks.map((disk) => disk.crash(mode));
  }
}
