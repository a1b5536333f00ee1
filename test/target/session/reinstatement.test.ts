/**
 * A login with the name and ISID of a live session ends that one first, and what it left inside the
 * device holds back the new one's writes: nothing old lands after anything new.
 */
import test from 'ava';
import { Host, rw10, world } from './kit.ts';

const sector = (fill: number) => ({ write: true, length: 512, data: Buffer.alloc(512, fill) });

test('the old session goes, its late write lands before the new one', async (t) => {
  const { server, device } = world();
  const old = new Host(server);
  await old.enter();
  device.holdWrites = true;
  old.command(rw10(0x2a, 0, 1), sector(1));
  const host = new Host(server);
  await host.login();
  t.is(old.stream.ended, 'destroy');
  t.is(server.sessions().length, 1);
  host.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  t.is((await host.receive())[0]?.op, 0x21, 'login and reads do not wait (here: unit attention)');
  const write = host.command(rw10(0x2a, 0, 1), sector(2));
  t.deepEqual(await host.receive(), []);
  t.deepEqual(device.log, ['write 0 512 1'], 'the new write is held back');
  device.release();
  t.deepEqual(device.log, ['write 0 512 1', 'write 0 512 2']);
  device.release();
  const [done] = await host.receive();
  t.is(done?.tag, write);
  const now = Buffer.alloc(512);
  device.holdReads = false;
  device.readNow(0, 512, now, 0);
  t.is(now[0], 2);
  t.deepEqual(await old.receive(), []);
});

test('the fence holds after a broken connection as well, and an abort gets through it', async (t) => {
  const { server, device } = world();
  const old = new Host(server);
  await old.enter();
  device.holdWrites = true;
  old.command(rw10(0x2a, 0, 1), sector(1));
  old.handler.closed();
  const host = new Host(server);
  await host.login();
  host.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  await host.receive();
  const write = host.command(rw10(0x2a, 0, 1), sector(2));
  const abort = host.taskManagement(1, write);
  const [reply] = await host.receive();
  t.is(reply?.op, 0x22);
  t.is(reply?.tag, abort);
  t.is(reply?.byte2, 0);
  device.releaseAll();
  t.deepEqual(device.log, ['write 0 512 1']);
});

test('TEST UNIT READY does not wait at the fence, SYNCHRONIZE CACHE does', async (t) => {
  const { server, device } = world();
  const old = new Host(server);
  await old.enter();
  device.holdWrites = true;
  old.command(rw10(0x2a, 0, 1), sector(1));
  const host = new Host(server);
  await host.enter();
  const ready = host.command(Buffer.alloc(16));
  const sync = Buffer.alloc(16);
  sync[0] = 0x35;
  const synced = host.command(sync);
  t.deepEqual(
    (await host.receive()).map((p) => p.tag),
    [ready],
  );
  device.release();
  t.deepEqual(
    (await host.receive()).map((p) => p.tag),
    [synced],
  );
});

test('another ISID is another session', async (t) => {
  const { server } = world();
  const one = new Host(server);
  await one.enter({}, 1);
  const two = new Host(server);
  await two.enter({}, 2);
  t.is(one.stream.ended, null);
  t.is(server.sessions().length, 2);
});
