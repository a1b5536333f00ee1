/** CHAP: who knows the secret comes in, nobody else does, and nobody learns anything from trying. */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import type { ChapPolicy, IscsiServer, TargetOptions } from '../../../target/index.ts';
import { answerTo, Caller, HASHES, MUTUAL, policy, SECRET, USER } from './chap-kit.ts';
import { Host, INITIATOR, loginStatus, pairs, pdu, text, world } from './kit.ts';

const guarded = (options: Partial<TargetOptions> = {}): IscsiServer =>
  world({}, undefined, { chap: () => policy, ...options }).server;

const base64 = (bytes: Buffer): string => `0b${bytes.toString('base64')}`;
const hex = (bytes: Buffer): string => `0x${bytes.toString('hex')}`;

for (const [number, hash] of Object.entries(HASHES)) {
  for (const [form, encode] of Object.entries({ hex, base64 })) {
    test(`${hash}, answered in ${form}, both ways`, async (t) => {
      const server = guarded();
      const caller = new Caller(server);
      const challenge = await caller.challenge(number);
      t.is(challenge.algorithm, number);
      t.true(challenge.bytes.length >= 16 && challenge.bytes.length <= 1024);
      const ours = randomBytes(1024);
      const response = answerTo(number, challenge.identifier, SECRET, challenge.bytes);
      const reply = await caller.say(
        { CHAP_N: USER, CHAP_R: encode(response), CHAP_I: '77', CHAP_C: encode(ours) },
        0x81,
      );
      t.is(loginStatus(reply), '0000');
      t.is(reply.flags & 0x83, 0x81, 'on to the operational stage');
      const proof = pairs(reply.data);
      t.is(proof.CHAP_N, MUTUAL.name);
      t.is(proof.CHAP_R, hex(answerTo(number, 77, MUTUAL.secret, ours)));
      t.is(loginStatus(await caller.operate()), '0000');
      t.is(server.sessions()[0]?.user, USER);
    });
  }
}

const lists: Record<string, string> = {
  '8,7,6,5': '8',
  '5,6,7': '7',
  '5,6': '6',
  '5': '5',
  '99,5,4294967296': '5',
  '7 , 5': '7',
};
for (const [list, chosen] of Object.entries(lists)) {
  test(`of CHAP_A=${list} the strongest is taken: ${chosen}`, async (t) => {
    t.is((await new Caller(guarded()).challenge(list)).algorithm, chosen);
  });
}

/** What an initiator says after the challenge, and must be refused for. */
const wrong: Record<string, (right: Record<string, string>, c: Buffer) => Record<string, string>> =
  {
    'a wrong secret': (r) => ({ ...r, CHAP_R: `0x${'0'.repeat(32)}` }),
    'an unknown user': (r) => ({ ...r, CHAP_N: 'mallory' }),
    'a user name in other case': (r) => ({ ...r, CHAP_N: 'Alice' }),
    'a name that is a property of every object': (r) => ({ ...r, CHAP_N: 'constructor' }),
    'no response': () => ({ CHAP_N: USER }),
    'no name': (r) => ({ CHAP_R: r.CHAP_R! }),
    'a response that is too short': (r) => ({ ...r, CHAP_R: r.CHAP_R!.slice(0, -2) }),
    'a response that is too long': (r) => ({ ...r, CHAP_R: `${r.CHAP_R}00` }),
    'a response without digits': (r) => ({ ...r, CHAP_R: '0x' }),
    'a response that is no hex': (r) => ({ ...r, CHAP_R: '0xzz' }),
    'a response that is no base64': (r) => ({ ...r, CHAP_R: '0b*' }),
    'a response of 1024 bytes': (r) => ({ ...r, CHAP_R: `0x${'ab'.repeat(1024)}` }),
    'CHAP_I without CHAP_C': (r) => ({ ...r, CHAP_I: '1' }),
    'CHAP_C without CHAP_I': (r) => ({ ...r, CHAP_C: '0x01' }),
    'CHAP_I beyond a byte': (r) => ({ ...r, CHAP_I: '256', CHAP_C: '0x01' }),
    'CHAP_I that is no number': (r) => ({ ...r, CHAP_I: '-1', CHAP_C: '0x01' }),
    'our own challenge': (r, c) => ({ ...r, CHAP_I: '1', CHAP_C: hex(c) }),
    'our own challenge in base64': (r, c) => ({ ...r, CHAP_I: '1', CHAP_C: base64(c) }),
    'an empty challenge': (r) => ({ ...r, CHAP_I: '1', CHAP_C: '0x' }),
    'another CHAP_A': (r) => ({ ...r, CHAP_A: '5' }),
    'a key that CHAP has not': (r) => ({ ...r, CHAP_X: '1' }),
  };
for (const [name, say] of Object.entries(wrong)) {
  test(`${name}: refused, and nothing is told`, async (t) => {
    const server = guarded();
    const caller = new Caller(server);
    const challenge = await caller.challenge();
    const reply = await caller.say(say(caller.answer(challenge), challenge.bytes), 0x81);
    t.is(loginStatus(reply), '0201');
    t.is(reply.data.length, 0);
    t.is(caller.host.stream.ended, 'end');
    t.deepEqual(server.sessions(), []);
  });
}

/** First requests of a login, and the status that follows. */
const openings: Record<string, { chap: boolean; keys: Record<string, string>; status: string }> = {
  'None where CHAP is asked for': { chap: true, keys: { AuthMethod: 'None' }, status: '0201' },
  'CHAP is taken from a list': { chap: true, keys: { AuthMethod: 'None,CHAP' }, status: '0000' },
  'CHAP alone where there is none': { chap: false, keys: { AuthMethod: 'CHAP' }, status: '0201' },
  'CHAP,None where there is none': {
    chap: false,
    keys: { AuthMethod: 'CHAP,None' },
    status: '0000',
  },
  'an answer before the challenge': {
    chap: true,
    keys: { AuthMethod: 'CHAP', CHAP_N: USER, CHAP_R: '0x00' },
    status: '0201',
  },
  'algorithms nobody has': {
    chap: true,
    keys: { AuthMethod: 'CHAP', CHAP_A: '9,10' },
    status: '0201',
  },
  'method and algorithms at once': {
    chap: true,
    keys: { AuthMethod: 'CHAP', CHAP_A: '7' },
    status: '0000',
  },
  'a CHAP_R beyond 1024 bytes': {
    chap: true,
    keys: { AuthMethod: 'CHAP', CHAP_R: `0x${'00'.repeat(1025)}` },
    status: '0200',
  },
  'a user name beyond 255 bytes': {
    chap: true,
    keys: { AuthMethod: 'CHAP', CHAP_N: 'x'.repeat(256) },
    status: '0200',
  },
};
for (const [name, { chap, keys, status }] of Object.entries(openings)) {
  test(name, async (t) => {
    const caller = new Caller(chap ? guarded() : world().server);
    t.is(loginStatus(await caller.say(keys)), status);
  });
}

for (const flags of [0x81, 0x83]) {
  test(`a transit (${flags.toString(16)}) that comes too early is not granted`, async (t) => {
    const server = guarded();
    const caller = new Caller(server);
    t.is((await caller.say({ AuthMethod: 'CHAP' }, flags)).flags & 0x80, 0);
    t.is((await caller.say({ CHAP_A: '5' }, flags)).flags & 0x80, 0);
    t.deepEqual(server.sessions(), []);
  });
}

test('the security stage cannot be skipped', async (t) => {
  t.is(loginStatus(await new Host(guarded()).login()), '0201');
  const caller = new Caller(guarded());
  t.is(loginStatus(await caller.say({}, 0x81)), '0201', 'nor left without a word');
});

test('the turn may be passed before the transit is asked for', async (t) => {
  const server = guarded();
  const caller = new Caller(server);
  const challenge = await caller.challenge();
  const reply = await caller.say(caller.answer(challenge));
  t.deepEqual([loginStatus(reply), reply.flags & 0x80], ['0000', 0]);
  const passed = await caller.say({}, 0x81);
  t.deepEqual([loginStatus(passed), passed.flags & 0x80], ['0000', 0x80]);
  t.is(loginStatus(await caller.operate()), '0000');
});

test('CHAP keys after the end are out of turn', async (t) => {
  const caller = new Caller(guarded());
  const challenge = await caller.challenge();
  const answer = caller.answer(challenge);
  await caller.say(answer);
  t.is(loginStatus(await caller.say(answer)), '0201');
});

const policies: Record<string, { policy: ChapPolicy; status: string }> = {
  'the same secret both ways is refused': {
    policy: { ...policy, mutual: { name: 'petal', secret: SECRET } },
    status: '0201',
  },
  'an initiator that wants proof which there is not': {
    policy: { user: policy.user },
    status: '0201',
  },
  'a secret that is too short opens nothing': {
    policy: { user: () => ({ secret: SECRET.slice(0, 11) }), mutual: MUTUAL },
    status: '0201',
  },
};
for (const [name, { policy: own, status }] of Object.entries(policies)) {
  test(name, async (t) => {
    const caller = new Caller(guarded({ chap: () => own }));
    const challenge = await caller.challenge();
    const secret = own.user(USER)!.secret;
    const answer = caller.answer(challenge, USER, secret);
    const reply = await caller.say({ ...answer, CHAP_I: '1', CHAP_C: '0xabcd' }, 0x81);
    t.is(loginStatus(reply), status);
  });
}

test('a challenge of one connection is of no use on another', async (t) => {
  const server = guarded();
  const one = new Caller(server);
  const two = new Caller(server);
  const first = await one.challenge();
  const second = await two.challenge();
  t.is(loginStatus(await two.say(one.answer(first), 0x81)), '0201');
  // To have ours answered by the target itself one must have answered already.
  const mirror = { CHAP_N: 'petal', CHAP_R: hex(randomBytes(16)), CHAP_I: '9' };
  t.is(loginStatus(await one.say({ ...mirror, CHAP_C: hex(second.bytes) }, 0x81)), '0201');
});

test('no challenge comes twice', async (t) => {
  const seen = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    const caller = new Caller(guarded());
    seen.add((await caller.challenge()).bytes.toString('hex'));
  }
  t.is(seen.size, 2000);
});

test('who is proved decides: access by user, and users that may only read', async (t) => {
  const users: Record<string, { secret: string; readOnly?: boolean }> = {
    alice: { secret: SECRET },
    bob: { secret: SECRET, readOnly: true },
    carol: { secret: SECRET },
  };
  const { server, device } = world({}, undefined, {
    chap: () => ({ user: (name) => users[name] ?? null }),
    access: ({ user }) => (user === 'carol' || user === null ? 'none' : 'read-write'),
  });
  const enter = async (name: string, isid: string) => {
    const caller = new Caller(server, { InitiatorName: `${INITIATOR}-${isid}` });
    const reply = await caller.say(caller.answer(await caller.challenge(), name), 0x81);
    return {
      caller,
      status: loginStatus(reply) === '0000' ? loginStatus(await caller.operate()) : '',
    };
  };
  t.is((await enter('alice', '1')).status, '0000');
  t.is((await enter('carol', '2')).status, '0201', 'as if the secret were wrong');
  const { caller } = await enter('bob', '3');
  caller.host.command(Buffer.alloc(16));
  const cdb = Buffer.from('2a000000000000000100000000000000', 'hex');
  caller.host.command(cdb, { write: true, length: 512, data: Buffer.alloc(512) });
  const replies = await caller.host.receive();
  t.is(replies.at(-1)?.byte3, 2, 'a read-only user cannot write');
  t.deepEqual(device.log, []);
  users.bob = { secret: SECRET };
  t.is(server.recheck('iqn.2026-11.test:disk'), 1, 'bob may write now: logs in again');
  delete users.alice;
  t.is(server.recheck('iqn.2026-11.test:disk'), 1, 'alice is no user any more');
  t.deepEqual(server.sessions(), []);
});

test('discovery asks for its own proof, and shows what the user may see', async (t) => {
  const { server } = world({ discoveryChap: () => policy }, undefined, {
    access: ({ user }) => (user === USER ? 'read-write' : 'none'),
  });
  const keys = { SessionType: 'Discovery' };
  const stranger = new Caller(server, keys);
  t.is(loginStatus(await stranger.say({ AuthMethod: 'None' })), '0201');
  const caller = new Caller(server, keys);
  await caller.say(caller.answer(await caller.challenge('8')), 0x81);
  t.is(loginStatus(await caller.operate()), '0000');
  const data = text({ SendTargets: 'All' });
  caller.host.send(pdu(0x04, { tag: 9, w20: 0xffffffff, w24: caller.host.cmdSn, data }));
  const [reply] = await caller.host.receive();
  t.is(pairs(reply!.data).TargetName, 'iqn.2026-11.test:disk');
});

test('a login without proof does not touch the session that it names', async (t) => {
  const server = guarded();
  const caller = new Caller(server);
  await caller.say(caller.answer(await caller.challenge()), 0x81);
  await caller.operate();
  const forger = new Caller(server);
  await forger.challenge();
  await forger.say({ CHAP_N: USER, CHAP_R: '0x00' }, 0x81);
  t.is(caller.host.stream.ended, null);
  t.is(server.sessions().length, 1);
});

test('what is logged of a failure has no secret, no response and no line of the peer', async (t) => {
  const lines: string[] = [];
  const say = (object: object, message: string) => lines.push(JSON.stringify([object, message]));
  const { server } = world({ log: { info: say, warn: say, error: say } }, undefined, {
    chap: () => policy,
  });
  for (let i = 0; i < 100; i++) {
    const caller = new Caller(server);
    const challenge = await caller.challenge();
    await caller.say(caller.answer(challenge, 'eve\nroot', 'not-the-secret'), 0x81);
    caller.host.handler.closed();
  }
  t.true(lines.length <= 30, `${lines.length} lines`);
  t.true(lines.every((line) => !line.includes(SECRET) && !/0x[0-9a-f]{16}/.test(line)));
  t.true(lines.some((line) => line.includes('eve')));
});
