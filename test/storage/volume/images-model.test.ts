/**
 * Disks, snapshots and clones in any order, with a death at any step now and then, are as a plain model says: tables of
 * numbers, copied whole. After a death everything is as before the change or as after it, or at one of the points
 * between that are named.
 */
import test from 'ava';
import { silentLog } from '#storage/base/log.ts';
import { blockBytes } from '#storage/map/blocks.ts';
import type { Catalog } from '#storage/volume/catalog.ts';
import { Flattener } from '#storage/volume/flatten.ts';
import { OpenVolume } from '#storage/volume/open.ts';
import type { DiskRecord } from '#storage/volume/volume.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { Crash, Steps, World } from './kit.ts';

const blocks = 64;

interface Image {
  size: number;
  readonly content: Map<number, number>;
}

interface ModelSnapshot extends Image {
  template: boolean;
}

interface ModelDisk extends Image {
  readonly snapshots: Map<string, ModelSnapshot>;
  cloned: boolean;
}

type Model = Map<string, ModelDisk>;

const copyOf = (model: Model): Model => structuredClone(model);

/** All that people can see, in one text. */
function text(model: Model): string {
  const image = ({ size, content }: Image) => [size, ...[...content].sort(([a], [b]) => a - b)];
  return JSON.stringify(
    [...model]
      .sort()
      .map(([name, { snapshots, cloned, ...disk }]) => [
        name,
        cloned,
        image(disk),
        [...snapshots].sort().map(([snapshot, one]) => [snapshot, one.template, image(one)]),
      ]),
  );
}

class Run {
  readonly world = new World();
  readonly random: SeededRandom;
  model: Model = new Map();
  catalog!: Catalog;
  steps = new Steps();
  #names = 0;
  #fill = 0;
  deaths = 0;
  counts: Record<string, number> = {};

  constructor(random: SeededRandom) {
    this.random = random;
  }

  async open(): Promise<void> {
    this.steps = new Steps();
    this.catalog = (await this.world.open(this.steps)).catalog;
  }

  volume(record: DiskRecord): OpenVolume {
    return new OpenVolume(record, this.world.blocks, this.catalog);
  }

  /** What the store holds, as the model has it. */
  actual(): Model {
    const { spaces } = this.world.blocks;
    const image = ({ size, ref }: { size: number; ref: number }): Image => {
      const content = [...spaces.get(ref)!.content].map(([at, data]): [number, number] => [
        at,
        new DataView(data.buffer, data.byteOffset).getUint32(0, true),
      ]);
      return { size: size / blockBytes, content: new Map(content) };
    };
    return new Map(
      this.catalog.list().map((disk): [string, ModelDisk] => {
        const snapshots = this.catalog.snapshots
          .of(disk.id)
          .map((one): [string, ModelSnapshot] => [
            one.name,
            { ...image(one), template: one.template },
          ]);
        const cloned = disk.origin !== undefined;
        return [disk.name, { ...image(disk), snapshots: new Map(snapshots), cloned }];
      }),
    );
  }

  #disk(): string | null {
    const names = [...this.model.keys()];
    return names.length === 0 ? null : this.random.pick(names);
  }

  #snapshot(): [string, string] | null {
    const all = [...this.model].flatMap(([disk, { snapshots }]) =>
      [...snapshots.keys()].map((name): [string, string] => [disk, name]),
    );
    return all.length === 0 ? null : this.random.pick(all);
  }

  /** One change: what it does to the store, and the models that it may leave, the last when all goes well. */
  #choose(): { what: string; work: () => Promise<unknown>; to: Model[] } | null {
    const { random, catalog } = this;
    const disk = this.#disk();
    const snapshot = this.#snapshot();
    const to = copyOf(this.model);
    const choice = random.below(100);
    const fresh = `n${++this.#names}`;
    const id = (name: string): string => catalog.find(name)!.id;
    const snapshotId = ([on, name]: [string, string]): string =>
      catalog.snapshots.find(id(on), name)!.id;
    if (disk === null || (choice < 6 && this.model.size < 6)) {
      to.set(fresh, { size: blocks, content: new Map(), snapshots: new Map(), cloned: false });
      const work = () => catalog.create({ name: fresh, size: blocks * blockBytes });
      return { what: 'create', work, to: [to] };
    }
    const { snapshots, ...now } = to.get(disk)!;
    if (choice < 20) {
      const others = [...this.model.keys()].filter((name) => name !== disk);
      const on = [disk, ...others.slice(0, random.below(3))];
      for (const name of on) {
        const { size, content } = to.get(name)!;
        to.get(name)!.snapshots.set(fresh, { size, content: new Map(content), template: false });
      }
      return {
        what: 'snapshot',
        work: () => catalog.snapshots.create(on.map(id), fresh),
        to: [to],
      };
    }
    if (choice < 26) {
      to.set(fresh, to.get(disk)!);
      to.delete(disk);
      return { what: 'rename', work: () => catalog.rename(id(disk), fresh), to: [to] };
    }
    if (choice < 33) {
      const size = random.between(1, blocks);
      const image = to.get(disk)!;
      image.size = size;
      for (const at of [...image.content.keys()]) if (at >= size) image.content.delete(at);
      const work = () => catalog.resize(id(disk), size * blockBytes, { force: true });
      return { what: 'resize', work, to: [to] };
    }
    if (choice < 40 && this.model.size > 2) {
      to.delete(disk);
      if (snapshots.size === 0) {
        return { what: 'remove', work: () => catalog.remove(id(disk)), to: [to] };
      }
      if ([...snapshots.values()].some(({ template }) => template)) return null;
      const gone = copyOf(this.model);
      gone.get(disk)!.snapshots.clear();
      const work = () => catalog.snapshots.removeAllOf(id(disk));
      const between = this.#oneByOne(disk, [...snapshots.keys()]);
      return { what: 'delete all', work, to: [...between, gone] };
    }
    if (choice < 45 && now.cloned) {
      to.get(disk)!.cloned = false;
      return { what: 'flatten', work: () => this.#flatten(id(disk)), to: [to] };
    }
    if (snapshot === null) return null;
    const [on, name] = snapshot;
    const image = to.get(on)!.snapshots.get(name)!;
    if (choice < 60 && this.model.size < 8) {
      const { size, content } = image;
      const fork = { size, content: new Map(content), snapshots: new Map(), cloned: true };
      to.set(fresh, fork);
      const reserved = random.chance(0.2);
      const work = () => catalog.clone(snapshotId(snapshot), { name: fresh, reserved });
      return { what: 'clone', work, to: [to] };
    }
    if (choice < 70) {
      const there = to.get(on)!;
      const { size, content } = there;
      there.snapshots.set(fresh, { size, content: new Map(content), template: false });
      const kept = copyOf(to);
      to.set(on, { ...there, size: image.size, content: new Map(image.content) });
      const work = () => catalog.snapshots.rollback(snapshotId(snapshot), fresh);
      return { what: 'rollback', work, to: [kept, to] };
    }
    if (choice < 78) {
      image.template = !image.template;
      const work = () => catalog.snapshots.setTemplate(snapshotId(snapshot), image.template);
      return { what: 'template', work, to: [to] };
    }
    if (choice < 84) {
      to.get(on)!.snapshots.delete(name);
      to.get(on)!.snapshots.set(fresh, image);
      return {
        what: 'rename snapshot',
        work: () => catalog.snapshots.rename(snapshotId(snapshot), fresh),
        to: [to],
      };
    }
    if (image.template) return null;
    to.get(on)!.snapshots.delete(name);
    return { what: 'delete', work: () => catalog.snapshots.remove(snapshotId(snapshot)), to: [to] };
  }

  #oneByOne(disk: string, names: readonly string[]): Model[] {
    return names.map((_, index) => {
      const model = copyOf(this.model);
      for (const name of names.slice(0, index + 1)) model.get(disk)!.snapshots.delete(name);
      return model;
    });
  }

  async #flatten(id: string): Promise<void> {
    const { catalog, world } = this;
    const { clock } = world;
    const host = (disk: string) => this.volume(catalog.get(disk)!).raw;
    const ports = { catalog, blocks: world.blocks, clock, log: silentLog, host };
    const flattener = new Flattener(ports);
    if (!(await flattener.start(id, 2 ** 20))) return;
    while (flattener.progress(catalog.get(id)!) !== null) {
      const stopped = flattener.progress(catalog.get(id)!)?.stopped;
      if (stopped !== null && stopped !== undefined) throw new Error(stopped);
      clock.advance(1000);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const [{ mapped }, alone] = [
      world.blocks.usage(catalog.get(id)!.ref),
      await world.blocks.exclusive([catalog.get(id)!.ref]),
    ];
    if (mapped !== alone) throw new Error(`${mapped - alone} blocks are still shared`);
  }

  write(): void {
    const name = this.#disk();
    if (name === null) return;
    const image = this.model.get(name)!;
    const at = this.random.below(image.size);
    const count = Math.min(image.size - at, this.random.between(1, 8));
    const volume = this.volume(this.catalog.find(name)!);
    const done = { complete: () => {} };
    if (this.random.chance(0.25)) {
      volume.unmap(at * blockBytes, count * blockBytes, done);
      for (let index = at; index < at + count; index++) image.content.delete(index);
      return;
    }
    const data = new Uint8Array(count * blockBytes);
    for (let index = 0; index < count; index++) {
      new DataView(data.buffer).setUint32(index * blockBytes, ++this.#fill, true);
      image.content.set(at + index, this.#fill);
    }
    volume.write(at * blockBytes, data, done);
  }

  /** Null, or what is wrong. */
  async change(): Promise<string | null> {
    const chosen = this.#choose();
    if (chosen === null) return null;
    const { what, work, to } = chosen;
    this.counts[what] = (this.counts[what] ?? 0) + 1;
    // No death while flattening: its background part has a test of its own.
    const dies = what !== 'flatten' && this.random.chance(0.3);
    if (dies) {
      this.steps.at = this.steps.taken + this.random.below(7);
      this.steps.effect = this.random.chance(0.5);
    }
    const before = this.model;
    const died = await work().then(
      () => false,
      (error: unknown) => {
        if (this.steps.at >= this.steps.taken && !(error instanceof Crash)) throw error;
        return true;
      },
    );
    if (died) {
      this.deaths++;
      await this.open();
    } else {
      this.steps.at = Number.POSITIVE_INFINITY;
      this.model = to.at(-1)!;
      const now = text(this.actual());
      return now === text(this.model) ? null : `${what}: ${now} and not ${text(this.model)}`;
    }
    const actual = text(this.actual());
    const found = [before, ...to].find((model) => text(model) === actual);
    if (found === undefined) return `${what}, then dead: ${actual}, before ${text(before)}`;
    this.model = found;
    return null;
  }

  async leftovers(): Promise<string | null> {
    const { catalog, world } = this;
    const owned = [...catalog.list(), ...catalog.removed(), ...catalog.snapshots.list()];
    const refs = world.blocks.refs().length;
    return refs === owned.length ? null : `${refs} spaces, ${owned.length} owners`;
  }
}

test('in any order, with deaths, it is as a plain model says', async (t) => {
  const random = new SeededRandom();
  t.log(`seed ${random.seed}`);
  const run = new Run(random);
  await run.open();
  for (let step = 0; step < 400; step++) {
    for (let writes = random.below(4); writes > 0; writes--) run.write();
    const fault = (await run.change()) ?? (await run.leftovers());
    if (fault !== null) return t.fail(`seed ${random.seed} step ${step}: ${fault.slice(0, 2000)}`);
  }
  t.log(JSON.stringify(run.counts), `${run.deaths} deaths`);
  t.true(run.deaths > 20);
  t.pass();
});
