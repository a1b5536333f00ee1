/**
 * A store under test beside the plain model of it: hosts' changes in flight, at most one change of the catalog
 * under way, and what is compared, when, and after a crash.
 */
import type { StorageError } from '../../storage/base/errors.ts';
import type { DiskRecord, Volume } from '../../storage/volume/volume.ts';
import type { CrashMode } from './disk.ts';
import { Machine, type ServerSoftware } from './machine.ts';
import { SimRandom } from './random.ts';
import { stamped, stampOf } from './store-history.ts';
import { Accounts } from './volume-accounts.ts';
import {
  candidates,
  Difference,
  explain,
  type Image,
  type ModelDisk,
  type Part,
  stampIn,
  type VolumeModel,
} from './volume-model.ts';

const blockBytes = 4096;

/** A change of the catalog under way. */
export interface Change {
  readonly what: string;
  readonly work: () => Promise<unknown>;
  /** It has ended well: at once, before anything else happens. */
  readonly done: () => void;
  /** The same, once there is time to look. */
  readonly check?: () => Promise<void>;
  /** After a crash: what is there tells whether it took place; null: it may have been told already. */
  readonly after: () => Promise<void>;
  /** Writes to this disk may be refused past this size, -1: all. */
  readonly refuses?: { readonly disk: ModelDisk; readonly size: number };
}

interface Going {
  readonly change: Change;
  ended: boolean;
  readonly promise: Promise<void>;
}

export interface WorldOptions {
  readonly software: ServerSoftware;
  readonly build: Machine['build'];
  readonly seed: number;
  /** In the middle of one of so many changes that are not waited for the power goes. */
  readonly crashEvery: number;
}

/** Room that the disks under test need at most, and how much of the rest is filled. */
const roomBlocks = 7500;
const ballastMost = 6000;
const freeSegments = 12;

export class World {
  readonly machine: Machine;
  readonly model: VolumeModel;
  readonly accounts: Accounts;
  readonly crashEvery: number;
  readonly counts: Record<string, number> = {};
  going: Going | null = null;
  #life = 0;
  readonly #inFlight = new Set<Promise<void>>();
  #fault: Error | null = null;
  /** A disk that takes the place of a lost one is being added. */
  #adding: { readonly promise: Promise<void>; readonly fresh: string } | null = null;
  /** Its flattening is being given up. */
  cancelling: ModelDisk | null = null;

  constructor(options: WorldOptions, model: VolumeModel) {
    this.machine = new Machine(options.software, options.build, options.seed);
    this.model = model;
    this.crashEvery = options.crashEvery;
    this.accounts = new Accounts(this.machine, model);
  }

  get server() {
    return this.machine.server;
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  async start(): Promise<void> {
    await this.machine.start();
    this.#listen();
    const { catalog, space } = this.server;
    const blocks = Math.min(ballastMost, space.capacity / blockBytes - roomBlocks);
    const size = blocks * blockBytes;
    const { id } = await this.machine.until(catalog.create({ name: 'ballast', size }));
    const ballast = this.model.make('ballast', new Array<number>(blocks).fill(0), null);
    this.model.ballast = ballast;
    const put = async (at: number, count: number): Promise<void> => {
      this.#send(this.server.volume(id), ballast, at, Math.min(count, blocks - at), false);
      if (this.#inFlight.size >= 16) await this.settleHosts();
    };
    for (let at = 0; at < blocks; at += 64) await put(at, 64);
    // Here and there anew, until the cleaner is about to begin.
    const random = new SimRandom(blocks);
    const { segments } = this.server.status().stats;
    for (let left = segments * 10; left > 0 && blocks > 0; left -= 1) {
      if (this.server.status().stats.segmentsFree < freeSegments) break;
      await put(random.below(blocks), 24);
    }
    await this.settleHosts();
  }

  record({ name }: Image): DiskRecord {
    const record = this.server.catalog.find(name);
    if (record === null) throw new Difference(`disk ${name} is not there`);
    return record;
  }

  snapshotId(disk: ModelDisk, name: string): string {
    const record = this.server.catalog.snapshots.find(this.record(disk).id, name);
    if (record === null) throw new Difference(`snapshot ${name} of disk ${disk.name} is not there`);
    return record.id;
  }

  volumeOf(image: Image): Volume {
    if (!('disk' in image)) return this.server.volume(this.record(image).id);
    const { disk, name } = image as Image & { readonly disk: ModelDisk };
    return this.server.snapshotVolume(this.snapshotId(disk, name));
  }

  /** A host writes or unmaps; nobody waits for it. */
  host(disk: ModelDisk, first: number, count: number, unmap: boolean): void {
    this.count(unmap ? 'unmap' : 'write');
    this.#send(this.volumeOf(disk), disk, first, count, unmap);
  }

  /** A host writes to one disk after the other, to each when it was told that the one before is done. */
  row(disks: readonly ModelDisk[], at: number): void {
    const [disk, ...rest] = disks;
    if (disk === undefined || !this.model.disks.includes(disk)) return;
    this.count('write');
    const first = at % disk.cells.length;
    this.#send(this.volumeOf(disk), disk, first, 1, false, () => this.row(rest, at));
  }

  #send(
    volume: Volume,
    disk: ModelDisk,
    first: number,
    count: number,
    unmap: boolean,
    next: () => void = () => {},
  ): void {
    const stamp = unmap ? 0 : this.model.newStamp();
    const parts = this.model.issue(disk, first, count, stamp);
    const life = this.#life;
    const told = new Promise<void>((resolve) => {
      const complete = (error: StorageError | null): void => {
        resolve();
        if (life !== this.#life) return;
        this.#told(disk, parts, error);
        next();
      };
      if (unmap) volume.unmap(first * blockBytes, count * blockBytes, { complete });
      else {
        const data = new Uint8Array(count * blockBytes);
        for (let index = 0; index < count; index += 1) {
          data.set(stamped(0, first + index, stamp), index * blockBytes);
        }
        volume.write(first * blockBytes, data, { complete });
        data.fill(0xee);
      }
    });
    this.#inFlight.add(told);
    void told.then(() => this.#inFlight.delete(told));
  }

  #told(disk: ModelDisk, parts: readonly Part[], error: StorageError | null): void {
    if (error === null) {
      this.model.acknowledge(disk, parts);
      return;
    }
    const { refuses } = this.going?.change ?? {};
    const bounds = [disk.cells.length, ...(refuses?.disk === disk ? [refuses.size] : [])];
    const last = parts.at(-1)!;
    const past = error.code === 'INVALID' && last.first + last.count > Math.min(...bounds);
    const removed =
      error.code === 'NOT_FOUND' && (bounds.includes(-1) || !this.model.disks.includes(disk));
    if (past || removed) {
      this.count('refused');
      this.model.refuse(disk, parts);
    } else this.#fault ??= error;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Nothing that was told to hosts was wrong. */
  checkTold(): void {
    if (this.#fault !== null) throw this.#fault;
    const { failed } = this.server;
    if (failed !== null) throw failed;
  }

  async settleHosts(): Promise<void> {
    while (this.#inFlight.size > 0) await this.machine.until(Promise.all(this.#inFlight));
    this.checkTold();
  }

  /** Begins a change of the catalog, after the one before. */
  async begin(change: Change): Promise<void> {
    await this.settleChange();
    this.count(change.what);
    const life = this.#life;
    const going: Going = {
      change,
      ended: false,
      promise: change.work().then(() => {
        if (life !== this.#life) return;
        going.ended = true;
        change.done();
      }),
    };
    going.promise.catch(() => {});
    this.going = going;
  }

  async settleChange(): Promise<void> {
    const { going } = this;
    if (going === null) return;
    await this.machine.until(going.promise);
    this.going = null;
    await going.change.check?.();
  }

  async settle(): Promise<void> {
    await this.settleChange();
    await this.settleHosts();
  }

  async read(volume: Volume, first: number, count: number): Promise<number[]> {
    const into = new Uint8Array(count * blockBytes);
    const [offset, length] = [first * blockBytes, into.length];
    if (!volume.readNow(offset, length, into, 0)) {
      const error = await this.machine.until(
        new Promise<StorageError | null>((complete) =>
          volume.read(offset, length, into, 0, { complete }),
        ),
      );
      if (error !== null) throw new Difference(`${volume.record.name}: ${error.message}`);
    }
    return Array.from({ length: count }, (_, index) =>
      stampOf(0, first + index, into.subarray(index * blockBytes, (index + 1) * blockBytes)),
    );
  }

  async readAll(image: Image): Promise<number[]> {
    return await this.read(this.volumeOf(image), 0, image.cells.length);
  }

  /** While hosts write. What is seen stays. */
  async glance(disk: ModelDisk, at: number, most: number): Promise<void> {
    this.count('read');
    if (this.going?.change.refuses?.disk === disk) await this.settleChange();
    if (!this.model.disks.includes(disk)) return;
    const first = at % disk.cells.length;
    const count = 1 + (most % Math.min(24, disk.cells.length - first));
    const before = Array.from({ length: count }, (_, at) =>
      candidates(disk.cells, disk.parts, first + at),
    );
    const { parts } = disk;
    const seen = await this.read(this.volumeOf(disk), first, count);
    seen.forEach((stamp, index) => {
      if (!before[index]!.includes(stamp)) {
        throw new Difference(
          `${disk.name}: block ${first + index} reads ${stamp}, not ${before[index]!.join(' or ')}`,
        );
      }
      const part = parts.find((each) => each.stamp === stamp && stamp !== 0);
      const holds = part !== undefined && first + index >= part.first;
      if (holds && first + index < part.first + part.count) this.model.acknowledge(disk, [part]);
    });
  }

  async compare(image: Image): Promise<void> {
    const stamps = await this.readAll(image);
    explain(image.name, stamps, image.cells, [], () => true);
    this.accounts.checkMapped(image);
  }

  /** Whatever of what was in flight is there from now on. */
  async resolve(disk: ModelDisk): Promise<void> {
    const stamps = await this.readAll(disk);
    const must = ({ acked }: Part): boolean => acked < Number.POSITIVE_INFINITY;
    disk.cells = explain(disk.name, stamps, disk.cells, disk.parts, must).cells;
    disk.parts = [];
    this.accounts.checkMapped(disk);
  }

  async crash(mode: CrashMode, back: boolean): Promise<void> {
    this.checkTold();
    this.#life += 1;
    this.count('cleaned', this.server.status().stats.segmentsCleaned);
    this.#inFlight.clear();
    await this.machine.crash(mode, back);
    if (this.#adding !== null && this.machine.disks.has(this.#adding.fresh))
      this.machine.lost = null;
    this.#adding = null;
    const { going } = this;
    this.going = null;
    if (going?.ended) await going.change.check?.();
    else await going?.change.after();
    this.model.end(this.model.cuts);
    this.accounts.checkNames();
    for (const disk of this.model.disks) await this.resolve(disk);
    for (const snapshot of this.model.snapshots) await this.compare(snapshot);
    for (const disk of this.model.disks) this.#flattening(disk);
    this.cancelling = null;
    this.#listen();
    await this.#compareBallast(64);
  }

  /** Switched off in order and on again. */
  async restart(): Promise<void> {
    await this.settle();
    await this.#added();
    await this.machine.until(this.server.close());
    await this.crash('drop', false);
  }

  /**
   * A disk goes, if the layout bears that now. While another is being rebuilt: that one, or after it is whole
   * again any.
   */
  async lose(which: number, fresh: boolean, dark: boolean): Promise<void> {
    const { machine } = this;
    await this.#added();
    if (!machine.build.spare || machine.lost !== null) return;
    const paths = [...machine.disks.keys()];
    const rebuilding = !machine.whole;
    if (rebuilding && !fresh) await machine.untilSo(() => machine.whole);
    this.count(rebuilding && fresh ? 'lose the new disk' : 'lose');
    machine.lose(rebuilding && fresh ? paths.at(-1)! : paths[which % paths.length]!);
    if (!dark) return;
    this.count('crash');
    await this.crash('tear', false);
  }

  /** Its place is taken by a new disk. */
  async replace(wait: boolean, events: number): Promise<void> {
    const { machine } = this;
    await this.#added();
    if (machine.lost === null) return;
    this.count('replace');
    await this.settleChange();
    const [{ path }, fresh] = [machine.lost, machine.newPath()];
    const promise = this.server.addDisk(fresh, { replaces: path });
    promise.catch(() => {});
    this.#adding = { promise, fresh };
    if (!wait) return machine.run(events);
    await this.#added();
    await machine.untilSo(() => machine.whole);
    // What only the new disk should have now is best seen without the others.
    if (events % 2 === 0) await this.lose(events >> 1, false, events % 4 === 0);
  }

  async #added(): Promise<void> {
    if (this.#adding === null) return;
    await this.machine.until(this.#adding.promise);
    this.#adding = null;
    this.machine.lost = null;
  }

  async #compareBallast(count: number): Promise<void> {
    const ballast = this.model.ballast!;
    const room = ballast.cells.length - count;
    const first = Math.max(0, (this.#life * 977) % (room + 1));
    for (let at = first; at < first + count; at += 256) {
      const some = Math.min(256, first + count - at);
      const stamps = await this.read(this.volumeOf(ballast), at, some);
      stamps.forEach((stamp, index) => {
        if (stamp === stampIn(ballast.cells[at + index]!)) return;
        throw new Difference(`the ballast's block ${at + index} is ${stamp}`);
      });
    }
  }

  #listen(): void {
    const life = this.#life;
    this.server.catalog.listen((change, { name, flatten }) => {
      const disk = this.model.disks.find((each) => each.name === name);
      if (life !== this.#life || disk === undefined || change !== 'updated') return;
      if (flatten !== undefined) this.model.flatten(disk);
      else this.#flattenEnded(disk);
    });
  }

  #flattenEnded(disk: ModelDisk): void {
    if (this.cancelling !== disk) {
      this.count('flattened');
      this.model.flattened(disk);
      return;
    }
    if (disk.flattening) disk.vague = true;
    disk.flattening = false;
  }

  /** What was flattening before a crash, or was to. */
  #flattening(disk: ModelDisk): void {
    const { flatten, origin } = this.record(disk);
    if (disk.flattening && flatten === undefined) this.#flattenEnded(disk);
    else if (flatten !== undefined) this.model.flatten(disk);
    if ((origin === undefined) === disk.cloned && disk.cloned) this.model.flattened(disk);
  }

  /** Everything is as the model says: contents, names, accounts. */
  async look(some: (image: Image) => boolean): Promise<void> {
    await this.settle();
    this.accounts.checkNames();
    for (const image of this.model.images) {
      if (image === this.model.ballast || this.model.removed.includes(image as ModelDisk)) continue;
      await this.compare(image);
    }
    if (await this.accounts.checkUsed()) this.count('accounts');
    if (await this.accounts.checkAlone(some)) this.count('exclusive');
  }

  /** All is deleted, and all room is free again. */
  async finish(): Promise<void> {
    await this.settle();
    await this.#added();
    if (this.machine.lost !== null) await this.replace(true, 1);
    await this.machine.untilSo(() => this.machine.whole);
    await this.look(() => true);
    await this.#compareBallast(this.model.ballast!.cells.length);
    const { catalog } = this.server;
    const wait = <T>(promise: Promise<T>): Promise<T> => this.machine.until(promise);
    for (const { id } of catalog.list()) {
      await wait(catalog.snapshots.removeAllOf(id));
      await wait(catalog.remove(id));
    }
    for (const { id } of catalog.removed()) await wait(catalog.purge(id));
    await this.accounts.checkEmpty();
  }
}
