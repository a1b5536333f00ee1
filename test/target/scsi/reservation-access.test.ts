/**
 * Whom each type of reservation keeps out of what (SPC-4 table 65, SBC-3 table 13), for the holder, a
 * registered nexus and a stranger, over every command of the dispatch table that touches the matter.
 */
import test from 'ava';
import type { Nexus } from '../../../target/scsi/nexus.ts';
import { cdb, nexus, sector, TestTask, verdict, World } from './kit.ts';

function keys(key: number, serviceKey: number): Uint8Array {
  const out = new Uint8Array(24);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(key));
  view.setBigUint64(8, BigInt(serviceKey));
  return out;
}

async function out(world: World, from: Nexus, action: number, list: Uint8Array, type = 0) {
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  const command = `5f ${hex(action)} ${hex(type)} 0000 00000018`;
  return verdict(await world.run(command, { from, out: list }));
}

/** What is refused: W writes, R reads. */
const matrix: readonly (readonly [number, string, string, string])[] = [
  // type, name, registered, stranger
  [1, 'write exclusive', 'W', 'W'],
  [3, 'exclusive access', 'RW', 'RW'],
  [5, 'write exclusive, registrants only', '', 'W'],
  [6, 'exclusive access, registrants only', '', 'RW'],
  [7, 'write exclusive, all registrants', '', 'W'],
  [8, 'exclusive access, all registrants', '', 'RW'],
];

const commands: readonly (readonly [string, 'R' | 'W' | '', number])[] = [
  ['00', '', 0],
  ['03 00 00 00 12', '', 0],
  ['12 00 00 00 24', '', 0],
  ['a0 00 00 000000 00000010', '', 0],
  ['25', '', 0],
  ['9e 10 0000000000000000 00000020', '', 0],
  ['4d 00 00 00 00 0000 00ff', '', 0],
  ['a3 0a 0000 0000 000000ff', '', 0],
  ['5e 00 00 00 00 00 00 00ff', '', 0],
  ['1b 00 00 00 01', '', 0],
  ['08 000000 01', 'R', 0],
  ['28 00 00000000 00 0001', 'R', 0],
  ['a8 00 00000000 00000001', 'R', 0],
  ['88 00 0000000000000000 00000001', 'R', 0],
  ['2f 00 00000000 00 0001', 'R', 0],
  ['34 00 00000000 00 0001', 'R', 0],
  ['9e 12 0000000000000000 00000018', 'R', 0],
  ['1a 00 3f 00 ff', 'R', 0],
  ['a3 0c 00 00 0000 000000ff', 'R', 0],
  ['0a 000000 01', 'W', sector],
  ['2a 00 00000000 00 0001', 'W', sector],
  ['8a 00 0000000000000000 00000001', 'W', sector],
  ['2e 00 00000000 00 0001', 'W', sector],
  ['41 00 00000000 00 0001', 'W', sector],
  ['93 01 0000000000000000 00000001', 'W', 0],
  ['42 00 00000000 00 0000', 'W', 0],
  ['89 00 0000000000000000 000000 01', 'W', 2 * sector],
  ['8b 00 0000000000000000 00000001', 'W', sector],
  ['35', 'W', 0],
  ['15 10 00 00 00', 'W', 0],
  ['1b 00 00 00 00', 'W', 0],
];

for (const [type, name, registered, stranger] of matrix) {
  test(name, async (t) => {
    const world = new World();
    await world.attach(world.a, world.b, world.c);
    t.is(await out(world, world.a, 0, keys(0, 1)), '00');
    t.is(await out(world, world.b, 0, keys(0, 2)), '00');
    t.is(await out(world, world.a, 1, keys(1, 0), type), '00');
    for (const [command, kind, length] of commands) {
      const options = length === 0 ? {} : { out: new Uint8Array(length) };
      const run = async (from: Nexus) => verdict(await world.run(command, { ...options, from }));
      const refused = (kinds: string) => (kind !== '' && kinds.includes(kind) ? '18' : '00');
      t.is(await run(world.a), '00', `holder ${command}`);
      t.is(await run(world.b), refused(registered), `registered ${command}`);
      t.is(await run(world.c), refused(stranger), `stranger ${command}`);
    }
  });
}

test('a RESERVE keeps others out of all but what SPC-2 allows, and ends with the session', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b);
  for (const [reserve, release] of [
    ['16', '17'],
    ['56', '57'],
  ] as const) {
    t.is(verdict(await world.run(reserve)), '00');
    t.is(verdict(await world.run(reserve)), '00');
    for (const command of ['00', '28 00 00000000 00 0001', '1a 00 3f 00 ff', '16', '56']) {
      t.is(verdict(await world.run(command, { from: world.b })), '18', command);
      if (command !== '16' && command !== '56') t.is(verdict(await world.run(command)), '00');
    }
    for (const command of ['12 00 00 00 24', '03 00 00 00 12', 'a0 00 00 000000 00000010', '25']) {
      t.is(verdict(await world.run(command, { from: world.b })), '00', command);
    }
    t.is(verdict(await world.run(release, { from: world.b })), '00');
    t.is(verdict(await world.run('00', { from: world.b })), '18', 'the other cannot release');
    t.is(verdict(await world.run('5e 00 00 00 00 00 00 00ff')), '18', 'SPC-2 5.5.1');
    t.is(verdict(await world.run(release)), '00');
    t.is(verdict(await world.run('00', { from: world.b })), '00');
  }
  await world.run('16');
  world.target.detach(world.a);
  t.is(verdict(await world.run('00', { from: world.b })), '00');
});

test('beside registrations a RESERVE has no effect, and is for those with access', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b, world.c);
  t.is(await out(world, world.a, 0, keys(0, 1)), '00');
  t.is(await out(world, world.b, 0, keys(0, 2)), '00');
  t.is(verdict(await world.run('16')), '18', 'nothing is reserved');
  t.is(await out(world, world.a, 1, keys(1, 0), 5), '00');
  t.is(verdict(await world.run('16', { from: world.b })), '00');
  t.is(verdict(await world.run('28 00 00000000 00 0001')), '00', 'and reserved nothing');
  t.is(verdict(await world.run('16', { from: world.c })), '18');
});

test('a write that waits for its data is kept out by a reservation made meanwhile', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b);
  const unit = world.target.route(0, 0);
  const write = new TestTask(cdb('2a 00 00000000 00 0001'), world.b, sector);
  const same = new TestTask(cdb('41 00 00000000 00 0001'), world.b, sector);
  t.true(unit.start(write));
  t.true(unit.start(same));
  t.false(unit.keptOut(write));
  t.is(await out(world, world.a, 0, keys(0, 1)), '00');
  t.is(await out(world, world.a, 1, keys(1, 0), 1), '00');
  t.true(unit.keptOut(write));
  unit.execute(same, new Uint8Array(sector));
  t.deepEqual([write.status, same.status, same.finished], [0x18, 0x18, 1]);
  t.deepEqual(world.device.calls, []);
});

test('a long command stops when a reservation excludes it', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b);
  world.device.behaviour.later = true;
  const pattern = new Uint8Array(sector).fill(1);
  const writing = world.run('41 00 00000000 00 7fff', { from: world.b, out: pattern });
  t.is(await out(world, world.a, 0, keys(0, 1)), '00');
  t.is(await out(world, world.a, 1, keys(1, 0), 1), '00');
  t.is(verdict(await writing), '18');
  t.is(world.device.calls.length, 1);
});

test('a nexus that may only read cannot lock the others out', async (t) => {
  const world = new World();
  const reader = nexus('reader', { readOnly: true });
  await world.attach(world.a, reader);
  t.is(await out(world, reader, 0, keys(0, 1)), '02 07/2700');
  for (const command of ['16', '56', '15 10 0000 00', '55 10 0000000000 0000']) {
    t.is(verdict(await world.run(command, { from: reader })), '02 07/2700');
  }
  t.is(verdict(await world.run('5e 00 00 00 00 00 00 00ff', { from: reader })), '00');
});
