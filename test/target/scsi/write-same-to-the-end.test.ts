/** WRITE SAME of zero blocks reaches to the last block where the device says so (SBC-3 5.43, WSNZ=0), within the maximum length. */
import test from 'ava';
import { scsiLimits } from '../../../target/scsi/limits.ts';
import { sector, verdict, World } from './kit.ts';

const bytes = 64 * sector;
const capabilities = { writeSameToEnd: true };
const last = (bytes / sector - 1).toString(16).padStart(8, '0');

for (const [name, command] of [
  ['10', '41 00 00000001 00 0000'],
  ['16', '93 00 0000000000000001 00000000'],
] as const) {
  test(`WRITE SAME(${name})`, async (t) => {
    const world = new World({ bytes, capabilities });
    await world.attach(world.a);
    const out = new Uint8Array(sector).fill(0x5a);
    t.is(verdict(await world.run(command, { out })), '00');
    const content = new Uint8Array(bytes);
    world.device.ram.readNow(0, bytes, content, 0);
    t.true(
      content.subarray(0, sector).every((byte) => byte === 0),
      'block 0 is as it was',
    );
    t.true(content.subarray(sector).every((byte) => byte === 0x5a));
  });
}

test('the last block, the end itself, and beyond', async (t) => {
  const world = new World({ bytes, capabilities });
  await world.attach(world.a);
  const out = new Uint8Array(sector);
  t.is(verdict(await world.run(`41 00 ${last} 00 0000`, { out })), '00');
  t.is(verdict(await world.run('41 00 00000040 00 0000', { out })), '02 05/2100');
  t.is(verdict(await world.run('41 00 00000041 00 0000', { out })), '02 05/2100');
});

test('what VPD page B0h says: WSNZ=0, and the maximum holds for the rest of a large unit', async (t) => {
  const world = new World({ bytes: scsiLimits.writeSameBytes + sector, capabilities });
  await world.attach(world.a);
  const page = await world.run('12 01 b0 00ff');
  t.is((page.data[4] ?? 0) & 1, 0);
  const out = new Uint8Array(sector);
  t.is(verdict(await world.run('41 00 00000000 00 0000', { out })), '02 05/2400');
  t.is(verdict(await world.run('41 00 00000001 00 0000', { out })), '00');
});
