/**
 * The plain model of a store's volumes: disks and snapshots are arrays of numbers, one for each block, that say
 * which write made it. A change of a host has *parts*, each of which a crash takes whole or not at all: inside one
 * chunk it is one part, else each of its blocks is one.
 */
import { limits } from '../../storage/base/limits.ts';

const chunkBlocks = limits.atomicBlocks;

/**
 * What a block holds: the number of its write, which is its stamp on disk, and in the higher digits which copy of
 * that it is: flattening copies, and what is used is counted in copies. 0: zeros.
 */
export type Cell = number;
const copies = 2 ** 22;
/** Of a disk. */
export const blocksMax = 2 ** 15;
export const stampIn = (cell: Cell): number => cell % copies;

export interface Part {
  readonly first: number;
  /** Less when the disk was cut off meanwhile. */
  count: number;
  /** 0: unmapped. */
  readonly stamp: number;
  readonly issued: number;
  /** Infinity: in flight. */
  acked: number;
}

/** What holds blocks. */
export interface Image {
  readonly name: string;
  /** All that may share blocks have the same. */
  readonly family: number;
  cells: Cell[];
  /** Which blocks it shares with others is not known: it was copied from while it was being flattened. */
  vague: boolean;
}

export interface ModelSnapshot extends Image {
  readonly disk: ModelDisk;
}

export interface ModelDisk extends Image {
  /** In the order in which they were issued; `cells` has what came before the first of them. */
  parts: Part[];
  snapshots: ModelSnapshot[];
  cloned: boolean;
  flattening: boolean;
  /** While it was being flattened it had a snapshot made, or was rolled back. */
  disturbed: boolean;
}

/** What a snapshot that is being made will hold. */
export interface Cut {
  readonly disk: ModelDisk;
  readonly cells: readonly Cell[];
  readonly parts: Part[];
  /** What was acknowledged by then is in. */
  readonly began: number;
}

export class Difference extends Error {}

export class VolumeModel {
  disks: ModelDisk[] = [];
  /** Removed, and not purged. */
  removed: ModelDisk[] = [];
  /** Fills the store, so that the cleaner has something to do. */
  ballast: ModelDisk | null = null;
  #names = 0;
  #families = 0;
  #stamps = 0;
  #copies = 0;
  #time = 0;
  /** Snapshots that are being made. */
  cuts: Cut[] = [];

  newName(kind: string): string {
    this.#names += 1;
    return `${kind}${this.#names}`;
  }

  /** Before and after: each moment has a number. */
  now(): number {
    this.#time += 1;
    return this.#time;
  }

  newStamp(): number {
    this.#stamps += 1;
    return this.#stamps;
  }

  make(name: string, cells: Cell[], origin: ModelSnapshot | null): ModelDisk {
    this.#families += 1;
    const disk: ModelDisk = {
      ...{ name, cells, family: origin?.family ?? this.#families, vague: origin?.vague ?? false },
      ...{ parts: [], snapshots: [], cloned: origin !== null, flattening: false, disturbed: false },
    };
    return disk;
  }

  get snapshots(): ModelSnapshot[] {
    return this.disks.flatMap((disk) => disk.snapshots);
  }

  get images(): Image[] {
    const ballast = this.ballast === null ? [] : [this.ballast];
    return [...this.disks, ...this.removed, ...this.snapshots, ...ballast];
  }

  /** A host writes (`stamp` 0: unmaps): its parts. */
  issue(disk: ModelDisk, first: number, count: number, stamp: number): Part[] {
    const parts: Part[] = [];
    const issued = this.now();
    const whole = (first % chunkBlocks) + count <= chunkBlocks;
    for (let at = first; at < first + count; ) {
      const end = whole ? first + count : at + 1;
      parts.push({ first: at, count: end - at, stamp, issued, acked: Number.POSITIVE_INFINITY });
      at = end;
    }
    disk.parts.push(...parts);
    for (const cut of this.cuts) if (cut.disk === disk) cut.parts.push(...parts);
    return parts;
  }

  acknowledge(disk: ModelDisk, parts: readonly Part[]): void {
    const now = this.now();
    for (const part of parts) part.acked = Math.min(part.acked, now);
    while (disk.parts.length > 0 && disk.parts[0]!.acked < Number.POSITIVE_INFINITY) {
      apply(disk.cells, disk.parts.shift()!);
    }
  }

  /** It was refused as a whole. */
  refuse(disk: ModelDisk, parts: readonly Part[]): void {
    const others = (part: Part): boolean => !parts.includes(part);
    disk.parts = disk.parts.filter(others);
    for (const cut of this.cuts) cut.parts.splice(0, Infinity, ...cut.parts.filter(others));
    this.acknowledge(disk, []);
  }

  resize(disk: ModelDisk, size: number): void {
    const { cells, parts } = disk;
    if (size < cells.length) {
      for (const part of parts) part.count = Math.min(part.count, size - part.first);
      disk.parts = parts.filter(({ count }) => count > 0);
    }
    disk.cells = Array.from({ length: size }, (_, at) => cells[at] ?? 0);
    this.acknowledge(disk, []);
  }

  cut(disk: ModelDisk): Cut {
    const cut: Cut = { disk, cells: [...disk.cells], parts: [...disk.parts], began: this.now() };
    this.cuts.push(cut);
    if (disk.flattening) disturb(disk);
    return cut;
  }

  end(cuts: readonly Cut[]): void {
    this.cuts = this.cuts.filter((cut) => !cuts.includes(cut));
  }

  snapshot(disk: ModelDisk, name: string, cells: Cell[]): void {
    const { family } = disk;
    disk.snapshots.push({ disk, name, family, cells, vague: disk.vague });
  }

  /** From now on it is being written once more. */
  flatten(disk: ModelDisk): void {
    if (disk.flattening) return;
    disk.flattening = true;
    disk.disturbed = false;
    if (this.cuts.some((cut) => cut.disk === disk)) disturb(disk);
  }

  /** All that the disk holds was written once more. */
  flattened(disk: ModelDisk): void {
    disk.cloned = false;
    disk.flattening = false;
    if (disk.disturbed) return;
    this.#copies += 1;
    disk.cells = disk.cells.map((cell) => (cell === 0 ? 0 : stampIn(cell) + copies * this.#copies));
    disk.vague = false;
  }

  /** Blocks that these images hold, each once, and those that they alone hold; null: not known. */
  holding(some: readonly Image[]): { readonly all: number; readonly alone: number } | null {
    const families = new Set(some.map(({ family }) => family));
    const vague = this.images.some((image) => {
      const unsettled = 'parts' in image && (image as ModelDisk).parts.length > 0;
      const flattening = 'flattening' in image && (image as ModelDisk).flattening;
      return families.has(image.family) && (image.vague || unsettled || flattening);
    });
    if (vague) return null;
    const ours = keysOf(some);
    const others = keysOf(this.images.filter((image) => !some.includes(image)));
    let alone = 0;
    for (const key of ours) if (!others.has(key)) alone += 1;
    return { all: ours.size, alone };
  }
}

function keysOf(images: readonly Image[]): Set<number> {
  const keys = new Set<number>();
  for (const { cells } of images) {
    cells.forEach((cell, at) => {
      if (cell !== 0) keys.add(cell * blocksMax + at);
    });
  }
  return keys;
}

function disturb(disk: ModelDisk): void {
  disk.vague = true;
  disk.disturbed = true;
}

export function apply(cells: Cell[], { first, count, stamp }: Part): void {
  const end = Math.min(first + count, cells.length);
  for (let at = first; at < end; at += 1) cells[at] = stamp;
}

/** What a block may read as: what was acknowledged last, or anything later. */
export function candidates(cells: readonly Cell[], parts: readonly Part[], at: number): number[] {
  let found = [stampIn(cells[at]!)];
  for (const { first, count, stamp, acked } of parts) {
    if (at < first || at >= first + count) continue;
    if (acked < Number.POSITIVE_INFINITY) found = [stamp];
    else found.push(stamp);
  }
  return found;
}

export interface Explained {
  readonly cells: Cell[];
  /** Parts that are not in it although some of it would show. */
  readonly missing: readonly Part[];
  readonly present: readonly Part[];
}

/**
 * Which parts have made `stamps` of `cells`, later ones over earlier ones, each whole or not at all.
 * `must` says of which that is certain. Throws when there is no way.
 */
export function explain(
  what: string,
  stamps: readonly number[],
  cells: readonly Cell[],
  parts: readonly Part[],
  must: (part: Part) => boolean,
): Explained {
  const by = new Array<Part | null>(stamps.length).fill(null);
  const missing: Part[] = [];
  const present: Part[] = [];
  for (const part of parts.toReversed()) {
    const end = Math.min(part.first + part.count, stamps.length);
    let shown = 0;
    let fits = 0;
    for (let at = part.first; at < end; at += 1) {
      if (by[at] !== null) continue;
      shown += 1;
      if (stamps[at] === part.stamp) fits += 1;
    }
    if (shown === 0) continue;
    if (fits === shown) {
      present.push(part);
      for (let at = part.first; at < end; at += 1) by[at] ??= part;
      continue;
    }
    const told = `${part.count} blocks from ${part.first} as of write ${part.stamp}`;
    if (must(part)) throw new Difference(`${what}: ${told} are lost: ${around(stamps, part)}`);
    if (fits > 0 && part.stamp !== 0) {
      throw new Difference(`${what}: ${told} are torn: ${around(stamps, part)}`);
    }
    missing.push(part);
  }
  const explained = stamps.map((stamp, at) => {
    if (by[at] !== null) return stamp;
    const cell = cells[at] ?? 0;
    if (stampIn(cell) === stamp) return cell;
    throw new Difference(`${what}: block ${at} is ${stamp}, not ${stampIn(cell)}`);
  });
  return { cells: explained, missing, present };
}

const around = (stamps: readonly number[], { first, count }: Part): string =>
  stamps.slice(first, first + count).join(' ');

/** Whether the cuts of one group are one cut: what they hold was not issued after what they lack was acknowledged. */
export function checkCut(group: readonly Explained[]): void {
  for (const { present } of group) {
    for (const late of present) {
      // Zeros may have been there before.
      if (late.stamp === 0) continue;
      for (const { missing } of group) {
        const early = missing.find(({ acked }) => acked < late.issued);
        if (early === undefined) continue;
        throw new Difference(
          `a cut has write ${late.stamp} and not write ${early.stamp}, acknowledged before`,
        );
      }
    }
  }
}
