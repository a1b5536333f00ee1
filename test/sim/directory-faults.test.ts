/**
 * The simulated Directory shows what etcd would show: cut links, outcomes that are never told and late
 * effects, forgotten history, restored backups; the same seed gives the same run.
 */
import test from 'ava';
import type { StorageError } from '#storage/base/errors.ts';
import { contents, inOrder, Mirror, refused, set, unset } from '#test/kit/directory-subject.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { SimClock } from './clock.ts';
import { SimDirectory } from './directory.ts';

function made(seed?: number): { clock: SimClock; server: SimDirectory; random: SeededRandom } {
  const clock = new SimClock();
  const random = new SeededRandom(seed);
  return { clock, random, server: new SimDirectory(clock, random) };
}

/** A run of commits from several clients under faults, as text. */
async function history(seed: number): Promise<string> {
  const { clock, random, server } = made(seed);
  const lines: string[] = [];
  server.faults.unknown = 0.3;
  const work = async (name: string): Promise<void> => {
    const client = await server.client(name);
    client.watch('', client.seen().revision, ({ key, revision }) =>
      lines.push(`${name} heard ${key} ${revision}`),
    );
    for (let i = 0; i < 20; i++) {
      if (random.chance(0.1)) server.compact();
      const outcome = await client
        .commit([], [set(`${name}${i % 3}`, `${i}`)])
        .then(String, (error: StorageError) => error.code);
      lines.push(`${clock.now()} ${name} ${i} ${outcome}`);
    }
  };
  await clock.until(Promise.all(['a', 'b', 'c'].map(work)));
  await clock.quiet();
  return lines.join('\n');
}

test('the same seed gives the same run', async (t) => {
  const { seed } = new SeededRandom();
  t.log(`seed ${seed}`);
  const first = await history(seed);
  t.regex(first, /UNKNOWN_OUTCOME/);
  t.is(await history(seed), first);
  t.not(await history(seed + 1), first);
});

test('of unknown outcomes some took effect, some not, and some come late, but not after a read', async (t) => {
  const { clock, server, random } = made();
  t.log(`seed ${random.seed}`);
  const [one, two] = await clock.until(Promise.all([server.client('one'), server.client('two')]));
  const found = { atOnce: 0, never: 0, later: 0 };
  for (let i = 0; i < 100; i++) {
    const key = `k${i}`;
    server.faults.unknown = 1;
    await clock.until(refused(t, one.commit([], [set(key, '')]), 'UNKNOWN_OUTCOME'));
    server.faults.unknown = 0;
    const before = await clock.until(two.get(key));
    // Now and then the client itself asks before the time has passed.
    const asked = random.chance(0.5) ? await clock.until(one.get(key)) : undefined;
    await clock.quiet();
    const after = await clock.until(two.get(key));
    if (asked !== undefined) t.deepEqual(after, asked, 'what the client read is final');
    if (before !== null) found.atOnce++;
    else if (after === null) found.never++;
    else found.later++;
  }
  for (const count of Object.values(found)) t.true(count > 5, JSON.stringify(found));
});

test('a client that is cut off waits, says so, and goes on; the others do not notice', async (t) => {
  const { clock, server } = made();
  const [one, two] = await clock.until(Promise.all([server.client('one'), server.client('two')]));
  server.cut('one');
  await clock.until(refused(t, one.get('a'), 'BUSY'));
  await clock.until(refused(t, one.list(''), 'BUSY'));
  await clock.until(refused(t, one.commit([], [set('a', '1')]), 'BUSY'));
  await clock.until(two.commit([], [set('b', '1')]));
  const waiting = one.commit([], [set('a', '2')]);
  clock.after(100, () => server.heal('one'));
  await clock.until(waiting);
  t.deepEqual(await clock.until(contents(two)), new Map(Object.entries({ a: '2', b: '1' })));
});

test('an answer that is cut off leaves the outcome unknown', async (t) => {
  const { clock, server } = made();
  const one = await clock.until(server.client('one'));
  let codes = '';
  for (let i = 0; i < 40; i++) {
    const call = one.commit([], [set(`k${i}`, '')]).then(
      () => '.',
      (error: StorageError) => (error.code === 'UNKNOWN_OUTCOME' ? '?' : 'x'),
    );
    const cancel = clock.after(i % 20, () => server.cut('one'));
    codes += await clock.until(call);
    cancel();
    server.heal('one');
    const there = (await clock.until(one.get(`k${i}`))) !== null;
    t.is(there, codes.at(-1) !== 'x');
  }
  t.regex(codes, /\?/);
  t.regex(codes, /x/);
});

test('a watch that was cut off while history was compacted ends with the right state', async (t) => {
  const { seed } = new SeededRandom();
  // In some rounds the list is ahead of the events that this client has got.
  for (let round = 0; round < 50; round++) {
    const { clock, server } = made(seed + round);
    const at = `seed ${seed + round}`;
    const [one, two] = await clock.until(Promise.all([server.client('one'), server.client('two')]));
    await clock.until(two.commit([], [set('gone', ''), set('kept', ''), set('changed', '')]));
    const mirror = await clock.until(Mirror.of(one));
    server.cut('one');
    await clock.until(two.commit([], [unset('gone'), set('changed', '1')]));
    await clock.until(two.commit([], [set('changed', '2'), set('came', '')]));
    server.compact();
    await clock.until(two.commit([], [set('after', '')]));
    server.heal('one');
    await clock.quiet();
    t.true(mirror.equals(await clock.until(contents(two))), at);
    t.true(inOrder(mirror.heard), at);
    t.is(mirror.heard.filter(({ key }) => key === 'changed').length, 1, at);
  }
});

test('a restored backup is refused until the generation is raised', async (t) => {
  const { clock, server } = made();
  const failures: string[] = [];
  const failed = (error: StorageError): void => {
    failures.push(error.code);
  };
  const one = await clock.until(server.client('one', { failed }));
  await clock.until(one.commit([], [set('a', 'old')]));
  const backup = server.backup();
  await clock.until(one.commit([], [set('a', 'new')]));
  const atLeast = one.seen();
  server.restore(backup);
  await clock.until(refused(t, one.get('a'), 'TOO_OLD'));
  t.deepEqual(failures, ['TOO_OLD']);
  await clock.until(refused(t, server.client('one', { atLeast }), 'TOO_OLD'));
  server.raiseGeneration(atLeast);
  const again = await clock.until(server.client('one', { atLeast }));
  t.deepEqual(await clock.until(contents(again)), new Map([['a', 'old']]));
  t.is(again.seen().generation, atLeast.generation + 1n);
});

test('who opens under a name ends what was opened under it before', async (t) => {
  const { clock, server } = made();
  const first = await clock.until(server.client('one'));
  await clock.until(server.client('one'));
  await clock.until(refused(t, first.commit([], [set('a', '')]), 'IN_USE'));
});
