/** Targets and sessions come and go in an orderly way: removed, kicked, closed, limited. */
import test from 'ava';
import { Host, INITIATOR, NAME, pdu, rw10, world } from '../session/kit.ts';

test('a removed target asks its hosts to log out, then drops them, and is not found again', async (t) => {
  const { server, clock, device } = world();
  const host = new Host(server);
  await host.enter();
  device.holdWrites = true;
  host.command(rw10(0x2a, 0, 1), { write: true, length: 512, data: Buffer.alloc(512) });
  let removed = false;
  const done = server.removeTarget(NAME).then(() => {
    removed = true;
  });
  const [message] = await host.receive();
  t.is(message?.op, 0x32);
  t.is(message?.head[36], 1, 'event 1: logout request');
  t.is(message?.head.readUInt16BE(42), 3, 'seconds to do it in');
  const again = await new Host(server).login();
  t.is(again.head.subarray(36, 38).toString('hex'), '0203');
  clock.advance(3_000);
  t.is(host.stream.ended, 'destroy');
  await new Promise((resolve) => setImmediate(resolve));
  t.false(removed, 'a write is still inside the device');
  device.release();
  await done;
  t.deepEqual(server.sessions(), []);
});

test('a kicked session is told and dropped; others go on', async (t) => {
  const { server } = world();
  const host = new Host(server);
  const other = new Host(server);
  await host.enter();
  await other.enter({}, 2);
  const [first] = server.sessions();
  t.true(server.kick(first!.id));
  t.is((await host.receive())[0]?.head[36], 3, 'event 3: the session is dropped');
  t.is(host.stream.ended, 'destroy');
  t.is(other.stream.ended, null);
  t.false(server.kick(first!.id));
  t.is(server.hasSession(NAME), 1);
});

test('a host that is asked to log out and does not is told of the drop, then dropped', async (t) => {
  const { server, clock } = world();
  const host = new Host(server);
  await host.enter();
  const { id } = server.sessions()[0]!;
  t.true(server.logout(id, 10_000));
  const [asked] = await host.receive();
  t.deepEqual([asked?.op, asked?.head[36], asked?.head.readUInt16BE(42)], [0x32, 1, 10]);
  clock.advance(9_000);
  t.is(host.stream.ended, null);
  clock.advance(1_000);
  const [drop] = await host.receive();
  t.deepEqual([drop?.op, drop?.head[36], drop?.head.readUInt16BE(38)], [0x32, 2, 0]);
  t.is(host.stream.ended, 'destroy');
  t.false(server.logout(id));
});

test('a host that logs out when asked is not dropped, nor is its next session', async (t) => {
  const { server, clock } = world();
  const host = new Host(server);
  await host.enter();
  server.logout(server.sessions()[0]!.id);
  await host.receive();
  host.send(pdu(0x46, { flags: 0x80, tag: 5, w24: host.cmdSn }));
  t.deepEqual(
    (await host.receive()).map((p) => p.op),
    [0x26],
  );
  host.handler.closed();
  const next = new Host(server);
  await next.enter();
  clock.advance(5_000);
  t.is(next.stream.ended, null);
  t.is(host.stream.ended, 'end');
});

test('what a session has done is told', async (t) => {
  const { server } = world();
  const host = new Host(server, '192.0.2.33');
  await host.enter({ HeaderDigest: 'CRC32C' });
  host.command(rw10(0x2a, 0, 2), { write: true, length: 1024, data: Buffer.alloc(1024) });
  host.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  await host.receive();
  const [info] = server.sessions();
  const { id, since, ...rest } = info!;
  t.is(typeof id, 'number');
  t.true(since > 1_800_000_000_000);
  t.deepEqual(rest, {
    initiator: INITIATOR,
    isid: '800000010000',
    target: NAME,
    address: '192.0.2.33',
    digests: { header: true, data: false },
    commands: 3,
    bytesRead: 512,
    bytesWritten: 1024,
    state: 'open',
  });
});

test('sessions are limited, on one target and together', async (t) => {
  const { server } = world({ limits: { sessionsPerTarget: 2 } });
  await new Host(server).enter({}, 1);
  const second = new Host(server);
  await second.enter({}, 2);
  const refused = await new Host(server).login({}, 3);
  t.is(refused.head.subarray(36, 38).toString('hex'), '0302');
  await new Host(server).enter({}, 2);
  t.is(second.stream.ended, 'destroy', 'reinstatement needs no room');
});

test('a thousand failing logins leave nothing behind', async (t) => {
  const { server } = world();
  for (let i = 0; i < 1000; i++) {
    const host = new Host(server);
    await host.login({ TargetName: 'iqn.2026-11.test:gone' });
    host.handler.closed();
  }
  const host = new Host(server);
  await host.enter();
  t.is(server.sessions().length, 1);
});

test('close asks, drops and waits', async (t) => {
  const { server, clock } = world();
  const host = new Host(server);
  await host.enter();
  const early = new Host(server);
  const done = server.close();
  t.is((await host.receive())[0]?.op, 0x32);
  t.is(early.stream.ended, 'destroy');
  t.throws(() => new Host(server), { message: 'not accepted' });
  clock.advance(4_000);
  await done;
  t.is(host.stream.ended, 'destroy');
});

test('a name that is none, or is taken, is refused', (t) => {
  const { server } = world();
  const access = () => 'none' as const;
  t.throws(() => server.addTarget({ name: NAME, access }), { instanceOf: RangeError });
  for (const name of [
    '',
    'disk',
    'iqn.2026-13.a:b',
    'iqn.2026-11.a:b\n',
    'iqn.2026-11.a:B/c',
    'naa.12',
  ]) {
    t.throws(() => server.addTarget({ name, access }), { instanceOf: RangeError }, name);
  }
});
