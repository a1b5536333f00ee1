/**
 * Keys of any length, in any number and cut anywhere cost a bounded amount: what is too long ends the
 * login, what nobody knows is answered NotUnderstood, and no answer is longer than a login PDU may be.
 */
import test from 'ava';
import { defaultLimits, Rfc7143 } from '../../../target/limits.ts';
import { Host, INITIATOR, loginStatus, NAME, type Pdu, pairs, pdu, text, world } from './kit.ts';

const NO_TAG = 0xffffffff;
const who = { InitiatorName: INITIATOR, SessionType: 'Normal', TargetName: NAME };

/** A login's text in PDUs of at most `step` bytes, the C bit on all but the last. */
async function say(host: Host, data: Buffer, step: number = Rfc7143.loginSegmentBytes) {
  const replies: Pdu[] = [];
  for (let at = 0; at < data.length && host.stream.ended === null; at += step) {
    const last = at + step >= data.length;
    const flags = last ? 0x87 : 0x44;
    host.send(pdu(0x43, { flags, tag: 1, w24: 1, data: data.subarray(at, at + step) }));
    replies.push(...(await host.receive()));
  }
  return replies;
}

for (const length of [1, 2, 62, 63, 64, 65, 255, 256, 4096, 8191, 8192, 16_384, 65_535, 65_536]) {
  for (const end of ['=x\0', '=\0', '\0', '']) {
    test(`a key of ${length} bytes that ends in ${JSON.stringify(end)}`, async (t) => {
      const { server } = world();
      const host = new Host(server);
      const key = 'K'.repeat(length);
      const replies = await say(host, Buffer.concat([text(who), Buffer.from(key + end)]));
      const last = replies.at(-1);
      if (end.startsWith('=') && length <= Rfc7143.keyBytes) {
        t.is(loginStatus(last), '0000');
        t.is(pairs(last!.data)[key], 'NotUnderstood');
        t.is(server.sessions().length, 1);
      } else {
        t.is(loginStatus(last), '0200');
        t.is(last!.data.length, 0, 'nothing is echoed');
        t.is(host.stream.ended, 'end');
        t.deepEqual(server.sessions(), []);
      }
    });
  }
}

test('a value of 255 bytes passes and one of 256 does not, in bytes and not in characters', async (t) => {
  for (const [value, status] of [
    ['v'.repeat(255), '0000'],
    ['v'.repeat(256), '0200'],
    ['ü'.repeat(127), '0000'],
    ['ü'.repeat(128), '0200'],
    ['v'.repeat(65_000), '0200'],
  ] as const) {
    const replies = await say(new Host(world().server), text({ ...who, 'X-a.b': value }));
    t.is(loginStatus(replies.at(-1)), status, `${value.length} characters`);
  }
});

/** Distinct keys, the shortest first. */
function keys(count: number): Buffer {
  const lines = Array.from({ length: count }, (_, i) => `K${i.toString(36)}=\0`);
  return Buffer.from(lines.join(''));
}

test('no answer of a login is longer than a login PDU may be, however many keys come', async (t) => {
  for (const count of [10, 100, 300, 1000, 5000, 9000, 10_000]) {
    const host = new Host(world().server);
    const replies = await say(host, Buffer.concat([text(who), keys(count)]));
    for (const reply of replies) {
      t.true(reply.data.length <= Rfc7143.loginSegmentBytes, `${count}: ${reply.data.length}`);
    }
    const status = loginStatus(replies.at(-1));
    t.is(status, count <= 300 ? '0000' : '0200', `${count} keys`);
  }
});

test('the text of a login is bounded, whatever it says', async (t) => {
  const { server } = world();
  const host = new Host(server);
  const data = Buffer.concat([text(who), Buffer.alloc(2 * defaultLimits.textBytes, 'A=\0')]);
  const replies = await say(host, data);
  t.is(loginStatus(replies.at(-1)), '0200');
  t.true(replies.length <= defaultLimits.textBytes / Rfc7143.loginSegmentBytes + 1);
});

test('a login that is cut at every byte says the same', async (t) => {
  const data = text({ ...who, HeaderDigest: 'None,CRC32C', 'X-key': 'ü', InitialR2T: 'No' });
  const whole = (await say(new Host(world().server), data)).at(-1)!;
  for (let at = 1; at < data.length; at++) {
    const host = new Host(world().server);
    host.send(pdu(0x43, { flags: 0x44, tag: 1, w24: 1, data: data.subarray(0, at) }));
    const [more] = await host.receive();
    t.is(loginStatus(more), '0000');
    t.is(more!.data.length, 0, 'nothing is answered before the text is whole');
    t.is(more!.flags & 0x80, 0);
    host.send(pdu(0x43, { flags: 0x87, tag: 1, w24: 1, data: data.subarray(at) }));
    const [reply] = await host.receive();
    t.true(reply!.data.equals(whole.data), `cut at ${at}`);
  }
});

test('a login of one byte a PDU ends at the bound of its PDUs', async (t) => {
  const host = new Host(world().server);
  const replies = await say(host, text(who), 1);
  t.is(loginStatus(replies.at(-1)), '0200');
  t.is(replies.length, defaultLimits.loginPdus + 1);
});

test('a text request that is cut at every byte says the same', async (t) => {
  const { server } = world();
  const host = new Host(server);
  await host.enter({ SessionType: 'Discovery' });
  const data = text({ SendTargets: 'All', 'X-key': 'ü' });
  for (let at = 1; at < data.length; at++) {
    const send = (flags: number, w20: number, part: Buffer) =>
      host.send(pdu(0x44, { flags, tag: 7, w20, w24: host.cmdSn, data: part }));
    send(0x40, NO_TAG, data.subarray(0, at));
    const [more] = await host.receive();
    send(0x80, more!.head.readUInt32BE(20), data.subarray(at));
    const [reply] = await host.receive();
    t.is(reply?.op, 0x24, `cut at ${at}`);
    t.is(pairs(reply!.data).TargetName, NAME);
    t.is(pairs(reply!.data)['X-key'], 'NotUnderstood');
  }
});

test('SendTargets is answered once in a request: a list is not multiplied', async (t) => {
  const { server } = world();
  for (let i = 0; i < 300; i++) {
    server.addTarget({ name: `${NAME}-${'x'.repeat(150)}${i}`, access: () => 'read-write' });
  }
  const host = new Host(server);
  await host.enter({ SessionType: 'Discovery', MaxRecvDataSegmentLength: '16777215' });
  const data = Buffer.alloc(16 * 4000, 'SendTargets=All\0');
  host.send(pdu(0x44, { tag: 7, w20: NO_TAG, w24: host.cmdSn, data }));
  const [reply] = await host.receive();
  t.is(reply?.op, 0x3f);
  t.is(reply?.byte2, 4);
  host.send(
    pdu(0x44, { tag: 7, w20: NO_TAG, w24: host.cmdSn, data: text({ SendTargets: 'All' }) }),
  );
  t.is((await host.receive())[0]?.op, 0x24, 'the session serves on');
});
