/**
 * A crash between any two steps of a change of the catalog, before or after the step took effect,
 * leaves a store that opens, in which every disk is as before the change or as after it, and has its
 * content exactly if it is there.
 */
import test from 'ava';
import { blockBytes } from '#storage/map/blocks.ts';
import type { Catalog } from '#storage/volume/catalog.ts';
import { eachDeath, fill, megabyte, Steps, World } from './kit.ts';

interface Case {
  readonly name: string;
  readonly change: (catalog: Catalog) => Promise<unknown>;
}

const cases: readonly Case[] = [
  { name: 'create', change: (c) => c.create({ name: 'new', size: megabyte }) },
  {
    name: 'create thick',
    change: (c) => c.create({ name: 'new', size: megabyte, reserved: true }),
  },
  {
    name: 'create thick when a removed disk must give way',
    change: (c) => c.create({ name: 'new', size: 13 * megabyte, reserved: true }),
  },
  { name: 'rename', change: (c) => c.rename(c.find('thin')!.id, 'other') },
  {
    name: 'attributes',
    change: (c) => c.setAttributes(c.find('thin')!.id, (old) => ({ ...old, iqn: 'x' })),
  },
  { name: 'grow thin', change: (c) => c.resize(c.find('thin')!.id, 8 * megabyte) },
  { name: 'grow thick', change: (c) => c.resize(c.find('thick')!.id, 2 * megabyte) },
  {
    name: 'shrink thin',
    change: (c) => c.resize(c.find('thin')!.id, megabyte / 2, { force: true }),
  },
  {
    name: 'shrink thick',
    change: (c) => c.resize(c.find('thick')!.id, megabyte / 2, { force: true }),
  },
  { name: 'remove', change: (c) => c.remove(c.find('thin')!.id) },
  { name: 'undelete', change: (c) => c.undelete(c.removed()[0]!.id, 'back') },
  { name: 'purge', change: (c) => c.purge(c.removed()[0]!.id) },
];

/** A thin disk, a thick one, and a removed one, all with data. */
async function furnish(world: World): Promise<void> {
  const { catalog, directory } = await world.open(new Steps());
  const thin = await catalog.create({ name: 'thin', size: megabyte, attributes: { iqn: 'a' } });
  const thick = await catalog.create({ name: 'thick', size: megabyte, reserved: true });
  const gone = await catalog.create({ name: 'gone', size: 4 * megabyte });
  fill(world, thin.ref, 0, 256);
  fill(world, thick.ref, 0, 256);
  fill(world, gone.ref, 0, 1024);
  await catalog.remove(gone.id);
  await catalog.close();
  await directory.close();
}

const summary = (catalog: Catalog): string =>
  JSON.stringify([...catalog.list(), ...catalog.removed()].map((record) => ({ ...record, id: 0 })));

for (const { name, change } of cases) {
  test(name, async (t) => {
    const intact = new World();
    await furnish(intact);
    const steps = new Steps();
    const { catalog } = await intact.open(steps);
    const before = summary(catalog);
    const begun = steps.taken;
    await change(catalog);
    const after = summary(catalog);
    const total = steps.taken - begun;
    t.not(before, after);
    const seen = await eachDeath(t, furnish, change, total, (world, which) =>
      check(t, world, [before, after], `${name}, ${which}`),
    );
    t.log(`${seen} crash points`);
  });
}

/** Wall time does not move in these tests, so summaries compare whole, ids left out. */
async function check(
  t: {
    fail(message: string): void;
    true(value: boolean, message: string): void;
    is: <T>(a: T, b: T, message: string) => void;
  },
  world: World,
  allowed: readonly string[],
  what: string,
): Promise<void> {
  const { catalog, directory } = await world.open(new Steps());
  const records = [...catalog.list(), ...catalog.removed()];
  const now = summary(catalog);
  // A removed disk that gave way for a creation that was then undone is gone: that is allowed.
  const purged = JSON.stringify(
    (JSON.parse(allowed[0]!) as { removed: unknown }[]).filter((one) => one.removed === null),
  );
  const excused = what.includes('give way') && now === purged;
  t.true(allowed.includes(now) || excused, `${what}: ${now}`);
  const refs = [...world.blocks.refs()].sort((a, b) => a - b);
  t.is(`${refs}`, `${records.map(({ ref }) => ref).sort((a, b) => a - b)}`, what);
  for (const { ref, size, reserved } of records) {
    t.is(world.blocks.usage(ref).reserved, reserved ? size / blockBytes : 0, what);
    const past = world.blocks.extentNow(ref, size / blockBytes, 2048);
    t.true(!past.mapped && past.count === 2048, `${what}: data past the end`);
  }
  const { entries } = await directory.list('intent/');
  t.is(entries.length, 0, what);
  // And it can be used: names that are free are free.
  for (const free of ['new', 'other', 'back', 'gone']) {
    if (catalog.find(free) === null) await catalog.create({ name: free, size: blockBytes });
  }
  await catalog.close();
  await directory.close();
}
