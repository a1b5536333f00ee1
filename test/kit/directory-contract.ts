/**
 * What every Directory promises, as tests that each implementation runs: transactions that compare
 * and set, lists at one revision, watches without gaps, and refusal of bad input. What needs more
 * than one client, or faults, is in directory-contract-faults.ts.
 */
import { StorageError } from '#storage/base/errors.ts';
import type { Directory, Mutation } from '#storage/cluster/directory.ts';
import { limits } from '#storage/cluster/limits.ts';
import {
  contents,
  type Declare,
  listed,
  type Make,
  promising,
  refused,
  set,
  shown,
  unset,
  until,
} from './directory-subject.ts';

/** `make` gives an empty Directory. */
export function directoryContract(test: Declare, make: Make): void {
  const promise = promising(test, make);

  promise(
    'what was committed is read, with the revision that wrote it',
    async (t, { directory }) => {
      t.is(await directory.get('a'), null);
      const first = await directory.commit([], [set('a', '1'), set('b', '2')]);
      const second = await directory.commit([], [set('b', '3')]);
      t.true(second > first);
      t.true(directory.seen().revision >= second);
      t.is((await directory.get('a'))?.modified, first);
      t.is((await directory.get('b'))?.modified, second);
      t.deepEqual(await listed(directory, ''), ['a=1', 'b=3']);
    },
  );

  promise('a comparison that does not hold changes nothing', async (t, { directory }) => {
    const first = await directory.commit([], [set('a', '1')]);
    await directory.commit([{ key: 'a', modified: first }], [set('a', '2')]);
    const stale = [{ key: 'a', modified: first }];
    await refused(t, directory.commit(stale, [set('a', '3'), set('b', '3')]), 'CONFLICT');
    t.deepEqual(await listed(directory, ''), ['a=2']);
  });

  promise('all comparisons must hold', async (t, { directory }) => {
    const first = await directory.commit([], [set('a', '1')]);
    const mixed = [
      { key: 'a', modified: first },
      { key: 'b', modified: first },
    ];
    await refused(t, directory.commit(mixed, [set('c', '1')]), 'CONFLICT');
    t.deepEqual(await listed(directory, ''), ['a=1']);
  });

  promise('a key can be made only if it is absent', async (t, { directory }) => {
    const absent = [{ key: 'a', modified: 0n }];
    await directory.commit(absent, [set('a', '1')]);
    await refused(t, directory.commit(absent, [set('a', '2')]), 'CONFLICT');
    await directory.commit([], [unset('a')]);
    await directory.commit(absent, [set('a', '3')]);
    t.deepEqual(await listed(directory, ''), ['a=3']);
  });

  promise('of many at once with one comparison exactly one wins', async (t, { directory }) => {
    const absent = [{ key: 'a', modified: 0n }];
    const calls = Array.from({ length: 20 }, (_, i) =>
      directory.commit(absent, [set('a', `${i}`)]),
    );
    const outcomes = await Promise.allSettled(calls);
    t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  promise('a list has a prefix, in key order, at one revision', async (t, { directory }) => {
    for (const key of ['b/2', 'a', 'b/10', 'b', 'c', 'b/!'])
      await directory.commit([], [set(key, key)]);
    const { revision, entries } = await directory.list('b/');
    t.deepEqual(
      entries.map(({ key }) => key),
      ['b/!', 'b/10', 'b/2'],
    );
    const next = await directory.commit([], [set('b/3', '')]);
    t.true(next > revision);
    t.true(entries.every(({ modified }) => modified <= revision));
  });

  promise('what is handed over and handed out is a copy', async (t, { directory }) => {
    const value = Buffer.from('kept');
    const call = directory.commit([], [{ key: 'a', value }]);
    value.fill(0);
    await call;
    (await directory.get('a'))!.value.fill(0);
    (await directory.list(''))!.entries[0]!.value.fill(0);
    t.deepEqual(await listed(directory, ''), ['a=kept']);
  });

  promise('a watch hears every change once, in order', async (t, { directory }) => {
    const start = await directory.commit([], [set('a/1', 'x')]);
    const heard: string[] = [];
    const stop = directory.watch('a/', start, (event) => heard.push(shown(event)));
    const wanted: string[] = [];
    for (let i = 0; i < 50; i++) {
      const revision = await directory.commit([], [set(`a/${i % 3}`, `${i}`), set('b', `${i}`)]);
      wanted.push(`${revision} a/${i % 3}=${i}`);
    }
    const last = await directory.commit([], [unset('a/1')]);
    wanted.push(`${last} a/1=gone`);
    await until(() => heard.length >= wanted.length);
    t.deepEqual(heard, wanted);
    stop();
    await directory.commit([], [set('a/1', 'y')]);
    await until(() => true);
    t.is(heard.length, wanted.length);
  });

  promise('a watch from the past hears what it missed first', async (t, { directory }) => {
    const start = await directory.commit([], [set('a', '0')]);
    const wanted: string[] = [];
    for (let i = 1; i <= 5; i++)
      wanted.push(`${await directory.commit([], [set('a', `${i}`)])} a=${i}`);
    const heard: string[] = [];
    const stop = directory.watch('', start, (event) => heard.push(shown(event)));
    t.deepEqual(heard, [], 'nothing is heard before the call returns');
    wanted.push(`${await directory.commit([], [set('a', '6')])} a=6`);
    await until(() => heard.length >= wanted.length);
    t.deepEqual(heard, wanted);
    stop();
  });

  promise('bad input is refused and changes nothing', async (t, { directory }) => {
    const { revision } = await directory.list('');
    const heard: string[] = [];
    directory.watch('', revision, (event) => heard.push(event.key));
    const bad: readonly Mutation[][] = [
      [set('', 'x')],
      [set('a b', 'x')],
      [set('ä', 'x')],
      [set('a\0', 'x')],
      [set('a\ud800', 'x')],
      [set('k'.repeat(513), 'x')],
      [set('a', '1'), set('a', '2')],
      [set('a', '1'), set('', '2')],
      [{ key: 'a', value: new Uint8Array(1024 * 1024 + 1) }],
      Array.from({ length: 121 }, (_, i) => set(`k${i}`, '')),
    ];
    for (const mutations of bad) await refused(t, directory.commit([], mutations), 'INVALID');
    for (const comparison of [
      { key: '', modified: 0n },
      { key: 'ä', modified: 0n },
      { key: 'a', modified: -1n },
      { key: 'a', modified: 2n ** 63n },
    ]) {
      await refused(t, directory.commit([comparison], [set('a', 'x')]), 'INVALID');
    }
    t.deepEqual(await listed(directory, ''), []);
    await directory.commit([], [set('marker', '')]);
    await until(() => heard.length > 0);
    t.deepEqual(heard, ['marker']);
  });

  promise('what cannot be a key is not there', async (t, { directory }) => {
    await directory.commit([], [set('a', '1')]);
    for (const key of ['', 'ä', 'a\0', '\ud800', 'a'.repeat(10_000)]) {
      t.is(await directory.get(key), null);
      if (key !== '') t.deepEqual(await listed(directory, key), []);
    }
  });

  promise('a key may look like anything printable', async (t, { directory }) => {
    const keys = ['"', '%00', '../x', '/', '//', '<a>', '\\', '{}', '~', 'k'.repeat(512)].sort();
    for (const key of keys) await directory.commit([], [set(key, key)]);
    t.deepEqual(
      (await directory.list('')).entries.map(({ key }) => key),
      keys,
    );
    for (const key of keys) {
      t.is(Buffer.from((await directory.get(key))!.value).toString(), key);
      t.true((await directory.list(key)).entries.some((entry) => entry.key === key));
    }
  });

  promise('values are bytes, none or a mebibyte', async (t, { directory }) => {
    const { revision } = await directory.list('');
    const heard: Uint8Array[] = [];
    directory.watch('', revision, ({ value }) => heard.push(value!));
    const big = Uint8Array.from({ length: limits.valueBytes }, (_, i) => (i * 7) ^ (i >> 8));
    const values = [new Uint8Array(0), Uint8Array.from({ length: 256 }, (_, i) => i), big];
    for (const value of values) {
      await directory.commit([], [{ key: 'a', value }]);
      t.true(Buffer.from(value).equals((await directory.get('a'))!.value));
      t.true(Buffer.from(value).equals((await directory.list('')).entries[0]!.value));
    }
    await until(() => heard.length === values.length);
    for (const [index, value] of values.entries()) {
      t.true(Buffer.from(value).equals(heard[index]!));
    }
  });

  promise('the largest transaction is taken', async (t, { directory }) => {
    const rest = limits.transactionBytes - limits.valueBytes;
    const steps = limits.transactionSteps;
    const key = (i: number): string => `${i}/`.padEnd(limits.keyLength, 'k');
    const small = Math.floor(rest / (steps - 1)) - limits.keyLength;
    const mutations = Array.from({ length: steps }, (_, i) => ({
      key: key(i),
      value: new Uint8Array(i === 0 ? limits.valueBytes - limits.keyLength : small).fill(i),
    }));
    const absent = mutations.map(({ key }) => ({ key, modified: 0n }));
    const revision = await directory.commit(absent, mutations);
    const { entries } = await directory.list('');
    t.is(entries.length, steps);
    t.true(entries.every(({ modified }) => modified === revision));
    await refused(t, directory.commit(absent, mutations), 'CONFLICT');
  });

  promise('a list has all keys, however many', async (t, { directory }) => {
    const wanted: string[] = [];
    for (let begin = 0; begin < 1080; begin += limits.transactionSteps) {
      const keys = Array.from({ length: limits.transactionSteps }, (_, i) => `k/${begin + i}`);
      await directory.commit(
        [],
        keys.map((key) => set(key, key)),
      );
      wanted.push(...keys.map((key) => `${key}=${key}`));
    }
    t.deepEqual(await listed(directory, ''), wanted.sort(byKey));
    const ones = wanted.filter((text) => text.startsWith('k/1'));
    t.deepEqual(await listed(directory, 'k/1'), ones);
  });

  promise('comparisons alone change nothing', async (t, { directory }) => {
    const modified = await directory.commit([], [set('a', '1')]);
    const heard: string[] = [];
    directory.watch('', modified, (event) => heard.push(event.key));
    t.true((await directory.commit([{ key: 'a', modified }], [])) >= modified);
    await refused(t, directory.commit([{ key: 'a', modified: 0n }], []), 'CONFLICT');
    await directory.commit([], [set('marker', '')]);
    await until(() => heard.length > 0);
    t.deepEqual(heard, ['marker']);
    t.is((await directory.get('a'))?.modified, modified);
  });

  promise('deleting what is not there is a transaction nobody hears', async (t, { directory }) => {
    const { revision } = await directory.list('');
    const heard: string[] = [];
    directory.watch('', revision, (event) => heard.push(event.key));
    t.true((await directory.commit([], [unset('nothing')])) >= revision);
    t.deepEqual(await contents(directory), new Map());
    await directory.commit([], [set('marker', '')]);
    await until(() => heard.length > 0);
    t.deepEqual(heard, ['marker']);
  });

  promise('commits that overlap all take effect', async (t, { directory }) => {
    const revisions = await Promise.all(
      Array.from({ length: 40 }, (_, i) => directory.commit([], [set(`k${i}`, `${i}`)])),
    );
    t.is(new Set(revisions).size, 40);
    const { entries } = await directory.list('k');
    for (const { key, modified } of entries) t.is(modified, revisions[Number(key.slice(1))]!);
    t.is(entries.length, 40);
  });

  promise('closed: what was asked for has happened, the rest is refused', async (t, subject) => {
    const directory: Directory = subject.directory;
    const { revision } = await directory.list('');
    const call = directory.commit([], [set('a', '1')]);
    await directory.close();
    await t.notThrowsAsync(call);
    await refused(t, directory.get('a'), 'BUSY');
    await refused(t, directory.list(''), 'BUSY');
    await refused(t, directory.commit([], [set('a', '2')]), 'BUSY');
    const error = t.throws(() => directory.watch('', revision, () => {}), {
      instanceOf: StorageError,
    });
    t.is(error?.code, 'BUSY');
  });
}

const byKey = (a: string, b: string): number =>
  a.slice(0, a.indexOf('=')) < b.slice(0, b.indexOf('=')) ? -1 : 1;
