/** A thousand connections that never log in: bounded, timed out, and others are served meanwhile. */
import test from 'ava';
import { defaultLimits } from '../../../target/index.ts';
import { Host, pdu, rw10, world } from '../session/kit.ts';

test('a thousand connections before login', async (t) => {
  const { server, clock } = world();
  const neighbour = new Host(server);
  await neighbour.enter();
  const flood: Host[] = [];
  let refused = 0;
  for (let i = 0; i < 1000; i++) {
    try {
      flood.push(new Host(server, `198.51.100.${i % 20}`));
    } catch {
      refused++;
    }
  }
  t.is(flood.length, defaultLimits.pendingTotal);
  t.is(refused, 1000 - flood.length);
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
  t.throws(() => new Host(server, '203.0.113.1'), { message: 'not accepted' });
  clock.advance(1_000);
  t.true(flood.every((host) => host.stream.ended === 'destroy'));
  t.is(server.sessions().length, 1);
  for (let i = 0; i < 100; i++) {
    const host = new Host(server, '203.0.113.1');
    await host.enter({}, 10 + i);
  }
  t.is(server.sessions().length, 101, 'all of their room is back');
});

test('one address takes no more than its share', (t) => {
  const { server } = world();
  for (let i = 0; i < defaultLimits.pendingPerSource; i++) new Host(server, '198.51.100.1');
  t.throws(() => new Host(server, '198.51.100.1'), { message: 'not accepted' });
  t.notThrows(() => new Host(server, '198.51.100.2'));
});
