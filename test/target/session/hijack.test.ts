/**
 * A login that has proved nothing does not touch the session whose TSIH, ISID and name it claims; nor
 * does one that has proved to be somebody who may not come in.
 */
import test from 'ava';
import type { IscsiServer } from '../../../target/index.ts';
import { Caller, policy, SECRET } from './chap-kit.ts';
import { HeldDevice, Host, INITIATOR, loginStatus, NAME, pdu, rw10, text, world } from './kit.ts';

const ISID = 5;
const who = { InitiatorName: INITIATOR, SessionType: 'Normal', TargetName: NAME };

async function guarded() {
  const users: Record<string, string> = { alice: SECRET, mallory: 'mallory-secret' };
  const device = new HeldDevice({ bytes: 1024 * 1024 });
  const { server } = world({}, device, {
    chap: () => ({ user: (name) => (users[name] ? { secret: users[name] } : null) }),
    access: ({ user }) => (user === 'mallory' ? 'none' : 'read-write'),
  });
  const alice = new Caller(server);
  await alice.say(alice.answer(await alice.challenge()), 0x81);
  const entered = await alice.operate();
  alice.host.command(Buffer.alloc(16));
  await alice.host.receive();
  // A write inside the device and one that waits for its data: both must survive.
  device.holdWrites = true;
  const data = Buffer.alloc(512, 1);
  alice.host.command(rw10(0x2a, 0, 1), { write: true, length: 512, data });
  const waits = alice.host.command(rw10(0x2a, 8, 1), { write: true, length: 512 });
  const [r2t] = await alice.host.receive();
  return { server, device, alice, waits, r2t: r2t!, tsih: entered.head.readUInt16BE(14) };
}

/** Every login from the first PDU on: TSIH, ISID and stage are the attacker's choice. */
function claim(tsih: number, isid: number, flags: number, keys: Record<string, string>): Buffer {
  const bytes = pdu(0x43, { flags, tag: 1, w24: 1, data: text({ ...who, ...keys }) });
  bytes.writeUInt32BE(isid === 0 ? 0 : 0x80000000 + isid, 8);
  bytes.writeUInt16BE(tsih, 14);
  return bytes;
}

async function attack(server: IscsiServer, bytes: Buffer): Promise<string> {
  const host = new Host(server, '203.0.113.66');
  host.send(bytes);
  const [reply] = await host.receive();
  host.send(pdu(0x43, { flags: 0x87, tag: 2, w24: 1 }));
  await host.receive();
  host.handler.closed();
  return loginStatus(reply);
}

test('no TSIH, ISID and stage touch the live session without proof', async (t) => {
  const { server, device, alice, waits, r2t, tsih } = await guarded();
  const before = server.sessions();
  for (const claimed of [0, tsih, tsih + 1, 0xffff]) {
    for (const isid of [0, 1, ISID, 0x7fffffff]) {
      for (const flags of [0x00, 0x81, 0x83, 0x04, 0x87]) {
        for (const method of ['None', 'CHAP', 'CHAP,None', 'SRP']) {
          const status = await attack(server, claim(claimed, isid, flags, { AuthMethod: method }));
          if (claimed !== 0) t.regex(status, /^02/, `TSIH ${claimed}`);
        }
      }
    }
  }
  t.deepEqual(server.sessions(), before);
  t.is(alice.host.stream.ended, null);
  t.deepEqual(await alice.host.receive(), [], 'it is told nothing');
  alice.host.dataOut(waits, r2t.head.readUInt32BE(20), 0, 0, Buffer.alloc(512, 2));
  device.holdWrites = false;
  device.releaseAll();
  const done = await alice.host.receive();
  t.deepEqual(
    done.map((reply) => [reply.op, reply.byte3]),
    [
      [0x21, 0],
      [0x21, 0],
    ],
  );
});

test('who is proved and may not come in does not end the session that it names', async (t) => {
  const { server, alice } = await guarded();
  const mallory = new Caller(server);
  const challenge = await mallory.challenge();
  await mallory.say(mallory.answer(challenge, 'mallory', 'mallory-secret'), 0x81);
  t.is(loginStatus(await mallory.operate()), '0201');
  t.is(alice.host.stream.ended, null);
  t.is(server.sessions().length, 1);
});

test('a proof for one session is none for another: the name cannot change after it', async (t) => {
  const { server } = world({}, undefined, { chap: () => policy });
  for (const keys of [
    { InitiatorName: `${INITIATOR}-other` },
    { TargetName: `${NAME}-other` },
    { SessionType: 'Discovery' },
  ]) {
    const caller = new Caller(server);
    await caller.say(caller.answer(await caller.challenge()), 0x81);
    t.is(loginStatus(await caller.say(keys as Record<string, string>, 0x87)), '0200');
  }
  t.deepEqual(server.sessions(), []);
});

test('what a dead session had is nothing to the next one with its TSIH', async (t) => {
  const { server, device } = world();
  const old = new Host(server);
  const tsih = (await old.enter()).head.readUInt16BE(14);
  const waits = old.command(rw10(0x2a, 0, 1), { write: true, length: 512 });
  const [r2t] = await old.receive();
  old.handler.closed();
  t.is(await attack(server, claim(tsih, 1, 0x87, {})), '020a', 'there is no such session');
  const next = new Host(server);
  await next.enter();
  next.dataOut(waits, r2t!.head.readUInt32BE(20), 0, 0, Buffer.alloc(512, 9));
  const [reject] = await next.receive();
  t.is(reject?.op, 0x3f);
  t.deepEqual(device.log, []);
});
