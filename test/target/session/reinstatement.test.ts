/**
 * A login with the name and ISID of a live session ends that one first, and what it left inside the
 * device holds back its host's writes, by whatever path: nothing old lands after anything new. A
 * device that does not let go in time makes its unit BUSY instead.
 */
import test from 'ava';
import { RamDevice } from '../../../target/index.ts';
import { Host, MIB, rw10, world } from './kit.ts';

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

test('a device that does not let go: what was held back is BUSY after 2 s, and so is the unit', async (t) => {
  const { server, device, clock, target } = world();
  target.scsi.add(1, new RamDevice({ bytes: MIB }));
  const other = new Host(server, '192.0.2.8');
  await other.enter({ InitiatorName: 'iqn.2026-11.test:other' }, 2);
  const old = new Host(server);
  await old.enter();
  device.holdWrites = true;
  old.command(rw10(0x2a, 0, 1), sector(1));
  const host = new Host(server);
  await host.enter();
  host.command(Buffer.alloc(16), { lun: 1 });
  await host.receive();
  const here = host.command(rw10(0x2a, 0, 1), sector(2));
  const there = host.command(rw10(0x2a, 0, 1), { ...sector(2), lun: 1 });
  clock.advance(1_000);
  t.deepEqual(await host.receive(), []);
  clock.advance(1_000);
  const answers = (await host.receive()).map((pdu) => [pdu.tag, pdu.byte3]);
  t.deepEqual(answers, [
    [here, 0x08],
    [there, 0],
  ]);
  for (const each of [host, other]) {
    const tag = each.command(rw10(0x2a, 0, 1), sector(3));
    t.deepEqual(
      (await each.receive()).map((pdu) => [pdu.tag, pdu.byte3]),
      [[tag, 0x08]],
      'at once, from every nexus',
    );
  }
  const late = new Host(server);
  await late.enter();
  const again = late.command(rw10(0x2a, 0, 1), sector(4));
  t.deepEqual(
    (await late.receive()).map((pdu) => [pdu.tag, pdu.byte3]),
    [[again, 0x08]],
    'a later session does not wait a second time',
  );
  t.deepEqual(device.log, ['write 0 512 1']);
  device.holdWrites = false;
  device.release();
  const served = late.command(rw10(0x2a, 0, 1), sector(5));
  t.deepEqual(
    (await late.receive()).map((pdu) => [pdu.tag, pdu.byte3]),
    [[served, 0]],
  );
  t.deepEqual(device.log, ['write 0 512 1', 'write 0 512 5']);
});

test('a host that goes on by another path waits there for what the lost one left', async (t) => {
  const { server, device } = world();
  const one = new Host(server);
  const two = new Host(server);
  const other = new Host(server, '192.0.2.8');
  await one.enter({}, 1);
  await two.enter({}, 2);
  await other.enter({ InitiatorName: 'iqn.2026-11.test:other' }, 3);
  device.holdWrites = true;
  one.command(rw10(0x2a, 0, 1), sector(1));
  one.handler.closed();
  const write = two.command(rw10(0x2a, 0, 1), sector(2));
  t.deepEqual(device.log, ['write 0 512 1']);
  other.command(rw10(0x2a, 8, 1), sector(3));
  t.deepEqual(device.log, ['write 0 512 1', 'write 4096 512 3'], 'another host does not wait');
  device.holdWrites = false;
  device.releaseAll();
  t.deepEqual(
    (await two.receive()).map((pdu) => [pdu.tag, pdu.byte3]),
    [[write, 0]],
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
