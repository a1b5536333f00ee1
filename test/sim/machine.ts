/**
 * A machine with a storage server on simulated disks and simulated time: switched on, losing power, losing
 * disks. Everything from the volumes down to the disks is the product's own; only clock, chance and disks are not.
 */
import { pause } from '#storage/base/clock.ts';
import type { LayoutChoice } from '../../storage/pool-disks.ts';
import type { StorageServer } from '../../storage/server.ts';
import { SimClock } from './clock.ts';
import { type CrashMode, type Image, SimDisk } from './disk.ts';
import { SimRandom } from './random.ts';

export interface ServerSoftware {
  readonly StorageServer: typeof StorageServer;
  readonly readLabel: typeof import('../../storage/disk/label.ts').readLabel;
}

/** The software under test: ours, or a copy of it with a fault planted. */
export async function serverSoftware(directory = '../../storage'): Promise<ServerSoftware> {
  const { StorageServer } = await import(`${directory}/server.ts`);
  const { readLabel } = await import(`${directory}/disk/label.ts`);
  return { StorageServer, readLabel };
}

export interface Build {
  /** Null: one disk, with nothing between it and the log. */
  readonly layout: LayoutChoice | null;
  readonly disks: number;
  /** Whether one disk may be lost. */
  readonly spare: boolean;
}

const layout = (name: LayoutChoice['layout'], columns: number | null = null): LayoutChoice => ({
  layout: name,
  columns,
});

export const builds: Readonly<Record<string, Build>> = {
  simple: { layout: null, disks: 1, spare: false },
  single: { layout: layout('single'), disks: 1, spare: false },
  striped: { layout: layout('striped'), disks: 2, spare: false },
  mirrored: { layout: layout('mirrored'), disks: 2, spare: true },
  parity: { layout: layout('parity'), disks: 3, spare: true },
};

/** On more disks than a zone takes: the store's size changes with where extents lie. */
export const wideBuilds: typeof builds = {
  'mirrored on three': { layout: layout('mirrored'), disks: 3, spare: true },
  'parity on four': { layout: layout('parity', 2), disks: 4, spare: true },
};

/** As small as a disk of a store can be, so that the cleaner is seldom idle. */
export const diskBytes = 64 * 2 ** 20;

const tuning = { recentBytes: 0, mapBytes: 0, checkpointBytes: 3 * 2 ** 20 };
/** What takes longer than this, by the simulated clock, never ends. */
const patienceMs = 3_600_000;

/**
 * All promises that can go on have done so: the queue of ticks comes after that of promises. Nothing here waits
 * for the system, so the event loop is left out, which would take more time than all else.
 */
const drained = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

export class Machine {
  readonly build: Build;
  readonly #software: ServerSoftware;
  readonly #seed: number;
  #life = 0;
  clock = new SimClock();
  server!: StorageServer;
  /** Those that are there, by path. */
  readonly disks = new Map<string, SimDisk>();
  /** A disk that was lost, and what was on it. */
  lost: { readonly path: string; readonly disk: SimDisk } | null = null;
  #paths = 0;

  constructor(software: ServerSoftware, build: Build, seed: number) {
    this.#software = software;
    this.build = build;
    this.#seed = seed;
  }

  /** A path where no disk was before. */
  newPath(): string {
    this.#paths += 1;
    return `disk${this.#paths}`;
  }

  async start(): Promise<void> {
    const paths = Array.from({ length: this.build.disks }, () => this.newPath());
    await this.#open(paths);
  }

  async #open(paths: readonly string[]): Promise<void> {
    this.#life += 1;
    const random = new SimRandom(this.#seed + this.#life);
    const { clock } = this;
    const { StorageServer, readLabel } = this.#software;
    const put = (path: string, image?: Image): SimDisk => {
      const options = { clock, random, size: diskBytes, slowMs: 2, name: path };
      const disk = new SimDisk({ ...options, ...(image === undefined ? {} : { image }) });
      this.disks.set(path, disk);
      return disk;
    };
    for (const [path, disk] of this.disks) put(path, disk.crash(this.#mode));
    const open = async ({ path }: { readonly path: string }) => {
      const disk = this.disks.get(path) ?? put(path);
      const label = await readLabel(disk, () => {});
      return { disk, label, size: disk.size, ready: () => {}, close: async () => {} };
    };
    const existing = async (options: { readonly path: string }) =>
      this.disks.has(options.path) ? await open(options) : null;
    const options = { cacheBytes: 2 ** 20, tuning, disks: { open, existing }, clock, random };
    const chosen = this.#life === 1 ? this.build.layout : null;
    this.server = await this.until(StorageServer.open({ ...options, paths, layout: chosen }));
  }

  #mode: CrashMode = 'keep';

  /** The power goes and comes back. `back`: a disk that was lost is there again. */
  async crash(mode: CrashMode, back: boolean): Promise<void> {
    this.#mode = mode;
    const { lost } = this;
    if (lost !== null && back) this.disks.set(lost.path, lost.disk);
    this.clock = new SimClock();
    await this.#open([...this.disks.keys()]);
    const here = this.server.disks()!.disks.filter(({ state }) => state !== 'lost');
    for (const path of [...this.disks.keys()]) {
      if (!here.some((disk) => disk.path === path)) this.disks.delete(path);
      else if (path === lost?.path) this.lost = null;
    }
  }

  /** Nothing is read from the disk or written to it any more. */
  lose(path: string): void {
    const disk = this.disks.get(path)!;
    disk.lose();
    this.disks.delete(path);
    this.lost = { path, disk };
  }

  /** Everything is where it belongs, on disks that are there. */
  get whole(): boolean {
    const view = this.server.disks()!;
    const ok = view.disks.every(({ state, path }) => state === 'ok' && path !== this.lost?.path);
    return view.state === 'ok' && view.moving === null && ok;
  }

  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.untilSo(() => settled);
    return promise;
  }

  async untilSo(so: () => boolean): Promise<void> {
    await drained();
    const end = this.clock.now() + patienceMs;
    while (!so()) {
      if (!this.clock.step()) throw new Error('nothing is going on and it has not ended');
      if (this.clock.now() > end) throw new Error('it does not end');
      await drained();
    }
  }

  /** So many things happen. */
  async run(events: number): Promise<void> {
    await drained();
    for (let left = events; left > 0 && this.clock.step(); left -= 1) await drained();
  }

  async sleep(ms: number): Promise<void> {
    await this.until(pause(this.clock, ms));
  }
}
