/** INQUIRY and its vital product data: what a host knows a disk by, byte for byte. */
import test from 'ava';
import { hex, nexus, verdict, World } from './kit.ts';

const identity = {
  naa: hex('6e0102030405060708090a0b0c0d0e0f'),
  serial: '0102030405060708',
  vendor: 'PETAL',
  product: 'VIRTUAL DISK',
  revision: '0001',
};

async function ready(options = {}): Promise<World> {
  const world = new World({ identity, ...options });
  await world.attach(world.a);
  return world;
}

async function page(world: World, code: string): Promise<Uint8Array> {
  return (await world.run(`12 01 ${code} 0fff`)).data;
}

test('standard data', async (t) => {
  const world = await ready();
  const { data } = await world.run('12 00 00 00ff');
  t.is(data.length, 96);
  t.deepEqual(data.slice(0, 8), hex('00 00 06 12 5b 18 00 02'));
  const text = new TextDecoder().decode(data.slice(8, 36));
  t.is(text, 'PETAL   VIRTUAL DISK    0001');
  t.deepEqual(data.slice(36, 58), new Uint8Array(22));
  t.deepEqual(data.slice(58, 66), hex('00a0 0460 04c0 0960'));
  t.deepEqual(data.slice(66), new Uint8Array(30));
  const removable = await ready({ capabilities: { removable: true } });
  t.is((await removable.run('12 00 00 00ff')).data[1], 0x80);
});

test('every allocation length gives the beginning of the same data', async (t) => {
  const world = await ready();
  for (const flags of [
    '00 00',
    '01 00',
    '01 80',
    '01 83',
    '01 86',
    '01 8f',
    '01 b0',
    '01 b1',
    '01 b2',
  ]) {
    const whole = (await world.run(`12 ${flags} ffff`)).data;
    for (let length = 0; length <= whole.length + 2; length++) {
      const cut = await world.run(`12 ${flags} ${length.toString(16).padStart(4, '0')}`);
      t.deepEqual(cut.data, whole.slice(0, length));
    }
  }
});

test('00h lists the pages there are, ascending', async (t) => {
  const world = await ready();
  const list = await page(world, '00');
  t.deepEqual(list, hex('00 00 0009 00 80 83 86 8f b0 b1 b2 b3'));
  for (const code of list.slice(4)) {
    const each = await page(world, code.toString(16).padStart(2, '0'));
    t.is(each[1], code);
    t.is(each.length, 4 + (each[2] ?? 0) * 256 + (each[3] ?? 0));
  }
});

test('80h is the serial number', async (t) => {
  const world = await ready();
  const data = await page(world, '80');
  t.deepEqual(data.slice(0, 4), hex('00 80 0010'));
  t.is(new TextDecoder().decode(data.slice(4)), identity.serial);
});

test('83h names the unit, the port and the target', async (t) => {
  const world = await ready();
  const data = (await world.run('12 01 83 ffff')).data;
  const found: string[] = [];
  for (let at = 4; at < data.length; ) {
    const length = data[at + 3] ?? 0;
    const body = data.slice(at + 4, at + 4 + length);
    const head = data.slice(at, at + 2).toHex();
    const text = (data[at] ?? 0) & 2 ? new TextDecoder().decode(body) : body.toHex();
    found.push(`${head} ${text.replaceAll('\0', '')}`);
    at += 4 + length;
  }
  t.deepEqual(found, [
    `0103 ${identity.naa.toHex()}`,
    `0201 PETAL   ${identity.serial}`,
    '5194 00000001',
    '5195 00000001',
    '5398 ' + 'iqn.2026-11.test:disk,t,0x0001',
    '53a8 ' + 'iqn.2026-11.test:disk',
  ]);
});

test('B0h announces the limits', async (t) => {
  const world = await ready({ capabilities: { atomicBytes: 4096, unmapGranularity: 4096 } });
  t.deepEqual(
    await page(world, 'b0'),
    hex(`00 b0 003c 01 80 0008 00002000 00000800 00000000 00100000 00000100 00000008 80000000
      0000000000008000 00000008 00000008 00000001 00000000 00000000`),
  );
  const thick = await ready({ capabilities: { thin: false } });
  t.deepEqual((await page(thick, 'b0')).slice(20, 36), new Uint8Array(16));
  t.deepEqual((await page(thick, 'b0')).slice(44, 64), new Uint8Array(20));
});

test('B1h and B2h tell the medium and its provisioning', async (t) => {
  const world = await ready();
  t.deepEqual((await page(world, 'b1')).slice(0, 6), hex('00 b1 003c 0001'));
  t.deepEqual(await page(world, 'b2'), hex('00 b2 0004 0b e4 02 00'));
  const other = await ready({ capabilities: { thin: false, solidState: false } });
  t.deepEqual((await page(other, 'b1')).slice(0, 6), hex('00 b1 003c 0000'));
  t.deepEqual(await page(other, 'b2'), hex('00 b2 0004 00 00 00 00'));
});

test('86h says that there is a volatile cache only when there is', async (t) => {
  t.is((await page(await ready(), '86'))[6], 0);
  t.is((await page(await ready({ capabilities: { writeBack: true } }), '86'))[6], 1);
});

test('an absent LUN has qualifier 3 and gives nothing away; commands to it are refused', async (t) => {
  const world = await ready();
  const { data } = await world.run('12 00 00 00ff', { lun: 5 });
  t.is(data[0], 0x7f);
  t.is(new TextDecoder().decode(data.slice(8, 36)).trim(), '');
  for (const command of ['00', '28 00 00000000 00 0001', '25', 'ff', '5e']) {
    t.is(verdict(await world.run(command, { lun: 5 })), '02 05/2500');
  }
  const sense = await world.run('03 00 00 00 ff', { lun: 5 });
  t.is(verdict({ status: 2, sense: sense.data }), '02 05/2500');
  t.is((await world.run('a0 00 00 000000 000000ff', { lun: 5 })).data[3], 8);
});

test('the well-known unit lists the LUNs', async (t) => {
  const world = await ready();
  const lun = 0xc101;
  t.is(verdict(await world.run('00', { lun })), '02 06/2900');
  t.is(verdict(await world.run('00', { lun })), '00');
  t.is((await world.run('12 00 00 00ff', { lun })).data[0], 0x1e);
  t.deepEqual(
    (await world.run('a0 00 00 000000 000000ff', { lun })).data,
    hex('00000008 00000000 0000000000000000'),
  );
  t.deepEqual(
    (await world.run('a0 00 01 000000 000000ff', { lun })).data,
    hex('00000008 00000000 c101000000000000'),
  );
  t.is((await world.run('a0 00 02 000000 000000ff', { lun })).data.length, 24);
  t.is(verdict(await world.run('28 00 00000000 00 0001', { lun })), '02 05/2000');
});

test('83h names the port that was asked, and its group', async (t) => {
  const world = await ready({ target: { ports: () => [1, 7] } });
  const second = nexus('s', { relativePort: 7, portalGroup: 7 });
  await world.attach(second);
  const { data } = await world.run('12 01 83 ffff', { from: second });
  const text = data.toHex();
  t.true(text.includes('51940004' + '00000007'));
  t.true(text.includes('51950004' + '00000007'));
  t.true(new TextDecoder('latin1').decode(data).includes(',t,0x0007'));
});
