/** REGISTER for other initiator ports (SPEC_I_PT) and for every target port (ALL_TG_PT), SPC-4 6.16.3. */
import test from 'ava';
import { AluaState } from '../../../target/scsi/alua.ts';
import type { Nexus } from '../../../target/scsi/nexus.ts';
import { nexus, pointer, type Result, verdict, World } from './kit.ts';

const specify = 0x08;
const allPorts = 0x04;

function transportId(name: string, isid = '80000000000a'): Uint8Array {
  const text = new TextEncoder().encode(`iqn.2026-11.test:${name},i,0x${isid}\0`);
  const out = new Uint8Array(4 + Math.max(20, Math.ceil(text.length / 4) * 4));
  out[0] = 0x45;
  out[3] = out.length - 4;
  out.set(text, 4);
  return out;
}

/** One active/optimized group of these target ports. */
function through(...ports: number[]) {
  const groups = [{ id: 1, state: AluaState.optimized, preferred: false, ports }];
  return { alua: { groups: () => groups } };
}

interface Register {
  key?: number;
  serviceKey?: number;
  flags?: number;
  ids?: readonly Uint8Array[] | null;
  /** Added to the TRANSPORTID PARAMETER DATA LENGTH. */
  lie?: number;
  ignore?: boolean;
}

function register(world: World, from: Nexus, r: Register): Promise<Result> {
  const ids = r.ids === undefined || r.ids === null ? null : Buffer.concat(r.ids);
  const out = new Uint8Array(ids === null ? 24 : 28 + ids.length);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(r.key ?? 0));
  view.setBigUint64(8, BigInt(r.serviceKey ?? 1));
  out[20] = r.flags ?? 0;
  if (ids !== null) {
    view.setUint32(24, ids.length + (r.lie ?? 0));
    out.set(ids, 28);
  }
  const action = r.ignore ? '06' : '00';
  return world.run(`5f ${action} 00 0000 ${out.length.toString(16).padStart(8, '0')}`, {
    from,
    out,
  });
}

/** READ FULL STATUS as `name@port=key`. */
async function registered(world: World): Promise<string> {
  const { data } = await world.run('5e 03 00 00 00 00 00 ffff');
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const found: string[] = [];
  for (let at = 8; at < data.length; at += 24 + view.getUint32(at + 20)) {
    const text = new TextDecoder().decode(data.subarray(at + 28, data.indexOf(0, at + 28)));
    const name = /test:(\w+),/.exec(text)?.[1];
    found.push(`${name}@${view.getUint16(at + 18)}=${view.getBigUint64(at)}`);
  }
  return found.join(' ') || '-';
}

// [name, what a sends, status and sense, pointer, registered afterwards]
const rows: readonly (readonly [string, Register, string, string, string])[] = [
  ['another port', { flags: specify, ids: [transportId('b')] }, '00', '', 'a@1=1 b@1=1'],
  [
    'two ports',
    { flags: specify, ids: [transportId('b'), transportId('d')] },
    '00',
    '',
    'a@1=1 b@1=1 d@1=1',
  ],
  ['no port', { flags: specify, ids: [] }, '00', '', 'a@1=1'],
  ['all target ports', { flags: allPorts }, '00', '', 'a@1=1 a@2=1 a@7=1'],
  [
    'both',
    { flags: specify | allPorts, ids: [transportId('b')] },
    '00',
    '',
    'a@1=1 a@2=1 a@7=1 b@1=1 b@2=1 b@7=1',
  ],
  [
    'IGNORE, all target ports',
    { flags: allPorts, ignore: true, key: 99 },
    '00',
    '',
    'a@1=1 a@2=1 a@7=1',
  ],
  ['IGNORE with SPEC_I_PT', { flags: specify, ignore: true }, '02 05/2600', 'list 20', '-'],
  ['IGNORE with TransportIDs', { ids: [transportId('b')], ignore: true }, '02 05/1a00', '', '-'],
  ['TransportIDs without SPEC_I_PT', { ids: [transportId('b')] }, '02 05/1a00', '', '-'],
  ['SPEC_I_PT without TransportIDs', { flags: specify, ids: null }, '02 05/2600', 'list 24', '-'],
  [
    'a length too small',
    { flags: specify, ids: [transportId('b')], lie: -4 },
    '02 05/2600',
    'list 24',
    '-',
  ],
  [
    'a length too large',
    { flags: specify, ids: [transportId('b')], lie: 4 },
    '02 05/2600',
    'list 24',
    '-',
  ],
  [
    'a cut TransportID',
    { flags: specify, ids: [transportId('b').subarray(0, 20)] },
    '02 05/2600',
    'list 24',
    '-',
  ],
  [
    'a TransportID without ISID',
    { flags: specify, ids: [Uint8Array.of(5, ...transportId('b').subarray(1))] },
    '02 05/2600',
    'list 24',
    '-',
  ],
  [
    'the same port twice',
    { flags: specify, ids: [transportId('b'), transportId('b')] },
    '02 05/2600',
    'list 24',
    '-',
  ],
  [
    'removing what is not there',
    { flags: specify, ids: [transportId('b')], serviceKey: 0 },
    '00',
    '',
    '-',
  ],
  [
    'more than fits',
    { flags: specify, ids: Array.from({ length: 200 }, (_, i) => transportId(`n${i}`)) },
    '02 05/1a00',
    '',
    '-',
  ],
];

for (const [name, request, expected, field, after] of rows) {
  test(`REGISTER of ${name}`, async (t) => {
    const world = new World({ target: through(1, 2, 7) });
    await world.attach(world.a, world.b);
    const result = await register(world, world.a, request);
    t.is(verdict(result), expected);
    t.is(pointer(result.sense), field);
    t.is(await registered(world), after);
  });
}

test('a port registered with another key refuses all of it', async (t) => {
  const world = new World({ target: through(1, 2) });
  await world.attach(world.a, world.b);
  await register(world, world.b, { serviceKey: 5 });
  const ids = [transportId('d'), transportId('b')];
  t.is(verdict(await register(world, world.a, { flags: specify, ids })), '18');
  t.is(await registered(world), 'b@1=5');
  const second = nexus('a', { relativePort: 2 });
  await world.attach(second);
  await register(world, second, { serviceKey: 6 });
  t.is(verdict(await register(world, world.a, { flags: allPorts })), '18');
  t.is(await registered(world), 'b@1=5 a@2=6');
});

test('a registered nexus changes its key on all ports, and names no others', async (t) => {
  const world = new World({ target: through(1, 2) });
  await world.attach(world.a);
  await register(world, world.a, { flags: allPorts });
  const ids = [transportId('b')];
  const named = await register(world, world.a, { key: 1, serviceKey: 2, flags: specify, ids });
  t.is(verdict(named), '02 05/2600');
  const changed = await register(world, world.a, { key: 1, serviceKey: 2, flags: allPorts });
  t.is(verdict(changed), '00');
  t.is(await registered(world), 'a@1=2 a@2=2');
  await register(world, world.a, { key: 2, serviceKey: 0, flags: allPorts });
  t.is(await registered(world), 'a@2=2', 'only its own goes');
});

test('who was named may use its registration at once', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b, world.c);
  await register(world, world.a, { flags: specify, ids: [transportId('b')] });
  const list = new Uint8Array(24);
  list[7] = 1;
  t.is(verdict(await world.run('5f 01 05 0000 00000018', { from: world.b, out: list })), '00');
  const write = (from: Nexus) =>
    world.run('2a 00 00000000 00 0001', { from, out: new Uint8Array(512) });
  t.deepEqual((await Promise.all([world.a, world.b, world.c].map(write))).map(verdict), [
    '00',
    '00',
    '18',
  ]);
});
