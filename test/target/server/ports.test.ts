/** Portals and portal groups: which addresses a host is told, and what SCSI sees of a group. */
import test from 'ava';
import { AluaState, IscsiServer } from '../../../target/index.ts';
import { discoveryPairs } from '../../../target/session/discovery.ts';
import { Host, ManualClock, pairs, world } from '../session/kit.ts';

interface Case {
  local: string;
  portals: [string, number, number?][];
  told: string[];
}

const cases: Record<string, Case> = {
  'over loopback, loopback portals only': {
    local: '127.0.0.1',
    portals: [
      ['127.0.0.1', 3260],
      ['::1', 3261],
      ['192.0.2.2', 3260],
    ],
    told: ['127.0.0.1:3260,1', '[::1]:3261,1'],
  },
  'from elsewhere, no loopback portal': {
    local: '192.0.2.2',
    portals: [
      ['127.0.0.1', 3260],
      ['192.0.2.2', 3260],
      ['2001:db8::2', 3260],
    ],
    told: ['192.0.2.2:3260,1', '[2001:db8::2]:3260,1'],
  },
  'every portal group, each address with its own': {
    local: '192.0.2.2',
    portals: [
      ['192.0.2.2', 3260],
      ['198.51.100.2', 3260, 2],
    ],
    told: ['192.0.2.2:3260,1', '198.51.100.2:3260,2'],
  },
  'a wildcard is the address that was reached': {
    local: '192.0.2.2',
    portals: [
      ['0.0.0.0', 3260],
      ['127.0.0.1', 3270],
    ],
    told: ['192.0.2.2:3260,1'],
  },
  'one address is told once': {
    local: '192.0.2.2',
    portals: [
      ['0.0.0.0', 3260],
      ['192.0.2.2', 3260],
    ],
    told: ['192.0.2.2:3260,1'],
  },
  'no portal at all: the connection itself': {
    local: '192.0.2.2',
    portals: [],
    told: ['192.0.2.2:4000,1'],
  },
};

for (const [name, { local, portals, told }] of Object.entries(cases)) {
  test(name, (t) => {
    const found = discoveryPairs(
      [{ name: 'iqn.2026-11.test:a' }],
      portals.map(([host, port, portalGroup = 1]) => ({ host, port, portalGroup })),
      { localAddress: local, localPort: 4000 },
      1,
    );
    t.deepEqual(found, [
      ['TargetName', 'iqn.2026-11.test:a'],
      ...told.map((where) => ['TargetAddress', where] as const),
    ]);
  });
}

/** VPD page 83h (SPC-4 7.8.6). */
async function identification(host: Host): Promise<string> {
  const cdb = Buffer.from('12018301000000000000000000000000', 'hex');
  host.command(cdb, { read: true, length: 256 });
  return (await host.receive())[0]!.data.toString('hex');
}

test('the relative target port does not depend on what was added before', async (t) => {
  const { server, device } = world();
  const ours = new Host(server);
  await ours.enter();
  const server2 = new IscsiServer({ clock: new ManualClock() });
  const name = server.sessions()[0]!.target!;
  for (const early of ['a', 'b', 'c']) {
    server2.addTarget({ name: `iqn.2026-11.test:${early}`, access: () => 'none' });
  }
  server2.addTarget({ name, access: () => 'read-write' }).scsi.add(0, device);
  const restarted = new Host(server2);
  await restarted.enter();
  const before = await identification(ours);
  t.true(before.includes('00000001'), 'relative port 1');
  t.is(await identification(restarted), before);
});

test('a host sees the port and the group that it came through', async (t) => {
  const { server } = world();
  const one = new Host(server);
  const three = new Host(server, undefined, 3);
  await one.enter({}, 1);
  await three.enter({}, 1);
  // Designators of the target port (PIV, association 01b): relative port, type 4, and group, type 5.
  const designator = (type: number, n: number) => `519${type}00040000000${n}`;
  t.true((await identification(one)).includes(designator(4, 1)));
  const through = await identification(three);
  t.true(through.includes(designator(4, 3)), through);
  t.true(through.includes(designator(5, 3)), through);
});

test('a login is told the portal group that it came through', async (t) => {
  const { server } = world();
  const one = await new Host(server).login({}, 1);
  const two = await new Host(server, undefined, 2).login({}, 1);
  t.is(pairs(one.data).TargetPortalGroupTag, '1');
  t.is(pairs(two.data).TargetPortalGroupTag, '2');
  t.is(server.sessions().length, 2, 'another group is another port: no reinstatement');
});

/** REPORT TARGET PORT GROUPS (SPC-4 6.37) as "group state ports". */
async function portGroups(host: Host): Promise<string[]> {
  const cdb = Buffer.from('a30a0000000000000000000000000000', 'hex');
  cdb.writeUInt32BE(256, 6);
  host.command(cdb, { read: true, length: 256 });
  const data = (await host.receive())[0]!.data;
  const found: string[] = [];
  for (let at = 4; at < 4 + data.readUInt32BE(0); at += 8 + 4 * data[at + 7]!) {
    const ports = Array.from({ length: data[at + 7]! }, (_, i) =>
      data.readUInt16BE(at + 10 + 4 * i),
    );
    found.push(`${data.readUInt16BE(at + 2)} ${data[at]! & 0x0f} ${ports}`);
  }
  return found;
}

test('every portal group is a target port group, told alike through each', async (t) => {
  const { server } = world();
  for (const portalGroup of [3, 1, 3]) {
    await server.listen({ host: '127.0.0.1', port: 0, portalGroup });
  }
  const one = new Host(server);
  const three = new Host(server, undefined, 3);
  await one.enter({}, 1);
  await three.enter({}, 1);
  t.deepEqual(await portGroups(one), ['1 0 1', '3 0 3']);
  t.deepEqual(await portGroups(three), ['1 0 1', '3 0 3']);
  one.handler.closed();
  three.handler.closed();
  await server.close();
});

test('the states of the groups are what the owner of the target says', async (t) => {
  let state: AluaState = AluaState.standby;
  const { server } = world({}, undefined, {
    alua: { groups: () => [{ id: 1, state, preferred: false, ports: [1] }] },
  });
  const host = new Host(server);
  await host.enter();
  t.deepEqual(await portGroups(host), ['1 2 1']);
  state = AluaState.nonOptimized;
  t.deepEqual(await portGroups(host), ['1 1 1']);
});

test('a portal group that SCSI cannot name is refused', async (t) => {
  const { server } = world();
  for (const portalGroup of [0, 65536, 1.5, Number.NaN]) {
    await t.throwsAsync(server.listen({ host: '127.0.0.1', port: 0, portalGroup }), {
      instanceOf: RangeError,
    });
  }
});
