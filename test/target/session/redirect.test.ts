/** A login is sent elsewhere before any proof, and is never sent round in circles. */
import test from 'ava';
import { IscsiServer, type Redirect } from '../../../target/index.ts';
import { policy } from './chap-kit.ts';
import { Host, INITIATOR, loginStatus, ManualClock, NAME, pairs, world } from './kit.ts';

const served = (redirect: Redirect, chap = false) =>
  world({}, undefined, {
    redirect: ({ initiator }) => (initiator === INITIATOR ? redirect : null),
    ...(chap ? { chap: () => policy } : {}),
  });

for (const [permanent, status] of [
  [false, '0101'],
  [true, '0102'],
] as const) {
  test(`${permanent ? 'permanent' : 'temporary'}: ${status} with the address, before CHAP`, async (t) => {
    const { server } = served({ address: '192.0.2.200:3261', permanent }, true);
    const host = new Host(server);
    const reply = await host.login();
    t.is(loginStatus(reply), status);
    t.is(reply.flags & 0x80, 0);
    t.deepEqual(pairs(reply.data), { TargetAddress: '192.0.2.200:3261' });
    t.is(host.stream.ended, 'end');
    t.deepEqual(server.sessions(), []);
  });
}

test('others are served here', async (t) => {
  const { server } = served({ address: '192.0.2.200', permanent: false });
  const reply = await new Host(server).login({ InitiatorName: `${INITIATOR}-2` });
  t.is(loginStatus(reply), '0000');
});

test('who may not see the target is not told where it went', async (t) => {
  const { server } = world({}, undefined, {
    access: () => 'none',
    redirect: () => ({ address: '192.0.2.200', permanent: false }),
  });
  t.is(loginStatus(await new Host(server).login()), '0203');
});

test('after some redirections one is served here, until time has passed', async (t) => {
  const { server, clock } = served({ address: '192.0.2.200', permanent: false });
  const login = async (isid: number) => loginStatus(await new Host(server).login({}, isid));
  const first: string[] = [];
  for (let i = 0; i < 6; i++) first.push(await login(i));
  t.deepEqual(first, ['0101', '0101', '0101', '0101', '0000', '0000']);
  clock.advance(60_000);
  t.is(await login(9), '0101');
});

test('counting redirections takes bounded room', async (t) => {
  const { server } = world({ limits: { redirectsTracked: 2, redirects: 1 } }, undefined, {
    redirect: () => ({ address: '192.0.2.200', permanent: false }),
  });
  const login = async (name: string) =>
    loginStatus(await new Host(server).login({ InitiatorName: `${INITIATOR}-${name}` }));
  t.deepEqual([await login('a'), await login('b'), await login('c')], ['0101', '0101', '0101']);
  t.is(await login('c'), '0000', 'the newest are counted');
  t.is(await login('a'), '0101', 'the oldest was forgotten');
});

const addresses: Record<
  string,
  { redirect: (port: number) => Omit<Redirect, 'permanent'>; goes: boolean }
> = {
  'our own portal': { redirect: (port) => ({ address: `127.0.0.1:${port}` }), goes: false },
  'our own portal, when that is meant': {
    redirect: (port) => ({ address: `127.0.0.1:${port}`, toSelf: true }),
    goes: true,
  },
  'another port': { redirect: (port) => ({ address: `127.0.0.1:${port ^ 1}` }), goes: true },
  'a name': { redirect: () => ({ address: 'storage-2.example' }), goes: true },
  'an IPv6 address': { redirect: () => ({ address: '[2001:db8::2]:3260' }), goes: true },
  'no address': { redirect: () => ({ address: '' }), goes: false },
  'a port that is none': { redirect: () => ({ address: '192.0.2.2:70000' }), goes: false },
  'another key in it': { redirect: () => ({ address: '192.0.2.2\0X=1' }), goes: false },
};
for (const [name, { redirect, goes }] of Object.entries(addresses)) {
  test(`to ${name}: ${goes ? 'goes' : 'is served here'}`, async (t) => {
    const server = new IscsiServer({ clock: new ManualClock() });
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    server.addTarget({
      name: NAME,
      access: () => 'read-write',
      redirect: () => ({ ...redirect(port), permanent: false }),
    });
    const host = new Host(server);
    t.is(loginStatus(await host.login()), goes ? '0101' : '0000');
    host.handler.closed();
    await server.close();
  });
}

test('a wildcard portal is our own at the address that was reached', async (t) => {
  const server = new IscsiServer({ clock: new ManualClock() });
  const { port } = await server.listen({ host: '0.0.0.0', port: 0 });
  const address = `192.0.2.1:${port}`;
  server.addTarget({
    name: NAME,
    access: () => 'read-write',
    redirect: () => ({ address, permanent: false }),
  });
  const host = new Host(server);
  t.is(loginStatus(await host.login()), '0000', 'the stream is at 192.0.2.1');
  host.handler.closed();
  await server.close();
});
