/**
 * The changes of a store's catalog as the plain model has them: what is done, what the model is afterwards, and
 * how one tells after a crash whether it took place.
 */
import {
  apply,
  type Cut,
  checkCut,
  Difference,
  type Explained,
  explain,
  type ModelDisk,
  type ModelSnapshot,
  stampIn,
} from './volume-model.ts';
import type { Change, World } from './volume-world.ts';

const blockBytes = 4096;

const without = <T>(list: T[], one: T): void => {
  list.splice(list.indexOf(one), 1);
};

/** `kind`: of some room is promised, some are sealed under a key of their own. */
export function create(world: World, size: number, kind: number): Change {
  const { model } = world;
  const { catalog } = world.server;
  const name = model.newName('disk');
  const done = () => {
    model.disks.push(model.make(name, new Array<number>(size).fill(0), null));
  };
  return {
    what: 'create',
    work: () =>
      catalog.create({
        ...{ name, size: size * blockBytes },
        ...{ reserved: kind % 8 === 0, erasable: kind % 8 === 1 },
      }),
    done,
    after: async () => {
      if (world.server.catalog.find(name) !== null) done();
    },
  };
}

export function clone(world: World, snapshot: ModelSnapshot, kind: number): Change {
  const { model } = world;
  const name = model.newName('clone');
  const id = world.snapshotId(snapshot.disk, snapshot.name);
  const done = () => {
    model.disks.push(model.make(name, [...snapshot.cells], snapshot));
  };
  return {
    what: 'clone',
    work: () => world.server.catalog.clone(id, { name, reserved: kind % 8 === 0 }),
    done,
    after: async () => {
      if (world.server.catalog.find(name) !== null) done();
    },
  };
}

export function resize(world: World, disk: ModelDisk, size: number): Change {
  const { id } = world.record(disk);
  return {
    what: size > disk.cells.length ? 'grow' : 'shrink',
    work: () => world.server.catalog.resize(id, size * blockBytes, { force: true }),
    done: () => world.model.resize(disk, size),
    after: async () => {
      if (world.record(disk).size === size * blockBytes) world.model.resize(disk, size);
    },
    refuses: { disk, size },
  };
}

/** What is in a cut that was made until `ended`. What is in it is durable. */
async function look(world: World, cut: Cut, name: string, ended: number): Promise<Explained> {
  const volume = world.server.snapshotVolume(world.snapshotId(cut.disk, name));
  const stamps = await world.read(volume, 0, cut.cells.length);
  if (volume.record.size !== cut.cells.length * blockBytes) {
    throw new Difference(`snapshot ${name} has ${volume.record.size} bytes`);
  }
  const parts = cut.parts.filter(({ issued }) => issued < ended);
  const must = ({ acked }: { acked: number }): boolean => acked < cut.began;
  const explained = explain(`${cut.disk.name}@${name}`, stamps, cut.cells, parts, must);
  const lasting = explained.present.filter(({ stamp }) => stamp !== 0);
  world.model.acknowledge(cut.disk, lasting);
  return explained;
}

export function snapshot(world: World, disks: readonly ModelDisk[]): Change {
  const { model } = world;
  const name = model.newName('snap');
  const ids = disks.map((disk) => world.record(disk).id);
  const cuts = disks.map((disk) => model.cut(disk));
  let ended = Number.POSITIVE_INFINITY;
  const check = async (): Promise<void> => {
    const group: Explained[] = [];
    for (const cut of cuts) group.push(await look(world, cut, name, ended));
    checkCut(group);
    model.end(cuts);
    cuts.forEach(({ disk }, index) => {
      model.snapshot(disk, name, group[index]!.cells);
    });
  };
  return {
    what: disks.length > 1 ? 'group snapshot' : 'snapshot',
    work: () => world.server.catalog.snapshots.create(ids, name),
    done: () => {
      ended = model.now();
    },
    check,
    after: async () => {
      const { catalog } = world.server;
      if (disks.some((disk) => catalog.snapshots.find(world.record(disk).id, name) !== null)) {
        await check();
      }
    },
  };
}

export function rollback(world: World, to: ModelSnapshot): Change {
  const { model } = world;
  const { disk } = to;
  const name = model.newName('kept');
  const id = world.snapshotId(disk, to.name);
  const cut = model.cut(disk);
  /** All that was in flight is in what is kept; whoever came later waited. */
  const keep = (): void => {
    model.end([cut]);
    const before = cut.parts.filter(({ issued }) => issued < cut.began);
    const kept = [...cut.cells];
    for (const part of before) apply(kept, part);
    model.snapshot(disk, name, kept);
    disk.cells = kept;
    disk.parts = cut.parts.filter((part) => !before.includes(part));
  };
  const back = (): void => {
    disk.cells = [...to.cells];
    model.resize(disk, to.cells.length);
    if (to.vague) disk.vague = true;
  };
  return {
    what: 'rollback',
    work: () => world.server.rollback(id, name),
    done: () => {
      const late = cut.parts.find(({ issued, acked }) => issued < cut.began && acked === Infinity);
      if (late !== undefined) throw new Difference(`a rollback passed write ${late.stamp}`);
      keep();
      back();
    },
    after: async () => {
      const { id: diskId, size } = world.record(disk);
      if (world.server.catalog.snapshots.find(diskId, name) === null) {
        model.end([cut]);
        return;
      }
      keep();
      disk.parts = [];
      const is = await world.read(world.volumeOf(disk), 0, size / blockBytes);
      const { cells } = to;
      if (is.length === cells.length && is.every((stamp, at) => stamp === stampIn(cells[at]!))) {
        back();
      }
    },
    refuses: { disk, size: to.cells.length },
  };
}

export function remove(world: World, disk: ModelDisk): Change {
  const { model } = world;
  const { id } = world.record(disk);
  const done = () => {
    without(model.disks, disk);
    model.removed.push(disk);
  };
  return {
    what: 'remove',
    work: () => world.server.catalog.remove(id),
    done,
    after: async () => {
      if (world.server.catalog.find(disk.name) === null) done();
    },
    refuses: { disk, size: -1 },
  };
}

export function undelete(world: World, disk: ModelDisk): Change {
  const { model } = world;
  const removed = world.server.catalog.removed().find(({ name }) => name === disk.name);
  if (removed === undefined) throw new Difference(`removed disk ${disk.name} is not there`);
  const done = () => {
    without(model.removed, disk);
    model.disks.push(disk);
  };
  return {
    what: 'undelete',
    work: () => world.server.catalog.undelete(removed.id),
    done,
    // A crash may have decided what of it is there while nobody could look.
    check: async () => {
      await world.settleHosts();
      await world.resolve(disk);
    },
    after: async () => {
      if (world.server.catalog.find(disk.name) !== null) done();
    },
  };
}

export function purge(world: World, disk: ModelDisk): Change {
  const { model } = world;
  const removed = world.server.catalog.removed().find(({ name }) => name === disk.name);
  if (removed === undefined) throw new Difference(`removed disk ${disk.name} is not there`);
  const done = () => without(model.removed, disk);
  return {
    what: 'purge',
    work: () => world.server.catalog.purge(removed.id),
    done,
    after: async () => {
      if (world.server.catalog.get(removed.id) === null) done();
    },
  };
}

export function removeSnapshot(world: World, gone: ModelSnapshot): Change {
  const { disk, name } = gone;
  const id = world.snapshotId(disk, name);
  const done = () => without(disk.snapshots, gone);
  return {
    what: 'delete snapshot',
    work: () => world.server.catalog.snapshots.remove(id),
    done,
    after: async () => {
      if (world.server.catalog.snapshots.get(id) === null) done();
    },
  };
}

/** One after the other, the oldest first. */
export function removeSnapshots(world: World, disk: ModelDisk): Change {
  const { id } = world.record(disk);
  return {
    what: 'delete all snapshots',
    work: () => world.server.catalog.snapshots.removeAllOf(id),
    done: () => {
      disk.snapshots = [];
    },
    after: async () => {
      const left = world.server.catalog.snapshots.of(id).length;
      disk.snapshots = left === 0 ? [] : disk.snapshots.slice(-left);
    },
  };
}

/** Content does not change, whatever becomes of it. */
export function flatten(world: World, disk: ModelDisk, bytesPerSecond: number): Change {
  const { id } = world.record(disk);
  return {
    what: 'flatten',
    work: () => world.server.flattener.start(id, bytesPerSecond),
    done: () => {},
    after: async () => {},
  };
}

export function cancelFlatten(world: World, disk: ModelDisk): Change {
  const { id } = world.record(disk);
  world.cancelling = disk;
  return {
    what: 'cancel flatten',
    work: () => world.server.flattener.cancel(id),
    done: () => {
      world.cancelling = null;
    },
    after: async () => {},
  };
}
