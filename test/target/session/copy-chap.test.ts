/**
 * A copy to a disk of another target with CHAP: only by a session that proved, at its own, a user with the very
 * secret that the other asks for, for as long as both say so. What it may not reach looks like nothing.
 */
import test from 'ava';
import type { ChapUser } from '../../../target/index.ts';
import { cscd, list, segment } from '../scsi/copy-kit.ts';
import { Caller, SECRET, USER } from './chap-kit.ts';
import { HeldDevice, Host, type Pdu, senseOf, world } from './kit.ts';

const MiB = 2 ** 20;
const other = 'iqn.2026-11.test:other';

type Users = Map<string, ChapUser>;

interface Setting {
  /** Who may log in where the session is; null: no CHAP. */
  readonly here: Users | null;
  readonly there: Users | null;
}

const alice = (secret = SECRET, readOnly = false): Users => new Map([[USER, { secret, readOnly }]]);

async function enter({ here, there }: Setting) {
  const policy = (users: Users | null) => () =>
    users === null ? null : { user: (name: string) => users.get(name) ?? null };
  const all = world({}, new HeldDevice({ bytes: 2 * MiB }), { chap: policy(here) });
  const device = new HeldDevice({ bytes: 2 * MiB });
  all.device.write(0, Buffer.alloc(512, 1), false, { complete: () => {} });
  const target = all.server.addTarget({
    name: other,
    access: () => 'read-write',
    chap: policy(there),
  });
  target.scsi.add(0, device);
  if (here === null) {
    const host = new Host(all.server);
    await host.enter();
    return { ...all, there: device, host };
  }
  const caller = new Caller(all.server);
  await caller.say(caller.answer(await caller.challenge()), 0x81);
  await caller.operate();
  const { host } = caller;
  host.command(Buffer.alloc(16));
  await host.receive();
  return { ...all, there: device, host };
}

type World = Awaited<ReturnType<typeof enter>>;

/** Copies a sector to the other disk, to one that does not exist, or back; tells the end. */
async function copy(all: World, back = false, unknown = false): Promise<string> {
  const naa = Uint8Array.from(all.there.identity.naa);
  if (unknown) naa[15] = (naa[15] ?? 0) ^ 0xff;
  const ends = [cscd(all.device.identity.naa), cscd(naa)];
  const [source, destination] = back ? [1, 0] : [0, 1];
  const one = segment({ source, destination, blocks: 1, from: 0, to: 9 });
  const out = Buffer.from(list(ends, [one]));
  const cdb = Buffer.alloc(16);
  cdb[0] = 0x83;
  cdb.writeUInt32BE(out.length, 10);
  all.host.command(cdb, { write: true, length: out.length, data: out });
  let answers: Pdu[] = [];
  while (answers.length === 0) {
    all.device.releaseAll();
    all.there.releaseAll();
    answers = await all.host.receive();
  }
  const [answer] = answers;
  return answer?.byte3 === 2 ? `${senseOf(answer)} ${answer.data.toString('hex')}` : '00';
}

const rows: readonly (readonly [string, Setting, string, string])[] = [
  ['the same secret', { here: alice(), there: alice() }, '00', '00'],
  ['another secret', { here: alice(), there: alice('another-secret') }, 'a/0d02', 'a/0d02'],
  ['the user is not known there', { here: alice(), there: new Map() }, 'a/0d02', 'a/0d02'],
  ['no proof here', { here: null, there: alice() }, 'a/0d02', 'a/0d02'],
  ['no CHAP there', { here: alice(), there: null }, '00', '00'],
  ['may only read there', { here: alice(), there: alice(SECRET, true) }, '7/2700', '00'],
];

for (const [name, setting, to, from] of rows) {
  test(name, async (t) => {
    const all = await enter(setting);
    const nothing = await copy(all, false, true);
    for (const [back, expected] of [
      [false, to],
      [true, from],
    ] as const) {
      const end = await copy(all, back);
      t.is(end.split(' ')[0], expected);
      if (expected === 'a/0d02') t.is(end, nothing, 'masked and unknown are one to the initiator');
    }
    t.is(all.there.log.length, to === '00' ? 1 : 0);
  });
}

test('a secret that is changed, and changed back, at either target', async (t) => {
  const here = alice();
  const there = alice();
  const all = await enter({ here, there });
  const ends = async (): Promise<string> => (await copy(all)).split(' ')[0] ?? '';
  t.is(await ends(), '00');
  for (const users of [here, there]) {
    users.set(USER, { secret: 'changed-secret' });
    t.is(await ends(), 'a/0d02');
    users.set(USER, { secret: SECRET });
    t.is(await ends(), '00');
  }
  here.set(USER, { secret: 'changed-secret' });
  there.set(USER, { secret: 'changed-secret' });
  t.is(await ends(), 'a/0d02', 'never proved, though both are the same');
});
