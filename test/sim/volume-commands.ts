/**
 * What may be done to a store, as commands of fast-check: each chosen by a few numbers that are read against the
 * model as it then is, so that what is left of a failing run after shrinking still means something.
 */
import fc from 'fast-check';
import type { CrashMode } from './disk.ts';
import * as changes from './volume-changes.ts';
import type { ModelDisk, VolumeModel } from './volume-model.ts';
import type { Change, World } from './volume-world.ts';

/** Images at most: living and removed disks, snapshots. */
const imagesMax = 28;
const blocksMost = 200;
/** Changes of hosts in flight at most. */
const depth = 12;

export type Command = fc.AsyncCommand<VolumeModel, World>;
type Numbers = readonly [number, number, number];

interface Kind {
  readonly name: string;
  readonly weight: number;
  readonly may?: (model: VolumeModel) => boolean;
  readonly run: (world: World, model: VolumeModel, numbers: Numbers) => Promise<void>;
}

const pick = <T>(list: readonly T[], number: number): T => list[number % list.length]!;
const room = (model: VolumeModel): boolean => model.images.length < imagesMax;
const someDisk = (model: VolumeModel): boolean => model.disks.length > 0;
const someSnapshot = (model: VolumeModel): boolean => model.snapshots.length > 0;

/** Half of the time it is waited for; else so many things happen, and others come or the power goes. */
async function after(world: World, number: number, change: Change): Promise<void> {
  await world.begin(change);
  if (number % 2 === 0) return world.settleChange();
  await world.machine.run((number >> 5) % 24);
  if ((number >> 1) % world.crashEvery === 0) await crash(world, number >> 10, number >> 12);
}

async function crash(world: World, mode: number, back: number): Promise<void> {
  world.count(world.going === null ? 'crash' : 'crash in a change');
  const modes: readonly CrashMode[] = ['tear', 'drop', 'keep'];
  await world.crash(pick(modes, mode), back % 8 === 0);
}

async function host(world: World, disk: ModelDisk, numbers: Numbers, unmap: boolean) {
  const [, at, how] = numbers;
  const size = disk.cells.length;
  const first = at % size;
  const most = unmap ? 60 : how % 16 === 0 ? 40 : 12;
  world.host(disk, first, 1 + (how % Math.min(most, size - first)), unmap);
  if (how % 3 === 0) await world.machine.run(how % 5);
  if (world.inFlight > depth) await world.settleHosts();
}

const kinds: readonly Kind[] = [
  {
    name: 'write',
    weight: 640,
    may: someDisk,
    run: (world, model, numbers) => host(world, pick(model.disks, numbers[0]), numbers, false),
  },
  {
    name: 'unmap',
    weight: 90,
    may: someDisk,
    run: (world, model, numbers) => host(world, pick(model.disks, numbers[0]), numbers, true),
  },
  {
    name: 'write in a row',
    weight: 30,
    may: someDisk,
    run: async (world, model, [which, at, how]) => {
      const count = 2 + (how % 5);
      const disks = Array.from({ length: count }, (_, index) => pick(model.disks, which + index));
      world.row(disks, at);
      if (how % 3 === 0) await world.machine.run(how % 5);
      if (world.inFlight > depth) await world.settleHosts();
    },
  },
  {
    name: 'read',
    weight: 60,
    may: someDisk,
    run: (world, model, [which, at, count]) => world.glance(pick(model.disks, which), at, count),
  },
  {
    name: 'read snapshot',
    weight: 8,
    may: someSnapshot,
    run: (world, model, [which]) => world.compare(pick(model.snapshots, which)),
  },
  {
    name: 'create',
    weight: 12,
    may: room,
    run: (world, _, [size, kind, wait]) =>
      after(world, wait, changes.create(world, 1 + (size % blocksMost), kind)),
  },
  {
    name: 'resize',
    weight: 24,
    may: someDisk,
    run: async (world, model, [which, size, wait]) => {
      const disk = pick(model.disks, which);
      const to = 1 + (size % blocksMost);
      if (to !== disk.cells.length) await after(world, wait, changes.resize(world, disk, to));
    },
  },
  {
    name: 'snapshot',
    weight: 34,
    may: (model) => someDisk(model) && room(model),
    run: (world, model, [which, more, wait]) => {
      const count = Math.min(more % 2 === 0 ? 1 : 1 + (more % 4), imagesMax - model.images.length);
      const disks = new Set(
        Array.from({ length: count }, (_, at) => pick(model.disks, which + at)),
      );
      return after(world, wait, changes.snapshot(world, [...disks]));
    },
  },
  {
    name: 'clone',
    weight: 18,
    may: (model) => someSnapshot(model) && room(model),
    run: (world, model, [which, kind, wait]) =>
      after(world, wait, changes.clone(world, pick(model.snapshots, which), kind)),
  },
  {
    name: 'rollback',
    weight: 14,
    may: (model) => someSnapshot(model) && room(model),
    run: (world, model, [which, , wait]) =>
      after(world, wait, changes.rollback(world, pick(model.snapshots, which))),
  },
  {
    name: 'delete snapshot',
    weight: 36,
    may: someSnapshot,
    run: (world, model, [which, , wait]) =>
      after(world, wait, changes.removeSnapshot(world, pick(model.snapshots, which))),
  },
  {
    name: 'delete all snapshots',
    weight: 4,
    may: someSnapshot,
    run: (world, model, [which, , wait]) =>
      after(world, wait, changes.removeSnapshots(world, pick(model.snapshots, which).disk)),
  },
  {
    name: 'remove',
    weight: 24,
    may: (model) => model.disks.some(({ snapshots }) => snapshots.length === 0),
    run: (world, model, [which, , wait]) => {
      const bare = model.disks.filter(({ snapshots }) => snapshots.length === 0);
      return after(world, wait, changes.remove(world, pick(bare, which)));
    },
  },
  {
    name: 'undelete',
    weight: 6,
    may: ({ removed }) => removed.length > 0,
    run: (world, model, [which, , wait]) =>
      after(world, wait, changes.undelete(world, pick(model.removed, which))),
  },
  {
    name: 'purge',
    weight: 16,
    may: ({ removed }) => removed.length > 0,
    run: (world, model, [which, , wait]) =>
      after(world, wait, changes.purge(world, pick(model.removed, which))),
  },
  {
    name: 'flatten',
    weight: 6,
    may: someDisk,
    run: (world, model, [which, pace, wait]) => {
      const clones = model.disks.filter(({ cloned }) => cloned);
      const disk = pick(clones.length > 0 ? clones : model.disks, which);
      return after(world, wait, changes.flatten(world, disk, 2 ** (21 + (pace % 8))));
    },
  },
  {
    name: 'cancel flatten',
    weight: 2,
    may: ({ disks }) => disks.some(({ flattening }) => flattening),
    run: (world, model, [which, , wait]) => {
      const disks = model.disks.filter(({ flattening }) => flattening);
      return after(world, wait, changes.cancelFlatten(world, pick(disks, which)));
    },
  },
  {
    name: 'crash',
    weight: 3,
    run: async (world, _, [mode, back, events]) => {
      await world.machine.run(events % 24);
      await crash(world, mode, back);
    },
  },
  {
    name: 'restart',
    weight: 1,
    run: async (world) => {
      world.count('restart');
      await world.restart();
    },
  },
  {
    name: 'lose a disk',
    weight: 2,
    run: (world, _, [which, wait, kind]) => world.lose(which, wait % 2 === 0, kind % 2 === 0),
  },
  {
    name: 'replace a disk',
    weight: 6,
    run: (world, _, [wait, events]) => world.replace(wait % 3 === 0, events % 40),
  },
  {
    name: 'wait',
    weight: 10,
    run: (world, _, [ms]) => world.machine.sleep(1 + (ms % 400)),
  },
  {
    name: 'scrub',
    weight: 1,
    run: async (world) => {
      world.count('scrub');
      world.server.startScrub();
    },
  },
  {
    name: 'look',
    weight: 3,
    run: async (world, _, [some]) => {
      world.count('look');
      const bits = some | 1;
      await world.look(
        ({ name }) => ((bits >> (Number(/\d+$/.exec(name)?.[0] ?? 30) % 29)) & 1) === 1,
      );
    },
  },
];

class ModelCommand implements Command {
  readonly #kind: Kind;
  readonly #numbers: Numbers;

  constructor(kind: Kind, numbers: Numbers) {
    this.#kind = kind;
    this.#numbers = numbers;
  }

  check(model: Readonly<VolumeModel>): boolean {
    return this.#kind.may?.(model as VolumeModel) ?? true;
  }

  async run(model: VolumeModel, world: World): Promise<void> {
    // A change under way may take away what was there when this was asked.
    if (
      world.going !== null &&
      !['write', 'write in a row', 'unmap', 'read', 'crash', 'wait'].includes(this.#kind.name)
    ) {
      await world.settleChange();
      if (!this.check(model)) return;
    }
    await this.#kind.run(world, model, this.#numbers);
    world.checkTold();
  }

  toString(): string {
    return `${this.#kind.name}(${this.#numbers.join(',')})`;
  }
}

/** So many commands at most, half of that on average. */
export function commands(most: number, replayPath?: string) {
  const number = fc.nat({ max: 2 ** 16 - 1 });
  const numbers = fc.tuple(number, number, number);
  const arbitrary = fc.oneof(
    ...kinds.map((kind) => ({
      weight: kind.weight,
      arbitrary: numbers.map((each): Command => new ModelCommand(kind, each)),
    })),
  );
  const replay = replayPath === undefined ? {} : { replayPath };
  return fc.commands<VolumeModel, World, false>([arbitrary], {
    maxCommands: most,
    size: 'max',
    ...replay,
  });
}
