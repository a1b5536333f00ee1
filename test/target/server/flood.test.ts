/** A thousand connections that never log in: bounded, timed out, and others are served meanwhile. */
import test from 'ava';
import { defaultLimits } from '../../../target/index.ts';
import { Host, pdu, rw10, world } from '../session/kit.ts';

test('a thousand connections before login', async (t) => {
  const { server, clock } = world();
  const neighbour = new Host(server);
  await neighbour.enter();
  const flood: Host[] = [];
  for (let i = 0; i < 1000; i++) flood.push(new Host(server, `198.51.100.${i % 20}`));
  // Half of a header, half of a login, and text that never ends.
  for (const [i, host] of flood.entries()) {
    if (i % 3 === 0) host.send(Buffer.alloc(20, 0x43));
    else if (i % 3 === 1) host.send(pdu(0x43, { flags: 0x87, dataLength: 8192 }));
    else host.send(pdu(0x43, { flags: 0x44, data: Buffer.alloc(8192, 65) }));
  }
  neighbour.command(rw10(0x28, 0, 8), { read: true, length: 4096 });
  t.is((await neighbour.receive()).at(-1)?.op, 0x25);
  clock.advance(14_000);
  t.true(flood.every((host) => host.stream.ended === null));
  await new Host(server, '203.0.113.2').enter({ InitiatorName: 'iqn.2026-11.test:late' }, 9);
  clock.advance(1_000);
  t.true(flood.every((host) => host.stream.ended === 'destroy'));
  t.is(server.sessions().length, 2);
  for (let i = 0; i < 100; i++) {
    const host = new Host(server, '203.0.113.1');
    await host.enter({}, 10 + i);
  }
  t.is(server.sessions().length, 102, 'all of their room is back');
});

test('when all places are taken a newcomer gets one of whoever has most', async (t) => {
  const { server } = world({ limits: { pendingPerSource: 4, pendingTotal: 6 } });
  const greedy = Array.from({ length: 4 }, () => new Host(server, '198.51.100.1'));
  const modest = [new Host(server, '198.51.100.2'), new Host(server, '198.51.100.2')];
  const late = new Host(server, '198.51.100.3');
  await late.enter();
  t.deepEqual(
    [...greedy, ...modest].map((host) => host.stream.ended),
    ['destroy', null, null, null, null, null],
    'the oldest of the one with most',
  );
  // The place of the one that has logged in is free again.
  modest.push(new Host(server, '198.51.100.2'));
  t.throws(
    () => new Host(server, '198.51.100.2'),
    { message: 'not accepted' },
    'three against three',
  );
  t.is(server.sessions().length, 1);
});

test('one address takes no more than its share', (t) => {
  const { server } = world();
  for (let i = 0; i < defaultLimits.pendingPerSource; i++) new Host(server, '198.51.100.1');
  t.throws(() => new Host(server, '198.51.100.1'), { message: 'not accepted' });
  t.notThrows(() => new Host(server, '198.51.100.2'));
});
