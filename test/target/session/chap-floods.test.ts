/**
 * CHAP values of every length, form and number: none but the right ones opens anything, and none
 * harms. Challenges come from no sequence that could be known: not by time, not by server, not by
 * restart.
 */
import test from 'ava';
import { decodeBinary } from '../../../target/session/chap.ts';
import { Caller, MUTUAL, policy, SECRET, USER } from './chap-kit.ts';
import { Host, INITIATOR, loginStatus, NAME, pdu, text, world } from './kit.ts';

const guarded = () => world({}, undefined, { chap: () => policy }).server;

/** Says CHAP_N and `response` to a challenge; the status. */
async function respond(response: string, more: Record<string, string> = {}): Promise<string> {
  const server = guarded();
  const caller = new Caller(server);
  await caller.challenge();
  const reply = await caller.say({ CHAP_N: USER, CHAP_R: response, ...more }, 0x81);
  if (loginStatus(reply) !== '0000' && reply.data.length !== 0)
    throw new Error('text in a refusal');
  if (server.sessions().length !== 0) throw new Error('a session');
  return loginStatus(reply);
}

test('CHAP_R of 0 to 4096 nibbles, odd and even', async (t) => {
  const lengths = new Set([2047, 2048, 2049, 2050, 4095, 4096]);
  for (let length = 0; length <= 128; length++) lengths.add(length);
  for (let length = 129; length < 4096; length += 61) lengths.add(length);
  for (const length of lengths) {
    for (const form of ['0x', '0X']) {
      // A value longer than 1024 bytes is no value of this key, whatever it says (12.1.3).
      const expected = length > 2048 ? '0200' : '0201';
      t.is(await respond(form + 'a'.repeat(length)), expected, `${form} ${length}`);
    }
  }
});

test('CHAP_R in base64 of every length and with every kind of fault', async (t) => {
  for (let length = 0; length <= 70; length++) {
    t.is(await respond(`0b${'A'.repeat(length)}`), '0201', `${length} digits`);
    for (const fault of ['=', '==', '===', '*', '-', '_', ' ', '\n', '=A', 'ü']) {
      t.is(await respond(`0b${'A'.repeat(length)}${fault}`), '0201', `${length} and ${fault}`);
    }
  }
  for (const digits of [1364, 1368, 1372, 2040, 2048]) {
    t.is(await respond(`0b${'A'.repeat(digits)}`), '0201', `${digits} digits`);
  }
});

test('what is no value of CHAP_R', async (t) => {
  const odd = [
    '',
    '0',
    '0x',
    '0b',
    '0o17',
    '1234',
    'x00',
    '0x0x00',
    '00x00',
    '-0x00',
    '0x 00',
    '\uFEFF0x00',
  ];
  for (const value of odd) t.is(await respond(value), '0201', JSON.stringify(value));
});

test('of the right response and one with another last digit the first passes, and not the other', async (t) => {
  for (let tries = 0; tries < 64; tries++) {
    const caller = new Caller(guarded());
    const challenge = await caller.challenge();
    const right = caller.answer(challenge).CHAP_R!;
    const wrong = right.slice(0, -1) + ((Number.parseInt(right.at(-1)!, 16) + 1) % 16).toString(16);
    t.is(decodeBinary(right, 1024)?.length, 16);
    const reply = await caller.say({ CHAP_N: USER, CHAP_R: tries % 2 ? wrong : right }, 0x81);
    t.is(loginStatus(reply), tries % 2 ? '0201' : '0000');
  }
});

test('every CHAP_I of an initiator: 0…255 is a number, the rest is none', async (t) => {
  const ask = async (identifier: string) => {
    const caller = new Caller(guarded());
    const answer = caller.answer(await caller.challenge());
    return loginStatus(await caller.say({ ...answer, CHAP_I: identifier, CHAP_C: '0x0102' }, 0x81));
  };
  for (let i = 0; i <= 255; i += 5) {
    t.is(await ask(String(i)), '0000', `${i}`);
    t.is(await ask(`0x${i.toString(16)}`), '0000', `hex ${i}`);
  }
  const none = [
    '256',
    '257',
    '0x100',
    '999',
    '65536',
    '4294967296',
    '-1',
    '+1',
    '1.0',
    '1e2',
    ' 1',
    '',
    '0x',
  ];
  for (const identifier of none) t.is(await ask(identifier), '0201', identifier);
});

test('CHAP_C of an initiator: 1 to 1024 bytes', async (t) => {
  for (const [bytes, expected] of [
    [0, '0201'],
    [1, '0000'],
    [16, '0000'],
    [1023, '0000'],
    [1024, '0000'],
    [1025, '0200'],
  ] as const) {
    const caller = new Caller(guarded());
    const answer = caller.answer(await caller.challenge());
    const more = { CHAP_I: '1', CHAP_C: `0x${'5a'.repeat(bytes)}` };
    t.is(loginStatus(await caller.say({ ...answer, ...more }, 0x81)), expected, `${bytes} bytes`);
  }
});

for (const key of ['CHAP_A', 'CHAP_N', 'CHAP_R', 'CHAP_I', 'CHAP_C']) {
  test(`${key} twice in one request opens nothing, though one of both be right`, async (t) => {
    for (const order of ['first', 'last']) {
      const server = guarded();
      const caller = new Caller(server);
      const right: Record<string, string> =
        key === 'CHAP_A'
          ? { CHAP_A: '5' }
          : { ...caller.answer(await caller.challenge()), CHAP_I: '1', CHAP_C: '0x0102' };
      if (key === 'CHAP_A') await caller.say({ AuthMethod: 'CHAP' });
      const once = text(right);
      const again = Buffer.from(`${key}=1\0`);
      const data = Buffer.concat(order === 'first' ? [once, again] : [again, once]);
      caller.host.send(pdu(0x43, { flags: 0x81, tag: 1, w24: caller.host.cmdSn, data }));
      const [reply] = await caller.host.receive();
      t.is(loginStatus(reply), '0201', order);
      t.is(reply!.data.length, 0);
    }
  });
}

test('ten thousand challenges of several servers: none comes again, identifiers are spread', async (t) => {
  const seen = new Set<string>();
  const identifiers = new Map<number, number>();
  const bits = Array.from({ length: 256 }, () => 0);
  for (let restart = 0; restart < 20; restart++) {
    // The clock starts alike each time: a seed from it would give the same challenges again.
    const server = guarded();
    for (let i = 0; i < 500; i++) {
      const caller = new Caller(server);
      const { bytes, identifier } = await caller.challenge();
      caller.host.handler.closed();
      t.is(bytes.length, 32);
      seen.add(bytes.toString('hex'));
      identifiers.set(identifier, (identifiers.get(identifier) ?? 0) + 1);
      for (let bit = 0; bit < 256; bit++) bits[bit]! += (bytes[bit >> 3]! >> (bit & 7)) & 1;
    }
  }
  t.is(seen.size, 10_000);
  t.true(identifiers.size > 250, `${identifiers.size} identifiers`);
  t.true(Math.max(...identifiers.values()) < 100, 'none is more frequent than the rest');
  // Eight standard deviations (of 50): what chance does not do in the life of this test.
  for (const [bit, ones] of bits.entries()) t.true(Math.abs(ones - 5000) < 400, `bit ${bit}`);
});

test('a response that was right once is not right again', async (t) => {
  const server = guarded();
  const first = new Caller(server);
  const challenge = await first.challenge();
  const answer = first.answer(challenge);
  t.is(loginStatus(await first.say(answer, 0x81)), '0000');
  for (let tries = 0; tries < 50; tries++) {
    const replay = new Caller(server);
    await replay.challenge();
    t.is(loginStatus(await replay.say(answer, 0x81)), '0201');
  }
});

test('the target does not answer its own challenges, for whoever asks it over a second connection', async (t) => {
  const server = guarded();
  const victim = new Caller(server);
  const { bytes, identifier } = await victim.challenge();
  const asked = { CHAP_I: String(identifier), CHAP_C: `0x${bytes.toString('hex')}` };
  // Without a proof there is none in return: at no step, in no order.
  for (const keys of [
    { AuthMethod: 'CHAP', ...asked },
    { AuthMethod: 'CHAP', CHAP_A: '5', ...asked },
    { AuthMethod: 'CHAP', CHAP_N: MUTUAL.name, CHAP_R: '0x00', ...asked },
  ]) {
    const mirror = new Caller(server);
    const reply = await mirror.say(keys);
    t.false(reply.data.includes('CHAP_R'));
    t.not(loginStatus(reply), '0000');
  }
  // And who has proved to be alice gets petal's answer, which does not prove alice.
  const mirror = new Caller(server);
  const proof = mirror.answer(await mirror.challenge());
  const reply = await mirror.say({ ...proof, ...asked }, 0x81);
  const [, back] = /CHAP_R=(0x[0-9a-f]+)/.exec(reply.data.toString('latin1'))!;
  t.is(loginStatus(await victim.say({ CHAP_N: USER, CHAP_R: back! }, 0x81)), '0201');
});

test('a name of the target with a character that ends a key is not told', async (t) => {
  for (const name of ['petal\0AuthMethod=None', 'petal\n', 'petal\r', '', 'x'.repeat(256)]) {
    const { server } = world({}, undefined, {
      chap: () => ({ user: () => ({ secret: SECRET }), mutual: { ...MUTUAL, name } }),
    });
    const caller = new Caller(server);
    const answer = caller.answer(await caller.challenge());
    const reply = await caller.say({ ...answer, CHAP_I: '1', CHAP_C: '0x0102' }, 0x81);
    t.is(loginStatus(reply), '0201', JSON.stringify(name.slice(0, 30)));
    t.is(reply.data.length, 0);
  }
});

test('a thousand failing proofs leave nothing behind and keep nobody out', async (t) => {
  const { server, clock } = world({}, undefined, { chap: () => policy });
  for (let i = 0; i < 1000; i++) {
    const caller = new Caller(server, {}, `198.51.100.${i % 250}`);
    await caller.challenge();
    const reply = await caller.say({ CHAP_N: USER, CHAP_R: `0x${'0'.repeat(32)}` }, 0x81);
    t.is(loginStatus(reply), '0201');
    // Half of them do not close: the target does, after the time to read the answer.
    if (i % 2 === 0) caller.host.handler.closed();
    if (i % 100 === 99) clock.advance(10_000);
  }
  const host = new Host(server);
  host.send(
    pdu(0x43, {
      flags: 0,
      tag: 1,
      data: text({ InitiatorName: INITIATOR, TargetName: NAME, AuthMethod: 'CHAP' }),
    }),
  );
  t.is(loginStatus((await host.receive())[0]), '0000');
  t.deepEqual(server.sessions(), []);
});
