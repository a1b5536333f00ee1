/** RECEIVE COPY RESULTS tells of copies by list identifier, and the limits that are announced hold. */
import test from 'ava';
import { DeviceError } from '../../../target/scsi/device.ts';
import { scsiLimits } from '../../../target/scsi/limits.ts';
import type { LogicalUnit } from '../../../target/scsi/logical-unit.ts';
import { cscd, list, segment, send } from './copy-kit.ts';
import { verdict, World } from './kit.ts';

const one = segment({ blocks: 8, from: 0, to: 100 });

test('a list identifier at work cannot be used again', async (t) => {
  const world = new World({ capabilities: { thin: false } });
  await world.attach(world.a);
  world.device.behaviour.later = true;
  const out = list(
    [cscd(world.device.identity.naa)],
    [segment({ blocks: 4096, from: 0, to: 8192 })],
  );
  const first = send(world, out);
  t.is(verdict(await send(world, out)), '02 05/0016');
  t.is(verdict(await first), '00');
  t.is(verdict(await send(world, out)), '00');
});

test('what RECEIVE COPY RESULTS says of a failed copy, once', async (t) => {
  const world = new World({ capabilities: { thin: false } });
  await world.attach(world.a, world.b);
  const out = list([cscd(world.device.identity.naa)], [one, one]);
  world.device.behaviour.fail = new DeviceError('mediumError', 'no copy left');
  const failed = await send(world, out);
  t.is(verdict(failed), '02 0a/0d01');
  const details = '84 04 07 00000000000000 000000ff';
  const result = await world.run(details);
  t.is(result.data[56], 2);
  t.deepEqual(result.data.subarray(60), failed.sense!);
  t.is(verdict(await world.run(details)), '02 05/2400', 'let go of');
  t.is(verdict(await world.run('84 00 07 00000000000000 000000ff')), '02 05/2400');
  await send(world, out);
  t.is((await world.run(details)).data.length, 4, 'a good copy has no details');
  await send(world, out);
  t.is(verdict(await world.run(details, { from: world.b })), '02 05/2400', 'of another nexus');
});

test('kept results are bounded, the newest stays', async (t) => {
  const world = new World();
  await world.attach(world.a);
  const { naa } = world.device.identity;
  for (let id = 0; id < 100; id++) await send(world, list([cscd(naa)], [one], { 0: id }));
  const unit = world.target.route(0, 0) as LogicalUnit;
  t.true(unit.state(world.a).copies.size <= scsiLimits.copyRecords);
  t.is(verdict(await world.run('84 00 63 00000000000000 000000ff')), '00');
});

test('what is announced is what is enforced', async (t) => {
  const world = new World();
  await world.attach(world.a);
  const params = (await world.run('84 03 00 00000000000000 000000ff')).data;
  const hex = Buffer.from(params).toString('hex');
  // SNLID, 8 CSCDs, 16 segments, 704 bytes, 32 MiB; no inline or held data; 4 copies; 512 bytes; 02h E4h.
  t.is(
    hex,
    '0000002a 01000000 0008 0010 000002c0 02000000 00000000 00000000 00000000 0000 0004 04 09 00 00 000000 02 02e4'.replaceAll(
      ' ',
      '',
    ),
  );
  for (let size = 0; size < params.length + 2; size++) {
    const cut = await world.run(
      `84 03 00 00000000000000 000000${size.toString(16).padStart(2, '0')}`,
    );
    t.deepEqual(cut.data, params.subarray(0, size));
  }
  const page = (await world.run('12 01 8f 0fff')).data;
  t.is(page.length, 4 + ((page[2] ?? 0) << 8) + (page[3] ?? 0));
  const commands = '0001 000c 0b 8303 001011 8404 00030407'.replaceAll(' ', '');
  t.is(Buffer.from(page.subarray(40, 56)).toString('hex'), commands);
  t.is(((await world.run('12 00 00 0060')).data[5] ?? 0) & 0x08, 0x08, '3PC');
});
