/** A thousand connections that never log in: bounded, timed out, and others are served meanwhile. */
import test from 'ava';
import { defaultLimits } from '../../../target/index.ts';
import { heldAfterCollection } from '../../kit/memory.ts';
import { Host, MIB, pdu, rw10, type World, world } from '../session/kit.ts';

/** Half of a header, half of a login, and text that never ends. */
function sayHalf(host: Host, index: number): void {
  if (index % 3 === 0) host.send(Buffer.alloc(20, 0x43));
  else if (index % 3 === 1) host.send(pdu(0x43, { flags: 0x87, dataLength: 8192 }));
  else host.send(pdu(0x43, { flags: 0x44, data: Buffer.alloc(8192, 65) }));
}

test.serial('a thousand connections before login', async (t) => {
  const { server, clock } = world();
  const neighbour = new Host(server);
  await neighbour.enter();
  const flood: Host[] = [];
  for (let i = 0; i < 1000; i++) flood.push(new Host(server, `198.51.100.${i % 20}`));
  for (const [index, host] of flood.entries()) sayHalf(host, index);
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

function flood({ server }: World): void {
  for (let i = 0; i < 1000; i++) sayHalf(new Host(server, `198.51.100.${i % 20}`), i);
}

test.serial('what a thousand such connections cost is little, and given back', async (t) => {
  const all = world();
  // Before that: code, and what the pools keep for the next.
  for (let round = 0; round < 2; round++) {
    flood(all);
    all.clock.advance(15_000);
  }
  const before = await heldAfterCollection();
  for (let round = 0; round < 3; round++) {
    flood(all);
    const now = await heldAfterCollection();
    // Text of 8 KiB is collected, room for as much is there for a PDU; nothing beyond that.
    const buffers = now.buffers - before.buffers;
    t.true(buffers <= 1000 * 16 * 1024, `${buffers} of buffers`);
    all.clock.advance(15_000);
  }
  const after = await heldAfterCollection();
  t.true(after.buffers - before.buffers < MIB / 8, `${after.buffers - before.buffers} of buffers`);
  // Less than 200 bytes for each of the three thousand.
  t.true(after.heap - before.heap < MIB / 2, `${after.heap - before.heap} of objects`);
});

test.serial('a session that is silent keeps no buffer for its output', async (t) => {
  const { server } = world();
  const enter = async (from: number): Promise<void> => {
    for (let i = 0; i < 50; i++) {
      const host = new Host(server);
      await host.enter({}, from + i);
      host.command(rw10(0x28, 0, 128), { read: true, length: 65_536 });
      await host.receive();
    }
  };
  await enter(100);
  const before = await heldAfterCollection();
  await enter(200);
  const each = ((await heldAfterCollection()).buffers - before.buffers) / 50;
  t.true(each < 4096, `${each} bytes`);
  t.is(server.sessions().length, 100);
});

test.serial('when all places are taken a newcomer gets one of whoever has most', async (t) => {
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

test.serial('one address takes no more than its share', (t) => {
  const { server } = world();
  for (let i = 0; i < defaultLimits.pendingPerSource; i++) new Host(server, '198.51.100.1');
  t.throws(() => new Host(server, '198.51.100.1'), { message: 'not accepted' });
  t.notThrows(() => new Host(server, '198.51.100.2'));
});
