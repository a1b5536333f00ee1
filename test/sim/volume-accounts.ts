/**
 * What a store says that it holds, beside what the model says: which disks and snapshots there are, how many blocks
 * each has, how many all use together, and how many only some of them hold.
 */
import type { Machine } from './machine.ts';
import { Difference, type Image, type ModelDisk, type VolumeModel } from './volume-model.ts';

const blockBytes = 4096;
/** What was removed is given back a moment later. */
const patienceMs = 300;
const patience = 100;

export class Accounts {
  readonly #machine: Machine;
  readonly #model: VolumeModel;

  constructor(machine: Machine, model: VolumeModel) {
    this.#machine = machine;
    this.#model = model;
  }

  #refOf(image: Image): { readonly ref: number } {
    const { catalog } = this.#machine.server;
    const { name } = image;
    const disk = 'disk' in image ? (image.disk as ModelDisk).name : name;
    const record = catalog.find(disk) ?? catalog.removed().find((each) => each.name === disk);
    const found = 'disk' in image ? catalog.snapshots.find(record?.id ?? '', name) : record;
    if (found === null || found === undefined) throw new Difference(`${name} is not there`);
    return found;
  }

  /** Disks with their sizes, and their snapshots. */
  checkNames(): void {
    const { catalog } = this.#machine.server;
    const model = this.#model;
    const told = (list: readonly { name: string }[]) => list.map(({ name }) => name).sort();
    const sizes = (disk: ModelDisk) => [disk.name, disk.cells.length, told(disk.snapshots)];
    const wanted = JSON.stringify([model.disks.map(sizes).toSorted(byName), told(model.removed)]);
    const living = catalog.list().filter(({ name }) => name !== model.ballast?.name);
    const actual = JSON.stringify([
      living
        .map(({ name, size, id }) => [name, size / blockBytes, told(catalog.snapshots.of(id))])
        .toSorted(byName),
      told(catalog.removed()),
    ]);
    if (actual !== wanted) throw new Difference(`there is ${actual}, not ${wanted}`);
  }

  checkMapped(image: Image): void {
    const mapped = image.cells.filter((cell) => cell !== 0).length;
    const used = this.#machine.server.used(this.#refOf(image)) / blockBytes;
    if (used !== mapped) throw new Difference(`${image.name} uses ${used} blocks, not ${mapped}`);
  }

  /** False: the model does not know. */
  async checkUsed(): Promise<boolean> {
    const held = this.#model.holding(this.#model.images);
    if (held === null) return false;
    const used = () => this.#machine.server.status().stats.blocksUsed;
    if (await this.#becomes(async () => used() === held.all)) return true;
    const text = `${used()} blocks are used, not ${held.all}`;
    throw new Difference(`${text}; by themselves ${await this.#eachAlone()}`);
  }

  /** What deleting these would give back. False: the model does not know. */
  async checkAlone(some: (image: Image) => boolean): Promise<boolean> {
    const model = this.#model;
    const chosen = model.images.filter((image) => some(image) && model.holding([image]) !== null);
    const held = model.holding(chosen);
    if (held === null || chosen.length === 0) return false;
    if (await this.#becomes(async () => (await this.#alone(chosen)) === held.alone)) return true;
    const names = chosen.map(({ name }) => name).join(' ');
    throw new Difference(`${names} hold ${await this.#alone(chosen)} blocks, not ${held.alone}`);
  }

  /** Nothing is held any more: not for data, nor for promises, nor for the map. */
  async checkEmpty(): Promise<void> {
    const left = () => {
      const { reserved, used, stats } = this.#machine.server.status();
      return [used, reserved, stats.mapPages];
    };
    if (await this.#becomes(async () => left().every((each) => each === 0))) return;
    throw new Difference(`when all is deleted ${left().join(', ')} are left`);
  }

  async #becomes(so: () => Promise<boolean>): Promise<boolean> {
    for (let waits = 0; waits < patience; waits += 1) {
      if (await so()) return true;
      await this.#machine.sleep(patienceMs);
    }
    return await so();
  }

  async #alone(images: readonly Image[]): Promise<number> {
    const refs = images.map((image) => this.#refOf(image));
    return (await this.#machine.until(this.#machine.server.exclusive(refs))) / blockBytes;
  }

  async #eachAlone(): Promise<string> {
    const wrong: string[] = [];
    for (const image of this.#model.images) {
      const [blocks, alone] = [await this.#alone([image]), this.#model.holding([image])?.alone];
      if (blocks !== alone) wrong.push(`${image.name} holds ${blocks}, not ${alone}`);
    }
    return wrong.join('; ');
  }
}

const byName = (a: readonly unknown[], b: readonly unknown[]): number =>
  String(a[0]) < String(b[0]) ? -1 : 1;
