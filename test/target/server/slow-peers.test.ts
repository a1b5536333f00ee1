/**
 * What peers hold back - data that was asked for, replies that are not read, digests that are wrong -
 * costs a bounded amount, is given back, and is not felt by others.
 */
import test from 'ava';
import { HeldDevice, Host, INITIATOR, loginStatus, pdu, rw10, world } from '../session/kit.ts';

const NO_TAG = 0xffffffff;
const MIB = 1024 * 1024;
const limits = {
  window: 16,
  firstBurstBytes: 65_536,
  maxBurstBytes: 262_144,
  transferBytes: MIB,
  sessionWriteBytes: 2 * MIB,
  totalWriteBytes: 4 * MIB,
} as const;

const ping = (tag = NO_TAG): Buffer => pdu(0x40, { tag, w20: NO_TAG });

async function neighbourOf(server: ReturnType<typeof world>['server']): Promise<Host> {
  const neighbour = new Host(server, '192.0.2.99');
  await neighbour.enter({ InitiatorName: `${INITIATOR}-neighbour` });
  return neighbour;
}

test('R2Ts that are never answered end the connection and give their memory back', async (t) => {
  const { server, clock } = world({ limits });
  const neighbour = await neighbourOf(server);
  const misers = await Promise.all(
    [1, 2, 3].map(async (i) => {
      const host = new Host(server, `203.0.113.${i}`);
      await host.enter({ InitiatorName: `${INITIATOR}-${i}` });
      for (let n = 0; n < 16; n++) host.command(rw10(0x2a, 0, 2048), { write: true, length: MIB });
      await host.receive();
      return host;
    }),
  );
  t.true(server.budget.used > 3 * MIB && server.budget.used <= limits.totalWriteBytes);
  // They ping, so that they are alive as far as that goes.
  for (let second = 0; second < 140; second += 5) {
    clock.advance(5_000);
    for (const host of [...misers, neighbour]) host.send(ping());
    // Small writes of others find room meanwhile.
    neighbour.command(rw10(0x2a, 4096, 1), { write: true, length: 512, data: Buffer.alloc(512) });
    t.is((await neighbour.receive()).at(-1)?.byte3, 0, `after ${second} s`);
  }
  t.deepEqual(
    misers.map((host) => host.stream.ended),
    ['destroy', 'destroy', 'destroy'],
  );
  t.is(server.budget.used, 0);
  t.is(server.sessions().length, 1);
});

test('a writer of one byte now and then ends as well: a burst that has not moved in time', async (t) => {
  const { server, clock } = world({ limits });
  const host = new Host(server);
  await host.enter();
  const tag = host.command(rw10(0x2a, 0, 512), { write: true, length: 262_144 });
  const [r2t] = await host.receive();
  const bytes = pdu(0x05, { tag, w20: r2t!.head.readUInt32BE(20), data: Buffer.alloc(262_144) });
  let sent = 0;
  for (let second = 0; second < 70 && host.stream.ended === null; second++) {
    host.send(bytes.subarray(sent, ++sent));
    clock.advance(1_000);
  }
  t.is(host.stream.ended, 'destroy');
  t.is(server.budget.used, 0);
});

test('a login of one byte a second ends at the login timer', async (t) => {
  const { server, clock } = world();
  const host = new Host(server);
  const bytes = pdu(0x43, { flags: 0x87, data: Buffer.alloc(8192, 65) });
  for (let second = 0; second < 16; second++) {
    host.send(bytes.subarray(second, second + 1));
    clock.advance(1_000);
  }
  t.is(host.stream.ended, 'destroy');
  t.deepEqual(server.sessions(), []);
});

test('a flood of wrong data digests: each is refused, nothing is kept, nobody else feels it', async (t) => {
  const device = new HeldDevice({ bytes: 16 * MIB });
  const { server, clock } = world({ limits }, device);
  const neighbour = await neighbourOf(server);
  const host = new Host(server);
  await host.enter({ DataDigest: 'CRC32C', InitialR2T: 'No' });
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    const bytes = host.digested(
      pdu(0x01, {
        flags: 0xa1,
        tag: i,
        w20: 512,
        w24: host.cmdSn++,
        cdb: rw10(0x2a, 0, 1),
        data: Buffer.alloc(512, 0xbb),
      }),
    );
    bytes[100]! ^= 1;
    host.send(bytes);
    for (const reply of await host.receive()) if (reply.op === 0x3f && reply.byte2 === 2) refused++;
    if (i % 100 === 0) {
      clock.advance(100);
      t.true(server.budget.used <= limits.sessionWriteBytes);
      neighbour.command(rw10(0x28, 0, 1), { read: true, length: 512 });
      t.is((await neighbour.receive()).at(-1)?.data.length, 512);
    }
  }
  t.is(refused, 2000);
  t.is(server.budget.used, 0);
  t.deepEqual(device.log, []);
});

test('a flood of malformed PDUs to a peer that does not read stops being listened to', async (t) => {
  const { server } = world();
  const neighbour = await neighbourOf(server);
  const host = new Host(server);
  await host.enter();
  host.stream.slow = true;
  let sent = 0;
  while (!host.stream.paused && host.stream.ended === null && sent < 500_000) {
    host.send(pdu(0x1c, { tag: sent++ }));
  }
  t.true(host.stream.paused || host.stream.ended !== null, `${sent} were answered`);
  t.true(host.stream.held <= server.limits.heldBytesStop);
  neighbour.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  t.is((await neighbour.receive()).at(-1)?.data.length, 512);
});

test('logins from many sources: bounded in number, and cheap to refuse', async (t) => {
  const lines: string[] = [];
  const say = (object: object, message: string) => lines.push(JSON.stringify([object, message]));
  const { server, clock } = world({ log: { info: say, warn: say, error: say } });
  const neighbour = await neighbourOf(server);
  let accepted = 0;
  const waiting: Host[] = [];
  for (let i = 0; i < 10_000; i++) {
    try {
      const host = new Host(server, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
      accepted++;
      waiting.push(host);
      host.send(pdu(0x43, { flags: 0x87, dataLength: 100 }));
    } catch {
      // Refused at accept: no PDU of it is read.
    }
  }
  t.is(accepted, server.limits.pendingTotal);
  t.true(lines.length < 100, `${lines.length} lines of log`);
  clock.advance(server.limits.loginTimeoutMs + 1000);
  t.true(waiting.every((host) => host.stream.ended !== null));
  neighbour.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  t.is((await neighbour.receive()).at(-1)?.data.length, 512);
  await new Host(server, '10.9.9.9').enter({ InitiatorName: `${INITIATOR}-late` });
  t.is(server.sessions().length, 2);
});

test('discovery sessions of strangers leave room for hosts, and for discovery by others', async (t) => {
  const { server } = world();
  const { discoveryPerSource, discoverySessions } = server.limits;
  const discover = async (address: string, isid: number): Promise<Host | null> => {
    const host = new Host(server, address);
    const reply = await host.login({ SessionType: 'Discovery' }, isid);
    const status = loginStatus(reply);
    if (status === '0000') return host;
    t.is(status, '0302');
    host.handler.closed();
    return null;
  };
  const open: Host[] = [];
  for (let i = 0; i < 2 * discoveryPerSource; i++) {
    const host = await discover('203.0.113.1', i);
    if (host !== null) open.push(host);
  }
  t.is(open.length, discoveryPerSource);
  for (let i = 0; i < 2 * discoverySessions; i++) {
    const host = await discover(`198.51.100.${i % 100}`, i);
    if (host !== null) open.push(host);
  }
  t.is(open.length, discoverySessions);
  t.is(loginStatus(await new Host(server, '192.0.2.7').login()), '0000', 'a host');
  open.pop()!.handler.closed();
  t.truthy(await discover('192.0.2.7', 1), 'room that is given back is given on');
});
