/**
 * A reservation that keeps others out answers when their older writes have left the device; from the
 * moment it is made their later writes are refused.
 */
import test from 'ava';
import type { Nexus } from '../../../target/scsi/nexus.ts';
import { cscd, list as list0, segment, xcopy } from './copy-kit.ts';
import { verdict, Watched, World } from './kit.ts';

function list(key: number, serviceKey: number): Uint8Array {
  const out = new Uint8Array(24);
  out[7] = key;
  out[15] = serviceKey;
  return out;
}

/** Commands that come before, then the one looked at: [who, action, type, key, service key]. */
type Step = readonly ['a' | 'b', number, number, number, number];
const register: Step = ['a', 0, 0, 0, 1];
const other: Step = ['b', 0, 0, 0, 2];

// [name, before, the command, who is waited for]
const rows: readonly (readonly [string, readonly Step[], Step, string])[] = [
  ['RESERVE, write exclusive', [register], ['a', 1, 1, 1, 0], 'b c'],
  ['RESERVE, exclusive access', [register], ['a', 1, 3, 1, 0], 'b c'],
  ['RESERVE, registrants only', [register, other], ['a', 1, 5, 1, 0], 'c'],
  ['RESERVE again', [register, ['a', 1, 1, 1, 0]], ['a', 1, 1, 1, 0], ''],
  ['REGISTER', [], register, ''],
  ['RELEASE', [register, ['a', 1, 1, 1, 0]], ['a', 2, 1, 1, 0], ''],
  ['PREEMPT of a registrant', [register, other, ['a', 1, 5, 1, 0]], ['a', 4, 5, 1, 2], 'b'],
  ['PREEMPT of the holder', [register, other, ['a', 1, 1, 1, 0]], ['b', 4, 1, 2, 1], 'a'],
  ['PREEMPT AND ABORT of the holder', [register, other, ['a', 1, 1, 1, 0]], ['b', 5, 1, 2, 1], 'a'],
  [
    'unregistering with registrants only',
    [register, other, ['a', 1, 5, 1, 0]],
    ['b', 0, 0, 2, 0],
    'b',
  ],
  ['CLEAR', [register, other, ['a', 1, 5, 1, 0]], ['a', 3, 0, 1, 0], ''],
];

function send(world: World, [who, action, type, key, serviceKey]: Step) {
  const cdb = `5f 0${action} 0${type} 0000 00000018`;
  return world.run(cdb, { from: world[who], out: list(key, serviceKey) });
}

for (const [name, before, step, waited] of rows) {
  test(name, async (t) => {
    const world = new World();
    await world.attach(world.a, world.b, world.c);
    for (const each of before) t.is(verdict(await send(world, each)), '00');
    // With unit attentions out of the way a refused write is a conflict.
    let release: (() => void) | null = null;
    let asked: readonly Nexus[] = [];
    world.target.onSettle = (lun, nexuses, done) => {
      t.is(lun, 0);
      asked = nexuses;
      release = done;
    };
    let answered = false;
    const running = send(world, step).then((result) => {
      answered = true;
      return verdict(result);
    });
    await new Promise((resolve) => setImmediate(resolve));
    const names = (['a', 'b', 'c'] as const).filter((each) => asked.includes(world[each]));
    t.is(names.join(' '), waited);
    // Asked even for nobody here: a session that has gone may have left a write behind.
    t.is(answered, release === null);
    if (waited !== '') t.false(answered);
    for (const from of asked) {
      await world.run('03 00 00 00 12', { from });
      const write = await world.run('2a 00 00000000 00 0001', { from, out: new Uint8Array(512) });
      t.is(verdict(write), '18', 'refused before the reservation was answered');
    }
    (release as (() => void) | null)?.();
    t.is(await running, '00');
  });
}

test('an SPC-2 RESERVE waits as well', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b, world.c);
  const waiting: (() => void)[] = [];
  world.target.onSettle = (_lun, nexuses, done) => {
    t.deepEqual([...nexuses], [world.b, world.c]);
    waiting.push(done);
  };
  let answered = false;
  const running = world.run('16').then((result) => {
    answered = true;
    return verdict(result);
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.false(answered);
  waiting[0]?.();
  t.is(await running, '00');
  world.target.onSettle = (_lun, nexuses, done) => {
    t.deepEqual([...nexuses], [], 'again: nobody is newly excluded');
    done();
  };
  t.is(verdict(await world.run('16')), '00');
});

/** Copies 8 MiB of the unit at LUN 1 to the one at LUN 0, commanded through LUN 1. */
async function copyInto(world: World, from: Nexus, source: Watched): Promise<string> {
  const cscds = [source, world.device].map((each) => cscd(each.identity.naa));
  const out = list0(cscds, [segment({ destination: 1, blocks: 16384, from: 0, to: 0 })]);
  return verdict(await world.run(xcopy(out.length), { from, out, lun: 1 }));
}

for (const [name, command, ends] of [
  ['RESERVE', '16', '18'],
  ['SANITIZE', '48 02', '02 0a/0d02'],
] as const) {
  test(`${name} waits for a copy through another LUN, which then stops`, async (t) => {
    const world = new World({ capabilities: { sanitize: true } });
    const source = new Watched({ bytes: 16 * 1024 * 1024, capabilities: { thin: false } });
    world.target.add(1, source);
    await world.attach(world.a, world.b);
    await world.run('03 00 00 00 12', { from: world.b, lun: 1 });
    world.device.behaviour.later = true;
    const copy = copyInto(world, world.b, source);
    await new Promise((resolve) => setTimeout(resolve, 0));
    t.is(world.device.inFlight, 1, 'a piece is with the device');
    const writes = () => world.device.calls.filter((call) => call.startsWith('write')).length;
    const before = writes();
    t.is(verdict(await world.run(command)), '00');
    t.is(world.device.inFlight, 0, 'it has landed before the answer');
    t.is(writes(), before, 'and no other followed');
    t.is(await copy, ends);
  });
}
