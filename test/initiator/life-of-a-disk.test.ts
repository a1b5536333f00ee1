/** What hosts see when an operator resizes or removes a disk or ends a session. */
import test from 'ava';
import { readCapacity16, testUnitReady } from '../kit/cdb.ts';
import { Daemon } from '../kit/daemon.ts';
import { type Initiator, LoginRefused, senseText } from '../kit/initiator.ts';

async function capacityBytes(session: Initiator): Promise<number> {
  const { data } = await session.command(readCapacity16(), { expectIn: 32 });
  return (Number(data.readBigUInt64BE(0)) + 1) * data.readUInt32BE(8);
}

test('a resize is told by a unit attention, once, and then seen', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.createDisk('grow', '1GiB');
  const session = await daemon.login(disk);
  await session.settle();
  t.is(await capacityBytes(session), 2 ** 30);
  await daemon.petal('disk', 'resize', 'grow', '2GiB');
  const told = await session.command(testUnitReady());
  t.is(told.status, 2);
  t.is(senseText(told), '06/2a/09');
  t.is((await session.command(testUnitReady())).status, 0);
  t.is(await capacityBytes(session), 2 ** 31);
  const data = Buffer.alloc(4096, 0x5a);
  await session.write((2 ** 31 - 4096) / 512, data);
  t.true((await session.read((2 ** 31 - 4096) / 512, 8)).equals(data));
  await session.logout();
});

test('a removed disk is not found at login', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.createDisk('gone', '64MiB');
  await daemon.petal('disk', 'rm', 'gone');
  const error = await t.throwsAsync(daemon.login(disk), { instanceOf: LoginRefused });
  t.deepEqual([error?.statusClass, error?.statusDetail], [2, 3]);
  // The others are none the worse.
  const session = await daemon.login(await daemon.disk());
  await session.settle();
  await session.logout();
});

test('a disk in use is removed only when its name is repeated', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.createDisk('busy', '64MiB');
  const session = await daemon.login(disk);
  await session.settle();
  const refused = await daemon.petalRaw('disk', 'rm', 'busy');
  t.not(refused.status, 0);
  t.is((await session.command(testUnitReady())).status, 0);
  session.close();
});

test('a removed disk can be restored, with its data and its identity', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.createDisk('back', '64MiB');
  const data = Buffer.alloc(65_536, 0xb7);
  const before = await daemon.login(disk);
  await before.settle();
  await before.write(2048, data);
  await before.logout();
  await daemon.petal('disk', 'rm', 'back');
  await daemon.petal('disk', 'undelete', 'back');
  const restored = await daemon.disk('back');
  t.deepEqual([restored.iqn, restored.naa, restored.size], [disk.iqn, disk.naa, disk.size]);
  const after = await daemon.login(restored);
  await after.settle();
  t.true((await after.read(2048, 128)).equals(data));
  await after.logout();
});

interface SessionInfo {
  readonly id: string | number;
  readonly initiator: string;
}

test('a session that is kicked ends; the host may come back', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const initiator = 'iqn.2026-11.internal.petal:kicked';
  const session = await daemon.login(disk, { initiator });
  await session.settle();
  const sessions = (await daemon.petal('session', 'ls')) as SessionInfo[];
  const found = sessions.find((each) => each.initiator === initiator);
  t.truthy(found, JSON.stringify(sessions));
  await daemon.petal('session', 'kick', String(found?.id));
  t.not((await session.wire.ended).by, 'us');
  const again = await daemon.login(disk, { initiator });
  await again.settle();
  await again.logout();
});
