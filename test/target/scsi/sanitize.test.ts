/** SANITIZE reaches every block, nothing interrupts it, and nothing else is served meanwhile. */
import test from 'ava';
import { DeviceError } from '../../../target/scsi/device.ts';
import { scsiLimits } from '../../../target/scsi/limits.ts';
import { carry, cdb, pointer, TestTask, verdict, World, type WorldOptions } from './kit.ts';

const MiB = 1024 * 1024;

async function ready(over: WorldOptions['capabilities'] = {}): Promise<World> {
  const world = new World({ bytes: 4 * MiB + 512, capabilities: { sanitize: true, ...over } });
  await world.attach(world.a, world.b);
  world.device.ram.write(0, new Uint8Array(4 * MiB + 512).fill(0x61), false, {
    complete: () => {},
  });
  return world;
}

function content(world: World): Uint8Array {
  const out = new Uint8Array(4 * MiB + 512);
  world.device.ram.readNow(0, out.length, out, 0);
  return out;
}

function list(flags: number, pattern: Uint8Array, length = pattern.length): Uint8Array {
  const out = new Uint8Array(4 + pattern.length);
  out[0] = flags;
  out[2] = length >> 8;
  out[3] = length & 0xff;
  out.set(pattern, 4);
  return out;
}

function overwrite(world: World, out: Uint8Array, byte1 = '01') {
  const length = out.length.toString(16).padStart(4, '0');
  return world.run(`48 ${byte1} 00 00 00 00 00 ${length}`, { out });
}

test('BLOCK ERASE unmaps everything', async (t) => {
  const world = await ready();
  t.is(verdict(await world.run('48 02')), '00');
  t.true(content(world).every((byte) => byte === 0));
  t.is(world.device.calls.at(-1), 'flush');
  t.true(world.device.largest <= scsiLimits.zeroPieceBytes);
  t.is(verdict(await world.run('00')), '00');
  t.is((await world.run('12 01 b1 00ff')).data[7], 0x40, 'WABEREQ');
});

test("CRYPTOGRAPHIC ERASE is the device's own, and where it is, the others begin with it", async (t) => {
  const world = await ready({ cryptographicErase: true });
  t.is(verdict(await world.run('48 03')), '00');
  t.deepEqual(world.device.calls, ['erase', 'flush']);
  t.true(content(world).every((byte) => byte === 0));
  t.is((await world.run('12 01 b1 00ff')).data[7], 0x50, 'WABEREQ, WACEREQ');
  world.device.calls.length = 0;
  t.is(verdict(await world.run('48 02')), '00');
  t.deepEqual(world.device.calls, ['erase', 'flush']);
  world.device.calls.length = 0;
  t.is(verdict(await overwrite(world, list(0x01, Uint8Array.of(7)))), '00');
  t.is(world.device.calls[0], 'erase');
  t.true(content(world).every((byte) => byte === 7));
});

test('an erase that fails fails the SANITIZE', async (t) => {
  const world = await ready({ cryptographicErase: true });
  world.device.behaviour.fail = new DeviceError('failed', 'planted');
  t.is(verdict(await world.run('48 03')), '02 03/3103');
  t.is(verdict(await world.run('00')), '02 03/3103');
});

test('BLOCK ERASE of a thick disk writes zeros', async (t) => {
  const world = await ready({ thin: false });
  t.is(verdict(await world.run('48 02')), '00');
  t.true(content(world).every((byte) => byte === 0));
  t.true(world.device.calls.includes(`zero 0 ${4 * MiB + 512}`));
});

test('OVERWRITE repeats the pattern in every block, inverted in every other pass', async (t) => {
  const world = await ready();
  const pattern = Uint8Array.of(1, 2, 3);
  t.is(verdict(await overwrite(world, list(0x01, pattern))), '00');
  let wrong = content(world).findIndex((byte, i) => byte !== pattern[(i % 512) % 3]);
  t.is(wrong, -1);
  t.is(verdict(await overwrite(world, list(0x82, pattern))), '00');
  wrong = content(world).findIndex((byte, i) => byte !== (~(pattern[(i % 512) % 3] ?? 0) & 0xff));
  t.is(wrong, -1);
  t.is(verdict(await overwrite(world, list(0x83, pattern))), '00');
  wrong = content(world).findIndex((byte, i) => byte !== pattern[(i % 512) % 3]);
  t.is(wrong, -1);
  t.true(world.device.calls.every((call) => /^(write fua|flush)/.test(call)));
});

const block = new Uint8Array(512).fill(0xaa);
// [name, CDB byte 1, list, status and sense, pointer]
const rows: readonly (readonly [string, string, Uint8Array | null, string, string])[] = [
  ['a list of nothing', '01', new Uint8Array(0), '02 05/2400', 'cdb 7'],
  ['a list of four bytes', '01', list(1, new Uint8Array(0)), '02 05/2400', 'cdb 7'],
  ['a list of a block and five', '01', list(1, new Uint8Array(513)), '02 05/2400', 'cdb 7'],
  ['a count of zero', '01', list(0, block), '02 05/2600', 'list 0'],
  ['TEST', '01', list(0x21, block), '02 05/2600', 'list 0'],
  ['a pattern of nothing', '01', list(1, block, 0), '02 05/2600', 'list 2'],
  ['a pattern longer than the list', '01', list(1, block, 513), '02 05/2600', 'list 2'],
  ['BLOCK ERASE with a list', '02', list(1, block), '02 05/2400', 'cdb 7'],
  ['CRYPTOGRAPHIC ERASE', '03', null, '02 05/2400', 'cdb 1.4'],
  ['action 0', '00', null, '02 05/2400', 'cdb 1.4'],
  ['EXIT FAILURE MODE with a list', '1f', list(1, block), '02 05/2400', 'cdb 7'],
  ['EXIT FAILURE MODE without a failure', '1f', null, '00', ''],
  ['a reserved bit', '42', null, '02 05/2400', 'cdb 1.6'],
];

for (const [name, byte1, out, expected, field] of rows) {
  test(`SANITIZE: ${name}`, async (t) => {
    const world = await ready();
    const result = await overwrite(world, out ?? new Uint8Array(0), byte1);
    t.is(verdict(result), expected);
    t.is(pointer(result.sense), field);
    t.deepEqual(world.device.calls, []);
  });
}

test('it is not there unless the device offers it, and refused where writes are', async (t) => {
  const without = await ready({ sanitize: false });
  t.is(verdict(await without.run('48 02')), '02 05/2000');
  const protectedDisk = await ready({ readOnly: true });
  t.is(verdict(await protectedDisk.run('48 02')), '02 07/2700');
  const reserved = await ready();
  await reserved.run('16', { from: reserved.b });
  t.is(verdict(await reserved.run('48 02')), '18');
});

test('IMMED answers at once; others wait and see the progress', async (t) => {
  const world = await ready();
  world.device.behaviour.later = true;
  t.is(verdict(await overwrite(world, list(1, block), '81')), '00');
  for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve));
  for (const command of [
    '00',
    '28 00 00000000 00 0001',
    '25',
    '5e 00 00 00 00 00 00 00ff',
    'ff',
    '48 02',
  ]) {
    const result = await world.run(command, { from: world.b });
    t.is(verdict(result), '02 02/041b', command);
    t.is(result.sense?.[15], 0x80);
  }
  for (const command of ['12 00 00 00ff', 'a0 00 00 000000 00000010']) {
    t.is(verdict(await world.run(command, { from: world.b })), '00', command);
  }
  const { data } = await world.run('03 00 00 00 12');
  const progress = ((data[16] ?? 0) << 8) | (data[17] ?? 0);
  t.deepEqual([data[2], data[12], data[13], data[15]], [2, 0x04, 0x1b, 0x80]);
  t.true(progress > 0x0800 && progress < 0xf000, `${progress} of 65536`);
  while (verdict(await world.run('00')) !== '00')
    await new Promise((resolve) => setImmediate(resolve));
  t.true(content(world).every((byte) => byte === 0xaa));
});

test('a write whose data comes after SANITIZE began is refused', async (t) => {
  const world = await ready();
  const unit = world.target.route(0, 0);
  const task = new TestTask(cdb('2a 00 00000000 00 0001'), world.b, 512);
  t.true(unit.start(task));
  world.device.behaviour.later = true;
  const running = world.run('48 02');
  t.true(unit.keptOut(task));
  t.is(verdict(task), '02 02/041b');
  t.is(verdict(await running), '00');
});

test('it waits for older writes of everybody', async (t) => {
  const world = await ready();
  let release: () => void = () => {};
  world.target.onSettle = (_lun, nexuses, done) => {
    t.deepEqual([...nexuses], [world.a, world.b]);
    release = done;
  };
  const running = world.run('48 02');
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(world.device.calls, []);
  t.is(verdict(await world.run('00')), '02 02/041b');
  release();
  t.is(verdict(await running), '00');
});

test('no abort and no reset ends it; the aborted task is let go at once', async (t) => {
  const world = await ready();
  world.device.behaviour.later = true;
  const out = list(1, block);
  const task = new TestTask(cdb('48 01 00 00 00 00 00 0204'), world.a, out.length);
  world.device.behaviour.before = () => {
    if (world.device.calls.length === 2) task.aborted = true;
  };
  await carry(world.target.route(0, 0), task, out);
  t.true(world.device.calls.length < 6);
  world.target.reset(0, 0);
  world.target.resetAll();
  t.is(verdict(await world.run('00')), '02 06/2900');
  t.is(verdict(await world.run('00')), '02 02/041b');
  while (verdict(await world.run('00')) !== '00')
    await new Promise((resolve) => setImmediate(resolve));
  t.true(content(world).every((byte) => byte === 0xaa));
  t.is(task.finished, 1);
});

// [AUSE of the one that fails, what EXIT FAILURE MODE gives]
for (const [byte1, exit] of [
  ['22', '00'],
  ['02', '02 05/2400'],
] as const) {
  test(`after a failure, AUSE ${byte1 === '22' ? 1 : 0}`, async (t) => {
    const world = await ready();
    world.device.behaviour.fail = new DeviceError('writeError', 'planted');
    t.is(verdict(await world.run(`48 ${byte1}`)), '02 03/3103');
    t.is(verdict(await world.run('00')), '02 03/3103');
    t.is(verdict(await world.run('28 00 00000000 00 0001')), '02 03/3103');
    t.is((await world.run('03 00 00 00 12')).data[12], 0x31);
    t.is(verdict(await world.run('48 1f')), exit);
    t.is(verdict(await world.run('00')), exit === '00' ? '00' : '02 03/3103');
    if (exit !== '00')
      t.is(verdict(await world.run('48 22')), '02 05/2400', 'AUSE after a restricted one');
    t.is(verdict(await world.run('48 02')), '00');
    t.is(verdict(await world.run('00')), '00');
    t.true(content(world).every((byte) => byte === 0));
  });
}

test('of two at the same time one is done, and the scratch buffers come back', async (t) => {
  const world = await ready();
  world.device.behaviour.later = true;
  for (let i = 0; i < 6; i++) {
    const results = await Promise.all([
      overwrite(world, list(1, block)),
      overwrite(world, list(1, block)),
    ]);
    t.deepEqual(results.map(verdict), ['00', '02 02/041b']);
  }
  t.is(verdict(await world.run('2f 00 00000000 00 0010')), '00');
});
