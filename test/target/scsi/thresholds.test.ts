/** Thin provisioning: what is used and left is told (LOG SENSE 0Ch), and passing a mark once (38/07). */
import test from 'ava';
import { hex, verdict, World, type WorldOptions } from './kit.ts';

const MiB = 2 ** 20;

async function ready(options: WorldOptions = {}): Promise<World> {
  const world = new World({ bytes: 16 * MiB, ...options });
  await world.attach(world.a, world.b);
  return world;
}

/** So many MiB are allocated, from the first on. */
function fill(world: World, from: number, to: number): void {
  for (let at = from; at < to; at++) {
    world.device.ram.write(at * MiB, new Uint8Array(MiB), false, { complete: () => {} });
  }
}

function clear(world: World, from: number, to: number): void {
  world.device.ram.unmap(from * MiB, (to - from) * MiB, { complete: () => {} });
}

async function mark(world: World, what: 'available' | 'used', sets: number, on = true) {
  const count = sets.toString(16).padStart(8, '0');
  const first = `${on && what === 'available' ? '80' : '00'} 01 0000 ${what === 'available' ? count : '00000000'}`;
  const second = `${on && what === 'used' ? '81' : '01'} 02 0000 ${what === 'used' ? count : '00000000'}`;
  const out = hex(`00000000 5c 02 001c ${'00'.repeat(12)} ${first} ${second}`);
  return await world.run(`15 10 0000 ${out.length.toString(16).padStart(2, '0')}`, { out });
}

const log = (available: string, used: string) =>
  hex(`8c 00 0018 0001 03 08 ${available} 01 000000 0002 03 08 ${used} 01 000000`).toHex();

test('the log page counts in threshold sets of VPD page B2h', async (t) => {
  const world = await ready();
  t.is((await world.run('12 01 b2 00ff')).data[4], 11, '2^11 sectors are 1 MiB');
  t.is((await world.run('4d 00 00 00 00 0000 00ff')).data.toHex(), '00000003000c2f');
  const page = '4d 00 4c 00 00 0000 00ff';
  t.is((await world.run(page)).data.toHex(), log('00000010', '00000000'));
  fill(world, 0, 5);
  t.is((await world.run(page)).data.toHex(), log('0000000b', '00000005'));
  t.is((await world.run('4d 00 4c 00 00 0002 00ff')).data.length, 16, 'from parameter 2 on');
  t.is(verdict(await world.run('4d 00 4c 00 00 0003 00ff')), '02 05/2400');
});

test('a thick unit has no thresholds', async (t) => {
  const world = await ready({ capabilities: { thin: false } });
  t.is((await world.run('4d 00 00 00 00 0000 00ff')).data.toHex(), '00000002002f');
  t.is(verdict(await world.run('4d 00 4c 00 00 0000 00ff')), '02 05/2400');
  t.is(verdict(await world.run('1a 08 1c 02 ff')), '02 05/2400');
  t.is((await world.run('1a 08 01 00 ff')).data[7], 0, 'LBPERE');
});

test("falling below the administrator's mark is told once to every host, and again after a rise", async (t) => {
  const world = await ready({ warnBelowBytes: 4 * MiB });
  fill(world, 0, 12);
  t.is(verdict(await world.run('00')), '00', 'at the mark');
  fill(world, 12, 13);
  for (const from of [world.a, world.b]) {
    const told = await world.run('00', { from });
    t.is(verdict(told), '02 06/3807');
    t.deepEqual(told.sense?.subarray(3, 7), hex('00000010'), 'where the descriptor stands');
    t.is(verdict(await world.run('00', { from })), '00');
  }
  fill(world, 13, 15);
  t.is(verdict(await world.run('00')), '00', 'told already');
  t.is((await world.run('4d 00 6f 00 00 0000 00ff')).data.subarray(8, 10).toHex(), '3807');
  clear(world, 0, 10);
  t.is((await world.run('4d 00 6f 00 00 0000 00ff')).data.subarray(8, 10).toHex(), '0000');
  fill(world, 0, 10);
  t.is(verdict(await world.run('00')), '02 06/3807');
});

test('a host sets a mark on what is used; the others hear of the change', async (t) => {
  const world = await ready();
  t.is(verdict(await mark(world, 'used', 3)), '00');
  t.is(verdict(await world.run('00', { from: world.b })), '02 06/2a01');
  fill(world, 0, 3);
  t.is(verdict(await world.run('00')), '00');
  fill(world, 3, 4);
  const told = await world.run('00');
  t.is(verdict(told), '02 06/3807');
  t.deepEqual(told.sense?.subarray(3, 7), hex('00000018'));
});

test('a mark that is passed already when it is set is told at once', async (t) => {
  const world = await ready();
  fill(world, 0, 8);
  t.is(verdict(await mark(world, 'available', 10)), '00');
  t.is(verdict(await world.run('00')), '02 06/3807');
});

test('without LBPERE nobody is told', async (t) => {
  const world = await ready({ warnBelowBytes: 4 * MiB });
  const out = hex(`00000000 01 0a 00 00 ${'00'.repeat(8)}`);
  t.is(verdict(await world.run('15 10 0000 10', { out })), '00');
  fill(world, 0, 14);
  t.is(verdict(await world.run('00')), '00');
});

test("a reset brings the administrator's mark back", async (t) => {
  const world = await ready({ warnBelowBytes: 4 * MiB });
  await mark(world, 'available', 0, false);
  t.is((await world.run('1a 08 1c 02 ff')).data[20], 0);
  world.target.reset(0, 0);
  await world.run('00');
  const { data } = await world.run('1a 08 1c 02 ff');
  t.is(data.subarray(20, 28).toHex(), hex('80 01 0000 00000004').toHex());
});
