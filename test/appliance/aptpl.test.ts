/** A reservation made with APTPL holds after kill -9, for its holder and against everyone else. */
import test from 'ava';
import { read10, write10 } from '#test/kit/cdb.ts';
import { Daemon } from '#test/kit/daemon.ts';
import { type CommandResult, expectGood, type Initiator } from '#test/kit/initiator.ts';
import { storeSize } from './harness.ts';

/** PERSISTENT RESERVE OUT (SPC-4 6.16) and IN (6.15). */
const Out = { register: 0x00, reserve: 0x01, release: 0x02, clear: 0x03 } as const;
const In = { readKeys: 0x00, readReservation: 0x01 } as const;
const exclusiveAccess = 3;
const reservationConflict = 0x18;
const aptpl = 0x01;

interface ReserveOut {
  readonly key?: bigint;
  readonly newKey?: bigint;
  readonly type?: number;
  readonly flags?: number;
}

function reserveOut(host: Initiator, action: number, out: ReserveOut): Promise<CommandResult> {
  const list = Buffer.alloc(24);
  list.writeBigUInt64BE(out.key ?? 0n, 0);
  list.writeBigUInt64BE(out.newKey ?? 0n, 8);
  list[20] = out.flags ?? 0;
  const cdb = Buffer.alloc(16);
  cdb.set([0x5f, action, out.type ?? 0]);
  cdb.writeUInt32BE(list.length, 5);
  return host.command(cdb, { dataOut: list });
}

async function reserveIn(host: Initiator, action: number): Promise<Buffer> {
  const cdb = Buffer.alloc(16);
  cdb.set([0x5e, action]);
  cdb.writeUInt16BE(256, 7);
  const answer = await host.command(cdb, { expectIn: 256 });
  return expectGood(answer, `PERSISTENT RESERVE IN ${action}`).data;
}

const holder = {
  initiator: 'iqn.2026-11.com.example:holder',
  isid: Buffer.from('800000000001', 'hex'),
};
const other = {
  initiator: 'iqn.2026-11.com.example:other',
  isid: Buffer.from('800000000002', 'hex'),
};
const key = 0x1122334455667788n;

async function reserved(daemon: Daemon, flags: number): Promise<void> {
  const host = await daemon.login(await daemon.disk(), holder);
  await host.settle();
  expectGood(await reserveOut(host, Out.register, { newKey: key, flags }), 'REGISTER');
  expectGood(await reserveOut(host, Out.reserve, { key, type: exclusiveAccess }), 'RESERVE');
  await daemon.kill();
  await daemon.launch();
}

test('with APTPL keys and reservation are there after kill -9, and others are refused', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  await reserved(daemon, aptpl);
  const disk = await daemon.disk();
  const stranger = await daemon.login(disk, other);
  await stranger.settle();
  const keys = await reserveIn(stranger, In.readKeys);
  t.is(keys.readUInt32BE(4), 8, 'one key');
  t.is(keys.readBigUInt64BE(8), key);
  const reservation = await reserveIn(stranger, In.readReservation);
  t.is(reservation.readUInt32BE(4), 16);
  t.is(reservation.readBigUInt64BE(8), key);
  t.is(reservation[21]! & 0x0f, exclusiveAccess);
  const refusedWrite = await stranger.command(write10(0, 1), { dataOut: Buffer.alloc(512) });
  t.is(refusedWrite.status, reservationConflict);
  const refusedRead = await stranger.command(read10(0, 1), { expectIn: 512 });
  t.is(refusedRead.status, reservationConflict);
  const host = await daemon.login(disk, holder);
  await host.settle();
  await host.write(0, Buffer.alloc(512, 7));
  t.deepEqual(await host.read(0, 1), Buffer.alloc(512, 7));
  // What its holder takes back stays taken back.
  expectGood(await reserveOut(host, Out.clear, { key }), 'CLEAR');
  await daemon.kill();
  await daemon.launch();
  const later = await daemon.login(disk, other);
  await later.settle();
  t.is((await reserveIn(later, In.readKeys)).readUInt32BE(4), 0);
  await later.write(0, Buffer.alloc(512, 9));
  await later.logout();
});

test('without APTPL nothing is left after kill -9', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  await reserved(daemon, 0);
  const stranger = await daemon.login(await daemon.disk(), other);
  await stranger.settle();
  t.is((await reserveIn(stranger, In.readKeys)).readUInt32BE(4), 0);
  await stranger.write(0, Buffer.alloc(512, 9));
  await stranger.logout();
});

test('a removed disk that is restored has its reservation back, also after a restart', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  await reserved(daemon, aptpl);
  await daemon.petal('disk', 'rm', 'disk0', '--force', 'disk0');
  await daemon.stop();
  await daemon.launch();
  await daemon.petal('disk', 'undelete', 'disk0');
  const stranger = await daemon.login(await daemon.disk(), other);
  await stranger.settle();
  const refused = await stranger.command(write10(0, 1), { dataOut: Buffer.alloc(512) });
  t.is(refused.status, reservationConflict);
  await stranger.logout();
});
