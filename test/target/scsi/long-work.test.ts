/** Long commands work in bounded pieces, let others run, and stop when they are aborted. */
import test from 'ava';
import type { Completion } from '../../../target/scsi/device.ts';
import { scsiLimits } from '../../../target/scsi/limits.ts';
import type { LogicalUnit } from '../../../target/scsi/logical-unit.ts';
import { carry, cdb, TestTask, World } from './kit.ts';

test('a long VERIFY of a device that completes at once lets others run', async (t) => {
  const world = new World();
  await world.attach(world.a);
  let turns = 0;
  let running = true;
  const tick = (): void => {
    turns++;
    if (running) setImmediate(tick);
  };
  setImmediate(tick);
  await world.run('2f 00 00000000 00 7fff');
  running = false;
  // 64 pieces of 256 KiB, 8 a turn.
  t.true(turns >= 6, `${turns} turns`);
  t.true(world.device.largest <= scsiLimits.pieceBytes);
});

test('an aborted command makes no further device call and still finishes once', async (t) => {
  const world = new World();
  await world.attach(world.a);
  world.device.behaviour.later = true;
  const task = new TestTask(cdb('2f 00 00000000 00 7fff'), world.a, 0);
  world.device.behaviour.before = () => {
    if (world.device.calls.length === 2) task.aborted = true;
  };
  await carry(world.target.route(0, 0), task, null);
  t.is(world.device.calls.length, 3);
  t.is(task.finished, 1);
});

test('many long commands share the scratch buffers and all end', async (t) => {
  const world = new World();
  await world.attach(world.a);
  world.device.behaviour.later = true;
  let most = 0;
  world.device.behaviour.before = () => {
    most = Math.max(most, world.device.inFlight + 1);
  };
  const all = Array.from({ length: 32 }, () => world.run('2f 00 00000000 00 1000'));
  const results = await Promise.all(all);
  t.true(results.every((result) => result.status === 0));
  t.is(most, scsiLimits.scratchBuffers);
});

test('a buffer comes back from aborted and failed commands too', async (t) => {
  const world = new World();
  await world.attach(world.a);
  for (let i = 0; i < 3 * scsiLimits.scratchBuffers; i++) {
    const task = new TestTask(cdb('2f 00 00000000 00 0010'), world.a, 0);
    task.aborted = true;
    await carry(world.target.route(0, 0), task, null);
  }
  t.is((await world.run('2f 00 00000000 00 0010')).status, 0);
});

test('a device that completes a call twice is caught', async (t) => {
  const world = new World();
  await world.attach(world.a);
  let captured: Completion | null = null;
  world.device.flush = (done) => {
    captured = done;
    done.complete(null);
  };
  await world.run('35');
  t.throws(() => captured?.complete(null), { message: /completed twice/ });
});

test('thousands of commands that wait for a buffer cost no stack', async (t) => {
  const world = new World();
  await world.attach(world.a);
  const buffers: Uint8Array[] = [];
  const unit = world.target.route(0, 0) as LogicalUnit;
  for (let i = 0; i < scsiLimits.scratchBuffers; i++) unit.scratch.take((b) => buffers.push(b));
  const all = Array.from({ length: 20_000 }, () => world.run('2f 00 00000000 00 0001'));
  for (const buffer of buffers) unit.scratch.give(buffer);
  const results = await Promise.all(all);
  t.true(results.every((result) => result.status === 0));
});
