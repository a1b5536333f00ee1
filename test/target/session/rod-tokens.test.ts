/**
 * ROD tokens and writes on their way: what was in the device before a token is part of it, what comes
 * after ends it, wherever the write was when the token was made.
 */
import test from 'ava';
import { RamDevice } from '../../../target/index.ts';
import {
  type Information,
  parseInformation,
  populateList,
  type Range,
  writeList,
} from '../scsi/rod-kit.ts';
import { Host, MIB, type Pdu, rw10, senseOf, type TwoHosts, twoHosts } from './kit.ts';

function rodCdb(action: number, listId: number, length: number): Buffer {
  const cdb = Buffer.alloc(16);
  cdb[0] = 0x83;
  cdb[1] = action;
  cdb.writeUInt32BE(listId, 6);
  cdb.writeUInt32BE(length, 10);
  return cdb;
}

function send(host: Host, action: number, data: Buffer, listId = 1): number {
  return host.command(rodCdb(action, listId, data.length), {
    write: true,
    length: data.length,
    data,
  });
}

const populate = (host: Host, ranges: readonly Range[], listId = 1) =>
  send(host, 0x10, populateList(ranges), listId);

async function information(host: Host, listId = 1): Promise<Information> {
  const cdb = Buffer.alloc(16);
  cdb[0] = 0x84;
  cdb[1] = 0x07;
  cdb.writeUInt32BE(listId, 2);
  cdb.writeUInt32BE(1024, 10);
  host.command(cdb, { read: true, length: 1024 });
  const answers = await host.receive();
  const dataIn = answers.find((each) => each.op === 0x25);
  if (dataIn === undefined) throw new Error('no data');
  return parseInformation(dataIn.data);
}

/** How WRITE USING TOKEN of one block to LBA 1000 ends. */
async function use(
  { us: host, device }: Pick<TwoHosts, 'us' | 'device'>,
  token: Uint8Array,
): Promise<string> {
  send(host, 0x11, writeList(token, [[1000, 1]]), 99);
  device.releaseAll();
  const [answer] = await host.receive();
  return answer!.byte3 === 2 ? senseOf(answer!) : answer!.byte3.toString(16);
}

const two = (): Promise<TwoHosts> => twoHosts({ InitiatorName: 'iqn.2026-11.test:other' });

const oneBlock = { write: true, length: 512, data: Buffer.alloc(512, 7) };
const answers = (all: Pdu[]): string[] =>
  all.map((p) => `${p.op.toString(16)} ${p.tag} ${p.byte3.toString(16)}`);

test('POPULATE TOKEN is answered when older writes are out of the device', async (t) => {
  const all = await two();
  const { us, them, device } = all;
  device.holdWrites = true;
  const write = them.command(rw10(0x2a, 0, 1), oneBlock);
  const tag = populate(us, [[0, 8]]);
  t.deepEqual(await us.receive(), []);
  t.like(await information(us), { action: 0x10, state: 0x11, token: null });
  device.holdWrites = false;
  device.release();
  t.deepEqual(answers(await us.receive()), [`21 ${tag} 0`]);
  t.deepEqual(answers(await them.receive()), [`21 ${write} 0`]);
  const { token } = await information(us);
  t.is(await use(all, token!), '0');
  const out = new Uint8Array(512);
  device.readNow(1000 * 512, 512, out, 0);
  t.deepEqual(out, new Uint8Array(512).fill(7), 'the write is part of it');
});

test('commands that wait do not wait for one another', async (t) => {
  const { us, them, device } = await two();
  device.holdWrites = true;
  const write = us.command(rw10(0x2a, 0, 1), oneBlock);
  const first = populate(us, [[0, 8]], 1);
  const second = populate(us, [[0, 8]], 2);
  const third = populate(them, [[0, 8]], 3);
  t.deepEqual([...(await us.receive()), ...(await them.receive())], []);
  device.release();
  t.deepEqual(answers(await us.receive()), [`21 ${write} 0`, `21 ${first} 0`, `21 ${second} 0`]);
  t.deepEqual(answers(await them.receive()), [`21 ${third} 0`]);
});

test('a write whose data is still on its way ends the token when it comes', async (t) => {
  const all = await two();
  const { us, them } = all;
  const write = them.command(rw10(0x2a, 0, 16), { write: true, length: 8192 });
  const [r2t] = await them.receive();
  const tag = populate(us, [[15, 1]]);
  t.deepEqual(answers(await us.receive()), [`21 ${tag} 0`], 'it is not waited for');
  const { token } = await information(us);
  t.is(await use(all, token!), '0');
  them.dataOut(write, r2t!.head.readUInt32BE(20), 0, 0, Buffer.alloc(8192, 9));
  t.deepEqual(answers(await them.receive()), [`21 ${write} 0`]);
  t.is(await use(all, token!), '5/2308');
});

test('a write of a session that is gone is waited for', async (t) => {
  const { us, them, device } = await two();
  device.holdWrites = true;
  them.command(rw10(0x2a, 0, 1), oneBlock);
  them.handler.closed();
  const tag = populate(us, [[0, 8]]);
  t.deepEqual(await us.receive(), []);
  device.release();
  t.deepEqual(answers(await us.receive()), [`21 ${tag} 0`]);
});

test('an aborted POPULATE TOKEN leaves no token', async (t) => {
  const { us, them, device, target } = await two();
  device.holdWrites = true;
  them.command(rw10(0x2a, 0, 1), oneBlock);
  const tag = populate(us, [[0, 8]]);
  t.is(target.scsi.rodTokens.size, 1);
  us.taskManagement(1, tag);
  t.deepEqual(await us.receive(), [], 'it waits for the device like any other');
  device.release();
  t.deepEqual(
    (await us.receive()).map((each) => each.op),
    [0x22],
  );
  t.is(target.scsi.rodTokens.size, 0);
  t.like(await information(us), { state: 0x60, completion: 0x40, token: null });
});

test('the targets of a server share their tokens', async (t) => {
  const { server, target, us } = await two();
  const other = server.addTarget({ name: 'iqn.2026-11.test:more', access: () => 'read-write' });
  t.is(other.scsi.rodTokens, target.scsi.rodTokens);
  populate(us, [[0, 8]]);
  await us.receive();
  const { token } = await information(us);
  t.true('bytes' in other.scsi.rodTokens.find(token!, 'iqn.2026-11.test:host'));
});

test('work in the background ends with its session, and no write of the next one comes before', async (t) => {
  const { server, us, device } = await two();
  us.command(rw10(0x2a, 0, 1), oneBlock);
  await us.receive();
  populate(us, [[0, 8]]);
  await us.receive();
  const { token } = await information(us);
  device.holdWrites = true;
  send(us, 0x11, writeList(token!, [[1000, 8]], { immed: true }), 5);
  t.is((await us.receive())[0]!.byte3, 0);
  t.like(await information(us, 5), { state: 0x12 });
  device.release();
  t.is(device.log.at(-1), 'write 512000 4096 7', 'read, and inside the device with it');
  us.handler.closed();
  const again = new Host(server);
  await again.enter({}, 1);
  const write = { write: true, length: 512, data: Buffer.alloc(512, 3) };
  again.command(rw10(0x2a, 1000, 1), write);
  t.is((await again.receive())[0]!.byte3, 8, 'BUSY');
  device.holdWrites = false;
  device.releaseAll();
  again.command(rw10(0x2a, 1000, 1), write);
  t.is((await again.receive())[0]!.byte3, 0);
  const out = new Uint8Array(512);
  device.readNow(1000 * 512, 512, out, 0);
  t.deepEqual(out, new Uint8Array(512).fill(3));
});

test('a token of the disk of one target is written to the disk of another, as long as both may be used', async (t) => {
  const { server, us, device } = await two();
  const name = 'iqn.2026-11.test:more';
  const access: { now: 'read-write' | 'none' } = { now: 'read-write' };
  const source = server.addTarget({ name, access: () => access.now });
  const data = Buffer.alloc(512, 0x5c);
  const disk = new RamDevice({ bytes: MIB });
  disk.write(0, data, false, { complete: () => {} });
  source.scsi.add(0, disk);
  const there = new Host(server);
  await there.enter({ TargetName: name }, 1);
  populate(there, [[0, 1]]);
  await there.receive();
  const { token } = await information(there);
  t.is(await use({ us, device }, token!), '0');
  const out = new Uint8Array(512);
  device.readNow(1000 * 512, 512, out, 0);
  t.is(Buffer.compare(out, data), 0);
  access.now = 'none';
  t.is(await use({ us, device }, token!), 'a/0d02', 'masked meanwhile');
  access.now = 'read-write';
  t.is(await use({ us, device }, token!), '0');
  there.command(rw10(0x2a, 0, 1), oneBlock);
  await there.receive();
  t.is(await use({ us, device }, token!), '5/2308', 'written meanwhile');
});
