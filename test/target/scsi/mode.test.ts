/** Mode parameters: what MODE SENSE shows, what MODE SELECT may change, and what the changes do. */
import test from 'ava';
import { hex, nexus, pointer, verdict, World } from './kit.ts';

async function ready(options = {}): Promise<World> {
  const world = new World(options);
  await world.attach(world.a, world.b);
  return world;
}

const recovery = `01 0a 00 80 ${'00'.repeat(8)}`;
const provisioning = `5c 02 001c ${'00'.repeat(12)} 00 01 0000 00000000 01 02 0000 00000000`;
const caching = `08 12 00 ${'00'.repeat(17)}`;
const control = '0a 0a 00 10 00 00 0000 ffff 0000';
const exceptions = '1c 0a 08 00 00000000 00000000';

/** [name, CDB, answer] */
const senses: readonly (readonly [string, string, string])[] = [
  [
    '(6) all pages',
    '1a 00 3f 00 ff',
    `43 00 10 08 00008000 00 000200 ${recovery} ${caching} ${control} ${exceptions}`,
  ],
  [
    '(6) all pages and subpages, no descriptor',
    '1a 08 3f ff ff',
    `5b 00 10 00 ${recovery} ${caching} ${control} ${exceptions} ${provisioning}`,
  ],
  ['(6) control', '1a 08 0a 00 ff', `0f 00 10 00 ${control}`],
  ['(6) control, default', '1a 08 8a 00 ff', `0f 00 10 00 ${control}`],
  ['(6) control, changeable', '1a 08 4a 00 ff', '0f 00 10 00 0a 0a 04 00 08 40 0000 0000 0000'],
  ['(6) caching, changeable', '1a 08 48 00 ff', `17 00 10 00 08 12 ${'00'.repeat(18)}`],
  ['(6) thresholds', '1a 08 1c 02 ff', `23 00 10 00 ${provisioning}`],
  ['(6) exceptions with subpages', '1a 08 1c ff ff', `2f 00 10 00 ${exceptions} ${provisioning}`],
  [
    '(6) thresholds, changeable',
    '1a 08 5c 02 ff',
    `23 00 10 00 5c 02 001c ${'00'.repeat(12)} ${'80 00 0000 ffffffff'.repeat(2)}`,
  ],
  ['(6) cut', '1a 08 0a 00 05', '0f 00 10 00 0a'],
  ['(6) no room', '1a 08 0a 00 00', ''],
  ['(10) control', '5a 00 0a 00 000000 00ff', `001a 00 10 0000 0008 00008000 00 000200 ${control}`],
  [
    '(10) control, long descriptor',
    '5a 10 0a 00 000000 00ff',
    `0022 00 10 0100 0010 0000000000008000 00000000 00000200 ${control}`,
  ],
  ['(10) control, no descriptor', '5a 18 0a 00 000000 00ff', `0012 00 10 0000 0000 ${control}`],
];

for (const [name, command, answer] of senses) {
  test(`MODE SENSE${name}`, async (t) => {
    const result = await (await ready()).run(command);
    t.is(verdict(result), '00');
    t.is(result.data.toHex(), hex(answer).toHex());
  });
}

test('the caching page tells of a write-back device', async (t) => {
  const world = await ready({ capabilities: { writeBack: true } });
  t.is((await world.run('1a 08 08 00 ff')).data[6], 0x04);
});

const page = (dSense: number, swp: number) =>
  `0a 0a ${dSense ? '04' : '00'} 10 ${swp ? '08' : '00'} 00 0000 ffff 0000`;

async function select(world: World, list: string, ten = false) {
  const out = hex(list);
  const length = out.length.toString(16).padStart(ten ? 4 : 2, '0');
  return world.run(ten ? `55 10 0000000000 ${length}` : `15 10 0000 ${length}`, { out });
}

test('D_SENSE changes the format of sense data', async (t) => {
  const world = await ready();
  t.is(verdict(await select(world, `00000000 ${page(1, 0)}`)), '00');
  const { sense } = await world.run('28 20 00000000 00 0001');
  t.deepEqual(sense, hex('72 05 24 00 000000 08 0206 0000 cf 0001 00'));
  t.is(verdict(await select(world, `0000000000000000 ${page(0, 0)}`, true)), '00');
  t.is((await world.run('28 20 00000000 00 0001')).sense?.[0], 0x70);
});

test('SWP refuses every write and shows as WP', async (t) => {
  const world = await ready();
  await select(world, `00000000 ${page(0, 1)}`);
  const writes: readonly (readonly [string, number])[] = [
    ['0a 000000 01', 512],
    ['2a 00 00000000 00 0001', 512],
    ['aa 00 00000000 00000001', 512],
    ['8a 00 0000000000000000 00000001', 512],
    ['2e 00 00000000 00 0001', 512],
    ['41 00 00000000 00 0001', 512],
    ['93 00 0000000000000000 00000001', 512],
    ['42 00 00000000 00 0000', 0],
    ['89 00 0000000000000000 000000 01', 1024],
    ['8b 00 0000000000000000 00000001', 512],
  ];
  for (const [command, length] of writes) {
    const result = await world.run(command, { out: new Uint8Array(length) });
    t.is(verdict(result), '02 07/2702', command);
  }
  t.is(verdict(await world.run('28 00 00000000 00 0001')), '00');
  t.is(verdict(await world.run('35')), '00');
  t.is((await world.run('1a 08 0a 00 ff')).data[2], 0x90);
  t.deepEqual(world.device.calls, ['read 0 512', 'flush']);
  await select(world, `00000000 ${page(0, 0)}`);
  t.is(verdict(await world.run('2a 00 00000000 00 0001', { out: new Uint8Array(512) })), '00');
});

test('a read-only device or nexus is write protected', async (t) => {
  const device = await ready({ capabilities: { readOnly: true } });
  const write = '2a 00 00000000 00 0001';
  t.is(verdict(await device.run(write, { out: new Uint8Array(512) })), '02 07/2700');
  t.is((await device.run('1a 08 0a 00 ff')).data[2], 0x90);
  const world = await ready();
  const reader = nexus('reader', { readOnly: true });
  await world.attach(reader);
  t.is(verdict(await world.run(write, { from: reader, out: new Uint8Array(512) })), '02 07/2700');
  t.is((await world.run('1a 08 0a 00 ff', { from: reader })).data[2], 0x90);
  t.is((await world.run('1a 08 0a 00 ff')).data[2], 0x10);
  t.is(verdict(await world.run(write, { out: new Uint8Array(512) })), '00');
});

/** The page with a threshold of what is available: its first byte, and its count in hex. */
const thresholds = (first: string, count: string) =>
  `5c 02 001c ${'00'.repeat(12)} ${first} 01 0000 ${count.padStart(8, '0')} 01 02 0000 00000000`;

/** [name, list, verdict, pointer] for MODE SELECT(6). */
const selects: readonly (readonly [string, string, string, string])[] = [
  ['what is', `00000000 ${control}`, '00', ''],
  [
    'all pages as sensed',
    `00 00 10 08 00008000 00 000200 ${recovery} ${caching} ${control} ${exceptions} ${provisioning}`,
    '00',
    '',
  ],
  ['another block length', '00 00 00 08 00008000 00 001000', '02 05/2600', 'list 9'],
  ['another capacity', '00 00 00 08 00004000 00 000200', '02 05/2600', 'list 4'],
  ['capacity zero: as it is', '00 00 00 08 00000000 00 000200', '00', ''],
  ['half a descriptor', '00 00 00 04 00000000', '02 05/2600', 'list 3'],
  ['WCE', `00000000 08 12 04 ${'00'.repeat(17)}`, '02 05/2600', 'list 6'],
  ['a bit that cannot change', '00000000 0a 0a 00 20 00 00 0000 ffff 0000', '02 05/2600', 'list 7'],
  ['a wrong page length', '00000000 0a 09 00 10 00 00 0000 ffff 00', '02 05/2600', 'list 5'],
  ['a cut page', '00000000 0a 0a 00 10', '02 05/1a00', ''],
  ['a page header cut', '00000000 0a', '02 05/1a00', ''],
  ['an unknown page', '00000000 02 02 0000', '02 05/2600', 'list 4'],
  ['an unknown subpage', '00000000 4a 01 0000', '02 05/2600', 'list 4'],
  ['a subpage header cut', '00000000 5c 02 00', '02 05/1a00', ''],
  ['a subpage cut', '00000000 5c 02 001c 00', '02 05/1a00', ''],
  ['a wrong subpage length', '00000000 5c 02 0000', '02 05/2600', 'list 6'],
  [
    'an increasing threshold of what is left',
    `00000000 ${thresholds('81', '0')}`,
    '02 05/2600',
    'list 20',
  ],
  ['a hard threshold', `00000000 ${thresholds('88', '0')}`, '02 05/2600', 'list 20'],
  ['SITUA', `00000000 5c 02 001c 01 ${provisioning.slice(13)}`, '02 05/2600', 'list 8'],
];

for (const [name, list, expected, field] of selects) {
  test(`MODE SELECT of ${name}`, async (t) => {
    const world = await ready();
    const result = await select(world, list);
    t.is(verdict(result), expected);
    t.is(pointer(result.sense), field);
  });
}

test('a list with one wrong page changes nothing', async (t) => {
  const world = await ready();
  t.is(verdict(await select(world, `00000000 ${page(0, 1)} 02 02 0000`)), '02 05/2600');
  t.is((await world.run('1a 08 0a 00 ff')).data[2], 0x10);
  t.is(verdict(await world.run('00', { from: world.b })), '00');
});

test('less data than the list length is refused', async (t) => {
  const world = await ready();
  const result = await world.run('15 10 0000 10', { out: new Uint8Array(8) });
  t.is(verdict(result), '02 05/1a00');
});

test('SWP and WCE can be changed only where the administrator lets hosts', async (t) => {
  const closed = await ready({ capabilities: { hostMayChange: undefined } });
  t.is((await closed.run('1a 08 4a 00 ff')).data[8], 0, 'SWP');
  const refused = await select(closed, `00000000 ${page(0, 1)}`);
  t.is(verdict(refused), '02 05/2600');
  t.is(pointer(refused.sense), 'list 8');
  const open = await ready({ capabilities: { hostMayChange: { writeBack: true } } });
  t.is((await open.run('1a 08 48 00 ff')).data[6], 0x04);
});

test('WCE changes the device, and the other hosts hear of it', async (t) => {
  const world = await ready({ capabilities: { hostMayChange: { writeBack: true } } });
  const wce = (on: boolean) => `00000000 08 12 ${on ? '04' : '00'} ${'00'.repeat(17)}`;
  t.is(verdict(await select(world, wce(true))), '00');
  t.true(world.device.capabilities.writeBack);
  t.is((await world.run('1a 08 08 00 ff')).data[6], 0x04, 'the one that asked hears nothing');
  t.is(verdict(await world.run('00', { from: world.b })), '02 06/2a01');
  t.is(verdict(await world.run('00', { from: world.b })), '02 06/3f03');
  t.is(verdict(await select(world, wce(true))), '00', 'as it is');
  t.is(verdict(await world.run('00', { from: world.b })), '00');
  t.is(verdict(await select(world, wce(false))), '00');
  t.false(world.device.capabilities.writeBack);
});

test('TAS is kept until a reset', async (t) => {
  const world = await ready();
  t.is(verdict(await select(world, '00000000 0a 0a 00 10 00 40 0000 ffff 0000')), '00');
  t.is((await world.run('1a 08 0a 00 ff')).data[9], 0x40);
  world.target.reset(0, 0);
  await world.run('00');
  t.is((await world.run('1a 08 0a 00 ff')).data[9], 0);
});
