/** Unit attentions: told to exactly those concerned, once each, in the standard's order (SAM-5 5.14). */
import test from 'ava';
import { RamDevice } from '../../../target/ram-device.ts';
import { AttentionQueue } from '../../../target/scsi/attention.ts';
import type { Nexus } from '../../../target/scsi/nexus.ts';
import { Sense } from '../../../target/scsi/sense.ts';
import { verdict, World } from './kit.ts';

async function pair(options = {}): Promise<World> {
  const world = new World(options);
  await world.attach(world.a, world.b);
  return world;
}

/** What TEST UNIT READY tells a nexus until it is content. */
async function told(world: World, from: Nexus, lun = 0): Promise<string[]> {
  const out: string[] = [];
  for (let i = 0; i < 10; i++) {
    const result = verdict(await world.run('00', { from, lun }));
    if (result === '00') break;
    out.push(result);
  }
  return out;
}

test('a new nexus hears of power on, once', async (t) => {
  const world = new World();
  world.target.attach(world.a);
  t.deepEqual(await told(world, world.a), ['02 06/2900']);
});

test('INQUIRY and REPORT LUNS run beside a unit attention and leave it', async (t) => {
  const world = new World();
  world.target.attach(world.a);
  t.is(verdict(await world.run('12 00 00 00ff')), '00');
  t.is(verdict(await world.run('a0 00 00 000000 000000ff')), '00');
  t.deepEqual(await told(world, world.a), ['02 06/2900']);
});

test('REQUEST SENSE takes the unit attention as its data', async (t) => {
  const world = new World();
  world.target.attach(world.a);
  const fixed = await world.run('03 00 00 00 ff');
  t.is(fixed.status, 0);
  t.deepEqual([fixed.data[0], fixed.data[2], fixed.data[12]], [0x70, 6, 0x29]);
  t.deepEqual(await told(world, world.a), []);
  const descriptor = await world.run('03 01 00 00 ff');
  t.deepEqual([...descriptor.data], [0x72, 0, 0, 0, 0, 0, 0, 0]);
  t.is((await world.run('03 00 00 00 05')).data.length, 5);
});

test('a resize is told to every nexus', async (t) => {
  const world = await pair();
  world.device.ram.resize(32 * 1024 * 1024);
  t.deepEqual(await told(world, world.a), ['02 06/2a09']);
  t.deepEqual(await told(world, world.b), ['02 06/2a09']);
  t.is((await world.run('25')).data[2], 0xff);
});

test('a new LUN is told on the others, and REPORT LUNS takes the news away', async (t) => {
  const world = await pair();
  world.target.add(3, new RamDevice({ bytes: 65536 }));
  t.deepEqual(
    [...(await world.run('a0 00 00 000000 000000ff')).data].slice(0, 24),
    [0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0],
  );
  t.deepEqual(await told(world, world.a), []);
  t.deepEqual(await told(world, world.b), ['02 06/3f0e']);
  t.deepEqual(await told(world, world.a, 3), ['02 06/2900']);
  world.target.remove(3);
  t.deepEqual(await told(world, world.a), ['02 06/3f0e']);
  t.is(verdict(await world.run('00', { lun: 3 })), '02 05/2500');
});

test('changed mode parameters are told to the others only', async (t) => {
  const world = await pair();
  const select = new Uint8Array(16);
  select.set([0x0a, 0x0a, 0x04, 0x10, 0, 0, 0, 0, 0xff, 0xff], 4);
  t.is(verdict(await world.run('15 10 00 00 10', { out: select })), '00');
  t.deepEqual(await told(world, world.a), []);
  t.deepEqual(await told(world, world.b), ['02 06/2a01']);
  t.is(verdict(await world.run('15 10 00 00 10', { out: select })), '00');
  t.deepEqual(await told(world, world.b), [], 'nothing changed the second time');
});

test('a reset is told to all, brings the mode back and drops a RESERVE', async (t) => {
  const world = await pair();
  await world.run('16');
  t.is(verdict(await world.run('00', { from: world.b })), '18');
  t.true(world.target.reset(0, 0));
  t.deepEqual(await told(world, world.b), ['02 06/2903']);
  t.deepEqual(await told(world, world.a), ['02 06/2903']);
  world.target.resetAll();
  t.deepEqual(await told(world, world.a), ['02 06/2900']);
  t.false(world.target.reset(0x00050000, 0));
});

test('cleared commands are told to the one whose commands they were', async (t) => {
  const world = await pair();
  world.target.cleared(world.b, 0, 0);
  t.deepEqual(await told(world, world.a), []);
  t.deepEqual(await told(world, world.b), ['02 06/2f00']);
});

test('a reservation conflict is reported before a unit attention', async (t) => {
  const world = await pair();
  await world.run('16');
  world.device.ram.resize(32 * 1024 * 1024);
  t.is(verdict(await world.run('00', { from: world.b })), '18');
  await world.run('17');
  t.is(verdict(await world.run('17')), '00');
  t.deepEqual(await told(world, world.b), ['02 06/2a09']);
});

test('a kind is queued once, resets come first and swallow lesser ones', (t) => {
  const queue = new AttentionQueue();
  for (const code of [
    Sense.capacityChanged,
    Sense.nexusLoss,
    Sense.lunsChanged,
    Sense.capacityChanged,
    Sense.deviceReset,
    Sense.nexusLoss,
  ]) {
    queue.post(code);
  }
  const order = [queue.take(), queue.take(), queue.take(), queue.take()];
  t.deepEqual(order, [Sense.deviceReset, Sense.capacityChanged, Sense.lunsChanged, null]);
});

test('every kind of unit attention at once fits', (t) => {
  const queue = new AttentionQueue();
  const kinds = Object.values(Sense).filter((code) => code.key === 6);
  for (const code of kinds) queue.post(code);
  let taken = 0;
  while (queue.take() !== null) taken++;
  t.true(taken >= kinds.length - 2);
});
