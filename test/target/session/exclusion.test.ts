/**
 * What a reservation excludes does not land after it: not what was still being collected, and not
 * what an aborted or departed session has inside the device.
 */
import test from 'ava';
import { Host, type Pdu, rw10, type TwoHosts, twoHosts } from './kit.ts';

const OUR_KEY = 0x1111n;
const THEIR_KEY = 0x2222n;

/** PERSISTENT RESERVE OUT (SPC-4 6.16) and the 24 bytes of its parameter list. */
function reserveOut(
  host: Host,
  action: number,
  type: number,
  key: bigint,
  service: bigint,
): number {
  const cdb = Buffer.alloc(16);
  cdb[0] = 0x5f;
  cdb[1] = action;
  cdb[2] = type;
  cdb.writeUInt32BE(24, 5);
  const list = Buffer.alloc(24);
  list.writeBigUInt64BE(key, 0);
  list.writeBigUInt64BE(service, 8);
  return host.command(cdb, { write: true, length: 24, data: list });
}

const register = (host: Host, key: bigint) => reserveOut(host, 0, 0, 0n, key);
/** Write exclusive. */
const reserve = (host: Host, key: bigint) => reserveOut(host, 1, 1, key, 0n);
const preemptAndAbort = (host: Host, key: bigint, victim: bigint) =>
  reserveOut(host, 5, 1, key, victim);

const answers = (all: Pdu[]): string[] =>
  all.map((p) => `${p.op.toString(16)} ${p.tag} ${p.byte3.toString(16)}`);

async function two(): Promise<TwoHosts> {
  const all = await twoHosts();
  const { us, them } = all;
  register(us, OUR_KEY);
  register(them, THEIR_KEY);
  const statuses = [...(await us.receive()), ...(await them.receive())].map((p) => p.byte3);
  if (statuses.join() !== '0,0') throw new Error('not registered');
  return all;
}

const oneBlock = { write: true, length: 512, data: Buffer.alloc(512, 7) };

test('PREEMPT AND ABORT is answered when the victim has nothing to do', async (t) => {
  const { us } = await two();
  const tag = preemptAndAbort(us, OUR_KEY, THEIR_KEY);
  t.deepEqual(answers(await us.receive()), [`21 ${tag} 0`]);
});

test("PREEMPT AND ABORT is answered once the victim's write is out of the device", async (t) => {
  const { us, them, device } = await two();
  device.holdWrites = true;
  them.command(rw10(0x2a, 0, 1), oneBlock);
  them.command(rw10(0x2a, 8, 16), { write: true, length: 8192 });
  await them.receive();
  const tag = preemptAndAbort(us, OUR_KEY, THEIR_KEY);
  t.deepEqual(await us.receive(), [], 'a write is inside the device');
  device.release();
  t.deepEqual(answers(await us.receive()), [`21 ${tag} 0`]);
  t.deepEqual(await them.receive(), [], 'aborted tasks are not answered');
  t.is(device.log.length, 1, 'what was being collected never reached the device');
});

test('PREEMPT AND ABORT waits for a write of the session that the victim replaced', async (t) => {
  const { server, us, them, device } = await two();
  device.holdWrites = true;
  them.command(rw10(0x2a, 0, 1), oneBlock);
  await them.receive();
  const again = new Host(server);
  await again.enter({}, 2);
  t.is(them.stream.ended, 'destroy', 'reinstated');
  const tag = preemptAndAbort(us, OUR_KEY, THEIR_KEY);
  t.deepEqual(await us.receive(), []);
  device.release();
  t.deepEqual(answers(await us.receive()), [`21 ${tag} 0`]);
});

test('PREEMPT AND ABORT that takes long: BUSY to everybody from 2 s on, and still no answer', async (t) => {
  const { us, them, device, clock } = await two();
  device.holdWrites = true;
  them.command(rw10(0x2a, 0, 1), oneBlock);
  const tag = preemptAndAbort(us, OUR_KEY, THEIR_KEY);
  clock.advance(2_000);
  const early = us.command(rw10(0x2a, 0, 1), oneBlock);
  t.deepEqual(answers(await us.receive()), [`21 ${early} 8`]);
  t.is(device.log.length, 1);
  const keys = Buffer.alloc(16);
  keys.set([0x5e, 0, 0, 0, 0, 0, 0, 0, 64]);
  const asked = us.command(keys, { read: true, length: 64 });
  t.deepEqual(answers(await us.receive()), [`25 ${asked} 0`], 'reservations are told of meanwhile');
  device.holdWrites = false;
  device.release();
  t.deepEqual(answers(await us.receive()), [`21 ${tag} 0`]);
  const next = us.command(rw10(0x2a, 0, 1), oneBlock);
  t.deepEqual(answers(await us.receive()), [`21 ${next} 0`]);
  t.deepEqual(await them.receive(), [], 'the aborted write is not answered');
});

test('a write whose data comes after a reservation by another is refused, not written', async (t) => {
  const { us, them, device } = await two();
  const write = them.command(rw10(0x2a, 0, 16), { write: true, length: 8192 });
  const [r2t] = await them.receive();
  const taken = reserve(us, OUR_KEY);
  t.deepEqual(answers(await us.receive()), [`21 ${taken} 0`]);
  them.dataOut(write, r2t!.head.readUInt32BE(20), 0, 0, Buffer.alloc(8192, 9));
  t.deepEqual(answers(await them.receive()), [`21 ${write} 18`], 'RESERVATION CONFLICT');
  t.deepEqual(device.log, []);
});

test('a write whose data comes after our own reservation is written', async (t) => {
  const { us, device } = await two();
  const write = us.command(rw10(0x2a, 0, 16), { write: true, length: 8192 });
  const [r2t] = await us.receive();
  reserve(us, OUR_KEY);
  await us.receive();
  us.dataOut(write, r2t!.head.readUInt32BE(20), 0, 0, Buffer.alloc(8192, 9));
  t.deepEqual(answers(await us.receive()), [`21 ${write} 0`]);
  t.deepEqual(device.log, ['write 0 8192 9']);
});

test('a reservation is answered when older writes of those it excludes are out', async (t) => {
  const { us, them, device } = await two();
  device.holdWrites = true;
  const write = them.command(rw10(0x2a, 0, 1), oneBlock);
  const taken = reserve(us, OUR_KEY);
  t.deepEqual(await us.receive(), [], 'an older write is inside the device');
  device.release();
  t.deepEqual(answers(await us.receive()), [`21 ${taken} 0`]);
  t.deepEqual(answers(await them.receive()), [`21 ${write} 0`]);
});

test('a reservation waits for the write of a session that is gone', async (t) => {
  const { server, us, them, device } = await two();
  const other = new Host(server);
  await other.enter({}, 3);
  device.holdWrites = true;
  them.command(rw10(0x2a, 0, 1), oneBlock);
  them.handler.closed();
  const taken = reserve(us, OUR_KEY);
  t.deepEqual(await us.receive(), []);
  device.release();
  t.deepEqual(answers(await us.receive()), [`21 ${taken} 0`]);
});

test('settling waits for whoever is gone, and not for the command that settles', async (t) => {
  const { target, us, them, device } = await two();
  device.holdWrites = true;
  them.command(rw10(0x2a, 0, 1), oneBlock);
  them.handler.closed();
  let settled = 0;
  target.scsi.settle(1, [], () => settled++);
  t.is(settled, 1, 'another LUN');
  target.scsi.settle(0, [], () => settled++);
  t.is(settled, 1);
  device.release();
  t.is(settled, 2);
  device.holdWrites = false;
  const taken = reserve(us, OUR_KEY);
  t.deepEqual(answers(await us.receive()), [`21 ${taken} 0`]);
});
