/**
 * Every value of a PDU's first byte, in every stage of a connection: before login the connection ends,
 * after it the answer is a Reject or what the opcode asks for; and never does another session feel it.
 */
import test from 'ava';
import type { IscsiServer } from '../../../target/index.ts';
import { Caller, policy } from './chap-kit.ts';
import { Host, INITIATOR, loginStatus, NAME, pdu, rw10, text, world } from './kit.ts';

const who = { InitiatorName: INITIATOR, SessionType: 'Normal', TargetName: NAME };
const LOGIN = 0x03;
const FIRST_BYTES = Array.from({ length: 256 }, (_, byte) => byte);

/** A PDU whose first byte is `byte`, with every bit of it. */
function first(byte: number, flags: number, data: Buffer, cmdSn: number): Buffer {
  const bytes = pdu(0, { flags, tag: 0x77, w24: cmdSn, data });
  bytes[0] = byte;
  return bytes;
}

/** A connection that has come so far in its login. */
const stages: Record<string, (server: IscsiServer) => Promise<Host>> = {
  'before any login': async (server) => new Host(server),
  'in the security stage': async (server) => {
    const host = new Host(server);
    host.send(pdu(0x43, { flags: 0x00, tag: 1, data: text({ ...who, AuthMethod: 'None' }) }));
    await host.receive();
    return host;
  },
  'in the operational stage': async (server) => {
    const host = new Host(server);
    host.send(pdu(0x43, { flags: 0x04, tag: 1, data: text(who) }));
    await host.receive();
    return host;
  },
  'in the middle of a text': async (server) => {
    const host = new Host(server);
    host.send(pdu(0x43, { flags: 0x44, tag: 1, data: text(who).subarray(0, 20) }));
    await host.receive();
    return host;
  },
};

async function serves(neighbour: Host): Promise<boolean> {
  neighbour.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  return (await neighbour.receive()).at(-1)?.data.length === 512;
}

for (const [stage, reach] of Object.entries(stages)) {
  test(`all 256 first bytes ${stage}`, async (t) => {
    const { server } = world();
    const neighbour = new Host(server);
    await neighbour.enter({ InitiatorName: `${INITIATOR}-neighbour` });
    for (const byte of FIRST_BYTES) {
      // 3Fh is the opcode, 40h the immediate bit; 80h is reserved.
      if ((byte & 0x3f) === LOGIN) continue;
      const host = await reach(server);
      host.send(first(byte, 0x80, Buffer.from('garbage'), 1));
      const replies = await host.receive();
      t.is(loginStatus(replies.at(-1)), '020b', byte.toString(16));
      t.is(host.stream.ended, 'end', byte.toString(16));
      host.send(first(0x01, 0x81, Buffer.alloc(0), 1));
      t.deepEqual(await host.receive(), [], 'what follows is not looked at');
      host.handler.closed();
    }
    t.is(server.sessions().length, 1);
    t.true(await serves(neighbour));
  });
}

test('all 256 second bytes of a first login: in, on or out, as the RFC has it', async (t) => {
  for (const flags of FIRST_BYTES) {
    const { server } = world();
    const host = new Host(server);
    host.send(first(0x43, flags, text(who), 1));
    const [reply] = await host.receive();
    const [transit, continues, from, to] = [
      flags & 0x80,
      flags & 0x40,
      (flags >> 2) & 3,
      flags & 3,
    ];
    const legal = from < 2 && !(transit && continues) && (!transit || (to > from && to !== 2));
    const status = loginStatus(reply);
    const what = flags.toString(16);
    t.is(status === '0000', legal, `${what}: ${status}`);
    if (!legal) t.regex(status, /^02(0b|00)$/, what);
    t.is(host.stream.ended, status === '0000' ? null : 'end', what);
    const entered = status === '0000' && transit !== 0 && to === 3;
    t.is(server.sessions().length, entered ? 1 : 0, what);
  }
});

test('no second byte leads past the proof', async (t) => {
  const { server } = world({}, undefined, { chap: () => policy });
  for (const flags of FIRST_BYTES) {
    for (const offer of [{}, { AuthMethod: 'CHAP' }, { AuthMethod: 'CHAP,None' }]) {
      const host = new Host(server);
      host.send(first(0x43, flags, text({ ...who, ...offer }), 1));
      const [reply] = await host.receive();
      t.is(reply!.flags & 0x80, 0, `${flags.toString(16)}: no transit`);
      host.send(first(0x43, 0x87, Buffer.alloc(0), 1));
      await host.receive();
      host.handler.closed();
    }
    const caller = new Caller(server);
    await caller.challenge();
    caller.host.send(first(0x43, flags, Buffer.alloc(0), 1));
    const [reply] = await caller.host.receive();
    t.is((reply?.flags ?? 0) & 0x80, 0, `${flags.toString(16)} after the challenge`);
    caller.host.handler.closed();
  }
  t.deepEqual(server.sessions(), []);
});

/** Opcodes of an initiator (RFC 7143 11.2.1.2) that full-feature phase knows. */
const KNOWN = [0x00, 0x01, 0x02, 0x04, 0x05, 0x06];

for (const [name, flags, data] of [
  ['without data', 0x80, Buffer.alloc(0)],
  ['with data', 0x80, Buffer.alloc(512, 0x41)],
  ['with every flag', 0xff, Buffer.alloc(0)],
  ['with no flag', 0x00, Buffer.alloc(4)],
] as const) {
  test(`all 256 first bytes in full-feature phase, ${name}`, async (t) => {
    const { server, device } = world();
    const neighbour = new Host(server);
    await neighbour.enter({ InitiatorName: `${INITIATOR}-neighbour` });
    for (const byte of FIRST_BYTES) {
      const host = new Host(server);
      await host.enter();
      const bytes = first(byte, flags, data, host.cmdSn);
      host.send(bytes);
      const replies = await host.receive();
      const what = byte.toString(16);
      if (!KNOWN.includes(byte & 0x3f)) {
        t.is(replies[0]?.op, 0x3f, what);
        t.true(replies[0]!.data.equals(bytes.subarray(0, 48)), what);
      }
      for (const reply of replies) t.true((reply.op & 0x20) !== 0, `${what}: a target's opcode`);
      if (host.stream.ended !== null) t.is(host.stream.ended, 'end', what);
      host.handler.closed();
    }
    t.is(server.sessions().length, 1);
    t.is(server.budget.used, 0);
    t.deepEqual(device.log, []);
    t.true(await serves(neighbour));
  });
}
