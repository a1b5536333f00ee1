/** A disk beyond 2^32 sectors: every address and count field holds it or says that it does not. */
import test from 'ava';
import { hex, sector, verdict, World } from './kit.ts';

const bytes = 4 * 2 ** 40;
const last = '00000001ffffffff';

async function ready(): Promise<World> {
  const world = new World({ bytes });
  await world.attach(world.a);
  return world;
}

test('READ CAPACITY(10) sends the host to the 16-byte form', async (t) => {
  const world = await ready();
  t.deepEqual((await world.run('25')).data, hex('ffffffff 00000200'));
  const sixteen = await world.run('9e 10 0000000000000000 00000008');
  t.deepEqual(sixteen.data, hex(last));
});

test('the short block descriptor of MODE SENSE says that it cannot tell', async (t) => {
  const world = await ready();
  t.is((await world.run('1a 00 0a 00 ff')).data.slice(4, 8).toHex(), 'ffffffff');
  const long = await world.run('5a 10 0a 00 000000 00ff');
  t.is(long.data.slice(8, 16).toHex(), '0000000200000000');
});

test('the last sector is written and read, the one after it is not there', async (t) => {
  const world = await ready();
  const data = new Uint8Array(sector).fill(0x5a);
  t.is(verdict(await world.run(`8a 00 ${last} 00000001`, { out: data })), '00');
  t.deepEqual(world.device.calls, [`write ${bytes - sector} ${sector}`]);
  t.deepEqual((await world.run(`88 00 ${last} 00000001`)).data, data);
  t.is(verdict(await world.run(`88 00 ${last} 00000002`)), '02 05/2100');
  t.is(verdict(await world.run('88 00 0000000200000000 00000001')), '02 05/2100');
});

test('GET LBA STATUS counts at most what its field holds', async (t) => {
  const world = await ready();
  world.device.allocation = (offset, length) => ({ mapped: offset >= bytes / 2, length });
  const { data } = await world.run('9e 12 0000000000000000 00000018');
  t.is(data.slice(16, 20).toHex(), 'ffffffff');
});
