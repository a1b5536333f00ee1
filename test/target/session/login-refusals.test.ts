/** A login that may not succeed gets the right status class and detail, and the connection ends. */
import test from 'ava';
import { Host, INITIATOR, NAME, pdu, text, world } from './kit.ts';

const who = { InitiatorName: INITIATOR, SessionType: 'Normal', TargetName: NAME };

const cases: Record<string, { bytes: Buffer[]; status: string }> = {
  'an unknown target': {
    bytes: [pdu(0x43, { flags: 0x87, data: text({ ...who, TargetName: 'iqn.2026-11.test:no' }) })],
    status: '0203',
  },
  'no InitiatorName': {
    bytes: [pdu(0x43, { flags: 0x87, data: text({ TargetName: NAME }) })],
    status: '0207',
  },
  'no TargetName': {
    bytes: [pdu(0x43, { flags: 0x87, data: text({ InitiatorName: INITIATOR }) })],
    status: '0207',
  },
  'an InitiatorName with a line feed': {
    bytes: [pdu(0x43, { flags: 0x87, data: text({ ...who, InitiatorName: 'iqn.x\ny' }) })],
    status: '0200',
  },
  'an unknown SessionType': {
    bytes: [pdu(0x43, { flags: 0x87, data: text({ ...who, SessionType: 'Other' }) })],
    status: '0209',
  },
  'a version from the future': {
    bytes: [pdu(0x43, { flags: 0x87, byte2: 9, byte3: 9, data: text(who) })],
    status: '0205',
  },
  'the reserved stage': {
    bytes: [pdu(0x43, { flags: 0x8b, data: text(who) })],
    status: '020b',
  },
  'the same stage twice': {
    bytes: [pdu(0x43, { flags: 0x85, data: text(who) })],
    status: '020b',
  },
  'a stage out of turn': {
    bytes: [
      pdu(0x43, { flags: 0x04, data: text(who) }),
      pdu(0x43, { flags: 0x81, data: text({ AuthMethod: 'None' }) }),
    ],
    status: '020b',
  },
  'T and C at once': {
    bytes: [pdu(0x43, { flags: 0xc7, data: text(who) })],
    status: '0200',
  },
  'no AuthMethod in common': {
    bytes: [pdu(0x43, { flags: 0x81, data: text({ ...who, AuthMethod: 'SRP,KRB5' }) })],
    status: '0201',
  },
  'a key without an equals sign': {
    bytes: [pdu(0x43, { flags: 0x87, data: Buffer.from('InitiatorName\0') })],
    status: '0200',
  },
  'text that does not end with NUL': {
    bytes: [pdu(0x43, { flags: 0x87, data: Buffer.from(`InitiatorName=${INITIATOR}`) })],
    status: '0200',
  },
  'a key of 64 bytes': {
    bytes: [pdu(0x43, { flags: 0x87, data: text({ ...who, ['K'.repeat(64)]: '1' }) })],
    status: '0200',
  },
  'a value of 256 bytes': {
    bytes: [pdu(0x43, { flags: 0x87, data: text({ ...who, InitiatorAlias: 'x'.repeat(256) }) })],
    status: '0200',
  },
  'a key that is offered twice': {
    bytes: [
      pdu(0x43, { flags: 0x04, data: text({ ...who, HeaderDigest: 'None' }) }),
      pdu(0x43, { flags: 0x87, data: text({ HeaderDigest: 'CRC32C' }) }),
    ],
    status: '0200',
  },
  'a segment length that is not allowed': {
    bytes: [pdu(0x43, { flags: 0x87, data: text({ ...who, MaxRecvDataSegmentLength: '100' }) })],
    status: '0200',
  },
  'text without end': {
    bytes: Array.from({ length: 9 }, () =>
      pdu(0x43, { flags: 0x44, data: Buffer.alloc(8192, 65) }),
    ),
    status: '0200',
  },
  'requests without end': {
    bytes: [
      pdu(0x43, { flags: 0x04, data: text(who) }),
      ...Array.from({ length: 64 }, () => pdu(0x43, { flags: 0x04 })),
    ],
    status: '0200',
  },
  'an AHS': {
    bytes: [pdu(0x43, { flags: 0x87, ahs: Buffer.alloc(255 * 4), data: text(who) })],
    status: '0200',
  },
  'a session that does not exist': {
    bytes: [withTsih(pdu(0x43, { flags: 0x87, data: text(who) }), 77)],
    status: '020a',
  },
  'an ISID that changes': {
    bytes: [
      pdu(0x43, { flags: 0x04, data: text(who) }),
      (() => {
        const second = pdu(0x43, { flags: 0x87 });
        second[9] = 1;
        return second;
      })(),
    ],
    status: '020b',
  },
  'a command before login': { bytes: [pdu(0x01, { flags: 0xc1 })], status: '020b' },
  'a NOP before login': { bytes: [pdu(0x40, {})], status: '020b' },
};

function withTsih(bytes: Buffer, tsih: number): Buffer {
  bytes.writeUInt16BE(tsih, 14);
  return bytes;
}

for (const [name, { bytes, status }] of Object.entries(cases)) {
  test(name, async (t) => {
    const { server } = world();
    const host = new Host(server);
    for (const one of bytes) host.send(one);
    const replies = await host.receive();
    const last = replies.at(-1);
    t.is(last?.op, 0x23);
    t.is(last?.head.subarray(36, 38).toString('hex'), status);
    t.is(last!.flags & 0x80, 0, 'no transit');
    t.is(host.stream.ended, 'end');
    t.deepEqual(server.sessions(), []);
  });
}

test('a login PDU longer than 8192 bytes closes the connection at its header', async (t) => {
  const { server } = world();
  const host = new Host(server);
  host.send(pdu(0x43, { flags: 0x87, dataLength: 0xffffff }));
  t.is(host.stream.ended, 'destroy');
  t.deepEqual(await host.receive(), []);
});

test('a forged TSIH does not touch the live session', async (t) => {
  const { server } = world();
  const live = new Host(server);
  const reply = await live.enter();
  const forger = new Host(server);
  const login = pdu(0x43, { flags: 0x87, data: text(who) });
  forger.send(withTsih(login, reply.head.readUInt16BE(14)));
  const [answer] = await forger.receive();
  t.is(answer?.head.subarray(36, 38).toString('hex'), '0206');
  t.is(live.stream.ended, null);
  live.command(Buffer.alloc(16));
  t.is((await live.receive())[0]?.op, 0x21);
});

test('nobody waits for a login longer than the login timer, nor in unlimited number', async (t) => {
  const { server, clock } = world({ limits: { pendingPerSource: 3, pendingTotal: 4 } });
  const idle = [1, 2, 3].map(() => new Host(server));
  t.throws(() => new Host(server), { message: 'not accepted' });
  // The second of these takes the place of the oldest of those.
  const others = [1, 2].map(() => new Host(server, '192.0.2.9'));
  t.is(idle[0]?.stream.ended, 'destroy');
  t.throws(() => new Host(server, '192.0.2.9'), { message: 'not accepted' }, 'all together');
  clock.advance(15_000);
  t.true([...idle, ...others].every((host) => host.stream.ended === 'destroy'));
  await new Host(server).enter();
  t.is(server.sessions().length, 1);
});
