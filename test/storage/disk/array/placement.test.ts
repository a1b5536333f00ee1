/** Whatever is formed, lost, added, drained: no extent twice, no zone twice on a disk, and it all ends. */
import test from 'ava';
import fc from 'fast-check';
import { planAdd, planDrain, planRemoval } from '#storage/disk/array/change.ts';
import { type Layout, shapeOf } from '#storage/disk/array/geometry.ts';
import {
  formZone,
  freeExtent,
  idealZones,
  isFormed,
  nextMove,
  roomOf,
  usedExtents,
} from '#storage/disk/array/placement.ts';
import {
  type DiskEntry,
  DiskState,
  diskOf,
  placeOf,
  type Table,
} from '#storage/disk/array/table.ts';

const entry = (number: number, extents: number): DiskEntry => ({
  id: number.toString(16).padStart(32, '0'),
  state: DiskState.in,
  extents,
  size: extents * 2 ** 20,
  leaves: false,
  since: 0,
  path: `/disk${number}`,
});

const shapes = fc.constantFrom<[Layout, number]>(
  ['single', 1],
  ['striped', 3],
  ['mirrored', 1],
  ['parity', 2],
  ['parity', 4],
);

function check(t: { true(value: boolean, message?: string): unknown }, table: Table): void {
  const { width } = shapeOf(table.layout, table.columns);
  const places = [...table.zones].filter((place) => place !== 0);
  t.true(new Set(places).size === places.length, 'no extent twice');
  for (let zone = 0; zone * width < table.zones.length; zone += 1) {
    const disks = [...table.zones.subarray(zone * width, (zone + 1) * width)];
    if (disks[0] === 0) continue;
    t.true(
      new Set(disks.map(diskOf)).size === width,
      'a zone is on as many disks as it has places',
    );
  }
  usedExtents(table).forEach((used, disk) => {
    t.true(used <= (table.disks[disk]?.extents ?? 0), 'no disk holds more than it has');
  });
  t.true(roomOf(table).sound);
}

/** Moves until nothing is to be moved; more than so many would be for ever. */
function settle(table: Table, most: number): Table {
  const { width } = shapeOf(table.layout, table.columns);
  let now = table;
  for (let moves = 0; ; moves += 1) {
    const move = nextMove(now);
    if (move === null) return now;
    if (moves > most) throw new Error('it moves for ever');
    const zones = now.zones.slice();
    zones[move.zone * width + move.index] = placeOf(move.to, freeExtent(now, move.to));
    now = { ...now, zones };
  }
}

const step = fc.record({
  kind: fc.constantFrom('form', 'form', 'form', 'add', 'drain', 'lose', 'settle', 'remove'),
  which: fc.nat(20),
  extents: fc.integer({ min: 1, max: 30 }),
});

test('any sequence of changes', (t) => {
  fc.assert(
    fc.property(shapes, fc.array(step, { maxLength: 60 }), ([layout, columns], steps) => {
      const { width, spare } = shapeOf(layout, columns);
      let table: Table = {
        version: 1,
        layout,
        columns,
        zoneSegments: 4,
        disks: Array.from({ length: width + 1 }, (_, index) => entry(index, 10 + index)),
        zones: new Uint32Array(0),
      };
      let lost = 0;
      for (const { kind, which, extents } of steps) {
        table = taken(table, kind, which, extents, lost < spare);
        lost = table.disks.filter((each) => each?.state === DiskState.out).length;
        check(t, table);
      }
      const settled = settle(table, 2000);
      check(t, settled);
    }),
    { numRuns: 150 },
  );
});

function taken(
  table: Table,
  kind: string,
  which: number,
  extents: number,
  mayLose: boolean,
): Table {
  const { width } = shapeOf(table.layout, table.columns);
  const disk = which % table.disks.length;
  const state = table.disks[disk]?.state;
  try {
    switch (kind) {
      case 'form': {
        const { total } = roomOf(table);
        let zone = 0;
        while (zone < total && isFormed(table, width, zone)) zone += 1;
        if (zone === total) return table;
        const zones = formZone(table, zone);
        if (zones === null) throw new Error('a zone that there is cannot be formed');
        return { ...table, zones };
      }
      case 'add':
        return planAdd(table, entry(which + 100, extents), [], 0).table;
      case 'drain':
        return state === DiskState.in ? planDrain(table, disk, false, 0).table : table;
      case 'remove':
        return state === undefined ? table : planRemoval(table, disk).table;
      case 'lose': {
        if (!mayLose || state !== DiskState.in) return table;
        const disks = [...table.disks];
        disks[disk] = { ...disks[disk]!, state: DiskState.out };
        return { ...table, disks };
      }
      default:
        return settle(table, 2000);
    }
  } catch (error) {
    // A plan that cannot be carried out is refused.
    if (['NO_SPACE', 'IN_USE', 'INVALID'].includes((error as { code?: string }).code ?? ''))
      return table;
    throw error;
  }
}

test('a disk that is added to full ones is used, by moving what makes room for new zones', (t) => {
  let table: Table = {
    version: 1,
    layout: 'parity',
    columns: 2,
    zoneSegments: 4,
    disks: [entry(0, 19), entry(1, 19), entry(2, 19)],
    zones: new Uint32Array(0),
  };
  for (let zone = 0; zone < 19; zone += 1) table = { ...table, zones: formZone(table, zone)! };
  t.is(roomOf(table).total, 19);
  table = settle(planAdd(table, entry(3, 19), [], 0).table, 100);
  t.is(roomOf(table).total, idealZones(table));
  t.is(roomOf(table).total, 25);
});

test('a lost disk takes no capacity away', (t) => {
  const table: Table = {
    version: 1,
    layout: 'mirrored',
    columns: 1,
    zoneSegments: 4,
    disks: [entry(0, 10), { ...entry(1, 10), state: DiskState.out }],
    zones: new Uint32Array(0),
  };
  t.is(roomOf(table).total, 10);
  t.deepEqual([...formZone(table, 0)!].map(diskOf), [0, 1]);
});
