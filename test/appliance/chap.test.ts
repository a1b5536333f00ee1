/** CHAP settings: what is allowed, that nothing opens by accident, and that no secret comes out. */
import { inspect } from 'node:util';
import test from 'ava';
import { ChapSettings } from '#appliance/chap.ts';
import { limits } from '#appliance/limits.ts';

const secret = 'secret-of-anna';
const own = 'secret-of-disk';
const anna = ChapSettings.none.set({ user: 'anna', secret });
const both = anna.set({
  user: 'bert',
  secret: 'secret-of-bert',
  mutual: { user: 'petal', secret: own },
});

const refused: readonly (readonly [string, Parameters<ChapSettings['set']>[0], RegExp])[] = [
  ['a secret of 11', { user: 'a', secret: 'x'.repeat(11) }, /12 to 16/],
  ['a secret of 17', { user: 'a', secret: 'x'.repeat(17) }, /12 to 16/],
  ['a secret with a space', { user: 'a', secret: 'secret of anna' }, /printable/],
  ['a secret beyond ASCII', { user: 'a', secret: 'sécret-of-anna' }, /printable/],
  ['no name', { user: '', secret }, /name has/],
  ['a name with a space', { user: 'a b', secret }, /name has/],
  ['a name with a semicolon', { user: 'a;b', secret }, /name has/],
  ['a long name', { user: 'x'.repeat(224), secret }, /name has/],
  ['a bad name of its own', { user: 'a', secret, mutual: { user: '', secret: own } }, /name has/],
  ['a short secret of its own', { user: 'a', secret, mutual: { user: 'p', secret: 'x' } }, /12 to/],
  ['one secret for both', { user: 'a', secret, mutual: { user: 'p', secret } }, /of its own/],
];

for (const [name, change, message] of refused) {
  test(`${name} is refused`, (t) => {
    t.throws(() => ChapSettings.none.set(change), { code: 'INVALID', message });
  });
}

for (const length of [12, 16]) {
  test(`a secret of ${length} is taken`, (t) => {
    const settings = ChapSettings.none.set({ user: 'a', secret: 'x'.repeat(length) });
    t.is(settings.policy()?.user('a')?.secret, 'x'.repeat(length));
  });
}

test("a user may not get the target's secret later, nor the target a user's", (t) => {
  t.throws(() => both.set({ user: 'cleo', secret: own }), { code: 'INVALID' });
  const change = { user: 'cleo', secret: 'secret-of-cleo', mutual: { user: 'petal', secret } };
  t.throws(() => both.set(change), { code: 'INVALID' });
});

test('without users there is no policy; with one only users are known', (t) => {
  t.is(ChapSettings.none.policy(), null);
  t.false(ChapSettings.none.on);
  t.deepEqual(anna.policy()?.user('anna'), { secret });
  t.is(anna.policy()?.user('Anna'), null);
  t.is(anna.policy()?.user('toString'), null);
  t.is(anna.policy()?.mutual, null);
  t.deepEqual(both.policy()?.mutual, { name: 'petal', secret: own });
});

test('the last user goes only with all of CHAP', (t) => {
  const bert = both.remove({ user: 'anna' });
  t.deepEqual(bert.view, { users: ['bert'], mutual: 'petal' });
  t.throws(() => bert.remove({ user: 'bert' }), { code: 'INVALID', message: /last/ });
  t.throws(() => bert.remove({ user: 'anna' }), { code: 'NOT_FOUND' });
  t.deepEqual(bert.remove({ mutual: true }).view, { users: ['bert'], mutual: null });
  t.throws(() => anna.remove({ mutual: true }), { code: 'NOT_FOUND' });
  t.deepEqual(both.remove({}).view, { users: [], mutual: null });
  t.is(both.remove({}).format(), '');
});

test('users are bounded', (t) => {
  let settings = ChapSettings.none;
  for (let n = 0; n < limits.chapUsers; n++) settings = settings.set({ user: `u${n}`, secret });
  t.throws(() => settings.set({ user: 'one-more', secret }), { code: 'INVALID' });
  t.notThrows(() => settings.set({ user: 'u0', secret: 'another-secret' }));
});

test('settings survive being stored', (t) => {
  for (const settings of [ChapSettings.none, anna, both]) {
    const read = ChapSettings.parse(settings.format(), 'test');
    t.is(read.format(), settings.format());
    t.deepEqual(read.view, settings.view);
  }
  t.false(ChapSettings.parse(undefined, 'test').on);
});

const damaged = [
  '{',
  'null',
  '[]',
  '{"version":1,"users":[],"mutual":null}',
  '{"version":2,"users":[["anna","secret-of-anna"]],"mutual":null}',
  '{"version":1,"users":[["anna"]],"mutual":null}',
  '{"version":1,"users":[["anna","short"]],"mutual":null}',
  '{"version":1,"users":[["anna","secret-of-anna"]],"mutual":["petal"]}',
  '{"version":1,"users":[["anna","secret-of-anna"]]}',
];
for (const text of damaged) {
  test(`stored as ${text} it stops the start and does not mean "off"`, (t) => {
    const error = t.throws(() => ChapSettings.parse(text, "disk 'x'"), { code: 'STORE_FAILED' });
    t.false(error.message.includes('secret-of-anna'));
  });
}

test('no secret in what is shown, logged or printed', (t) => {
  for (const text of [
    JSON.stringify(both),
    JSON.stringify(both.view),
    inspect(both, { depth: 9 }),
  ]) {
    t.false(text.includes('secret-of'), text);
  }
});
