/** Who may do what is asked anew when it changes: sessions that may not go on as they are end. */
import test from 'ava';
import type { Access } from '../../../target/index.ts';
import { Host, NAME, pairs, rw10, senseOf, world } from '../session/kit.ts';

interface Change {
  from: Access;
  to: Access;
  ends: number;
}

const changes: Record<string, Change> = {
  'access taken away': { from: 'read-write', to: 'none', ends: 1 },
  'access cut to reading': { from: 'read-write', to: 'read-only', ends: 1 },
  'access widened to writing': { from: 'read-only', to: 'read-write', ends: 1 },
  'access as before': { from: 'read-only', to: 'read-only', ends: 0 },
};

for (const [name, { from, to, ends }] of Object.entries(changes)) {
  test(name, async (t) => {
    let access = from;
    const { server } = world({}, undefined, {
      access: ({ address }) => (address === '192.0.2.7' ? access : 'read-write'),
    });
    const host = new Host(server);
    const other = new Host(server, '192.0.2.8');
    await host.enter({}, 1);
    await other.enter({}, 2);
    access = to;
    t.is(server.recheck(NAME), ends);
    t.is(host.stream.ended, ends === 1 ? 'destroy' : null);
    t.is(other.stream.ended, null);
    t.is((await host.receive()).length, ends, 'who is dropped is told');
    t.is(server.recheck('iqn.2026-11.test:unknown'), 0);
  });
}

test('a host that may only read cannot write', async (t) => {
  const { server, device } = world({}, undefined, { access: () => 'read-only' });
  const host = new Host(server);
  await host.enter();
  host.command(rw10(0x2a, 0, 1), { write: true, length: 512, data: Buffer.alloc(512) });
  t.is(senseOf((await host.receive())[0]!), '7/2700');
  t.deepEqual(device.log, []);
});

test('a target that is renamed shows its new alias at the next login', async (t) => {
  const { server, target } = world({}, undefined, { alias: 'old' });
  t.is(pairs((await new Host(server).login({}, 1)).data).TargetAlias, 'old');
  target.alias = 'new';
  t.is(pairs((await new Host(server).login({}, 2)).data).TargetAlias, 'new');
});
