/**
 * A crash between any two steps of a change of snapshots and clones, before or after the step took effect, leaves a
 * store that opens, in which every disk and snapshot is as before the change or as after it: its record, its content
 * and its name, all of a group or none of it.
 */
import test, { type ExecutionContext } from 'ava';
import { blockBytes } from '#storage/map/blocks.ts';
import type { Catalog } from '#storage/volume/catalog.ts';
import { eachDeath, fill, megabyte, Steps, World } from './kit.ts';

interface Case {
  readonly name: string;
  readonly change: (catalog: Catalog) => Promise<unknown>;
  /** States between before and after that people may find: each snapshot goes on its own. */
  readonly between?: (now: State, before: State, after: State) => boolean;
}

interface State {
  readonly disks: readonly string[];
  readonly snapshots: readonly string[];
}

const thin = (catalog: Catalog): string => catalog.find('thin')!.id;
const snapshot = (catalog: Catalog, name: string): string =>
  catalog.snapshots.find(thin(catalog), name)!.id;

const cases: readonly Case[] = [
  { name: 'snapshot', change: (c) => c.snapshots.create([thin(c)], 'new') },
  {
    name: 'snapshot of several',
    change: (c) => c.snapshots.create([thin(c), c.find('thick')!.id], 'new', () => ({ iqn: 'x' })),
  },
  { name: 'clone', change: (c) => c.clone(snapshot(c, 'old'), { name: 'fork' }) },
  {
    name: 'thick clone',
    change: (c) => c.clone(snapshot(c, 'old'), { name: 'fork', reserved: true }),
  },
  { name: 'rename', change: (c) => c.snapshots.rename(snapshot(c, 'old'), 'older') },
  { name: 'template', change: (c) => c.snapshots.setTemplate(snapshot(c, 'old'), true) },
  {
    name: 'attributes',
    change: (c) => c.snapshots.setAttributes(snapshot(c, 'old'), () => ({ iqn: 'y' })),
  },
  { name: 'delete', change: (c) => c.snapshots.remove(snapshot(c, 'old')) },
  {
    name: 'delete all of a disk',
    change: (c) => c.snapshots.removeAllOf(thin(c)),
    between: (now, before, after) =>
      same(now.disks, before.disks) &&
      now.snapshots.every((one) => before.snapshots.includes(one)) &&
      after.snapshots.every((one) => now.snapshots.includes(one)),
  },
  {
    name: 'rollback',
    change: (c) => c.snapshots.rollback(snapshot(c, 'old'), 'kept'),
    // The snapshot that it takes first may be there alone.
    between: (now, before, after) =>
      same(now.disks, before.disks) && same(now.snapshots, after.snapshots),
  },
];

/** Disk "thin" has shrunk since its snapshot "old"; "thick" is thick; a clone lives beside them. */
async function furnish(world: World): Promise<void> {
  const { catalog, directory } = await world.open(new Steps());
  const disk = await catalog.create({ name: 'thin', size: megabyte });
  const thick = await catalog.create({ name: 'thick', size: megabyte / 2, reserved: true });
  fill(world, disk.ref, 0, 256);
  fill(world, thick.ref, 0, 16);
  const [old] = await catalog.snapshots.create([disk.id], 'old');
  await catalog.resize(disk.id, megabyte / 2, { force: true });
  fill(world, disk.ref, 0, 8);
  await catalog.snapshots.create([disk.id], 'newer');
  await catalog.clone(old!.id, { name: 'other' });
  await catalog.close();
  await directory.close();
}

const same = (a: readonly string[], b: readonly string[]): boolean => `${a}` === `${b}`;

/** Records without what is random, each with its content. */
function stateOf(world: World, catalog: Catalog): State {
  const held = (ref: number): string => {
    const { content } = world.blocks.spaces.get(ref)!;
    return [...content]
      .map(([at, data]) => `${at}:${data[0]}`)
      .sort()
      .join();
  };
  const names = new Map(catalog.list().map(({ id, name }) => [id, name]));
  return {
    disks: catalog.list().map((one) => {
      const { name, size, reserved, origin } = one;
      return JSON.stringify([name, size, reserved, origin?.name, held(one.ref)]);
    }),
    snapshots: catalog.snapshots.list().map((one) => {
      const { name, size, template, group, attributes, ref, disk } = one;
      const whole = group !== null;
      return JSON.stringify([names.get(disk), name, size, template, whole, attributes, held(ref)]);
    }),
  };
}

for (const { name, change, between } of cases) {
  test(name, async (t) => {
    const intact = new World();
    await furnish(intact);
    const steps = new Steps();
    const { catalog } = await intact.open(steps);
    const before = stateOf(intact, catalog);
    const begun = steps.taken;
    await change(catalog);
    const after = stateOf(intact, catalog);
    t.notDeepEqual(before, after);
    const total = steps.taken - begun;
    const same = (one: State, other: State): boolean =>
      JSON.stringify(one) === JSON.stringify(other);
    const allowed = (now: State): boolean =>
      same(now, before) || same(now, after) || between?.(now, before, after) === true;
    const seen = await eachDeath(t, furnish, change, total, (world, which) =>
      check(t, world, allowed, `${name}, ${which}`),
    );
    t.log(`${seen} crash points`);
  });
}

async function check(
  t: ExecutionContext,
  world: World,
  allowed: (now: State) => boolean,
  what: string,
): Promise<void> {
  const { catalog, directory } = await world.open(new Steps());
  const now = stateOf(world, catalog);
  t.true(allowed(now), `${what}: ${JSON.stringify(now)}`);
  const owned = [...catalog.list(), ...catalog.snapshots.list()].map(({ ref }) => ref);
  const refs = [...world.blocks.refs()].sort((a, b) => a - b);
  t.deepEqual(
    refs,
    owned.sort((a, b) => a - b),
    `${what}: spaces and records`,
  );
  for (const { ref, size } of catalog.list()) {
    t.false(world.blocks.extentNow(ref, size / blockBytes, 2048).mapped, `${what}: past the end`);
  }
  t.deepEqual((await directory.list('intent/')).entries, [], what);
  // Names that are free can be taken.
  for (const free of ['new', 'kept', 'older', 'old']) {
    if (catalog.snapshots.find(thin(catalog), free) !== null) continue;
    await catalog.snapshots.create([thin(catalog)], free);
  }
  if (catalog.find('fork') === null) await catalog.create({ name: 'fork', size: blockBytes });
  await catalog.close();
  await directory.close();
}
