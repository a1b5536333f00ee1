/**
 * What every Directory promises, as tests that each implementation runs: transactions that compare
 * and set, lists at one revision, watches without gaps, and refusal of bad input.
 */
import type { ExecutionContext, TestFn } from 'ava';
import { StorageError, type StorageErrorCode } from '#storage/base/errors.ts';
import type { Directory, DirectoryEvent, Mutation } from '#storage/cluster/directory.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const set = (key: string, text: string): Mutation => ({ key, value: encoder.encode(text) });
const unset = (key: string): Mutation => ({ key, value: null });

async function refused(
  t: ExecutionContext,
  call: Promise<unknown>,
  code: StorageErrorCode,
): Promise<void> {
  const error = await t.throwsAsync(call, { instanceOf: StorageError });
  t.is(error?.code, code, error?.message);
}

async function listed(directory: Directory, prefix: string): Promise<string[]> {
  const { entries } = await directory.list(prefix);
  return entries.map(({ key, value }) => `${key}=${decoder.decode(value)}`);
}

const shown = (event: DirectoryEvent): string => {
  const value = event.value === null ? 'gone' : decoder.decode(event.value);
  return `${event.revision} ${event.key}=${value}`;
};

/** Long enough for what is delivered asynchronously; a condition, not a time. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** `make` gives an empty Directory. */
export function directoryContract(test: TestFn, make: () => Promise<Directory>): void {
  const promise = (
    name: string,
    body: (t: ExecutionContext, directory: Directory) => Promise<void>,
  ): void => {
    test(`directory: ${name}`, async (t) => {
      const directory = await make();
      try {
        await body(t, directory);
      } finally {
        await directory.close();
      }
    });
  };

  promise('what was committed is read, with the revision that wrote it', async (t, directory) => {
    t.is(await directory.get('a'), null);
    const first = await directory.commit([], [set('a', '1'), set('b', '2')]);
    const second = await directory.commit([], [set('b', '3')]);
    t.is(second, first + 1n);
    t.is((await directory.get('a'))?.modified, first);
    t.is((await directory.get('b'))?.modified, second);
    t.deepEqual(await listed(directory, ''), ['a=1', 'b=3']);
  });

  promise('a comparison that does not hold changes nothing', async (t, directory) => {
    const first = await directory.commit([], [set('a', '1')]);
    await directory.commit([{ key: 'a', modified: first }], [set('a', '2')]);
    const stale = [{ key: 'a', modified: first }];
    await refused(t, directory.commit(stale, [set('a', '3'), set('b', '3')]), 'CONFLICT');
    t.deepEqual(await listed(directory, ''), ['a=2']);
  });

  promise('all comparisons must hold', async (t, directory) => {
    const first = await directory.commit([], [set('a', '1')]);
    const mixed = [
      { key: 'a', modified: first },
      { key: 'b', modified: first },
    ];
    await refused(t, directory.commit(mixed, [set('c', '1')]), 'CONFLICT');
    t.deepEqual(await listed(directory, ''), ['a=1']);
  });

  promise('a key can be made only if it is absent', async (t, directory) => {
    const absent = [{ key: 'a', modified: 0n }];
    await directory.commit(absent, [set('a', '1')]);
    await refused(t, directory.commit(absent, [set('a', '2')]), 'CONFLICT');
    await directory.commit([], [unset('a')]);
    await directory.commit(absent, [set('a', '3')]);
    t.deepEqual(await listed(directory, ''), ['a=3']);
  });

  promise('of many at once with one comparison exactly one wins', async (t, directory) => {
    const absent = [{ key: 'a', modified: 0n }];
    const calls = Array.from({ length: 20 }, (_, i) =>
      directory.commit(absent, [set('a', `${i}`)]),
    );
    const outcomes = await Promise.allSettled(calls);
    t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  promise('a list has a prefix, in key order, at one revision', async (t, directory) => {
    for (const key of ['b/2', 'a', 'b/10', 'b', 'c', 'b/!'])
      await directory.commit([], [set(key, key)]);
    const { revision, entries } = await directory.list('b/');
    t.deepEqual(
      entries.map(({ key }) => key),
      ['b/!', 'b/10', 'b/2'],
    );
    const next = await directory.commit([], [set('b/3', '')]);
    t.is(next, revision + 1n);
  });

  promise('what is handed over and handed out is a copy', async (t, directory) => {
    const value = Buffer.from('kept');
    const call = directory.commit([], [{ key: 'a', value }]);
    value.fill(0);
    await call;
    (await directory.get('a'))!.value.fill(0);
    (await directory.list(''))!.entries[0]!.value.fill(0);
    t.deepEqual(await listed(directory, ''), ['a=kept']);
  });

  promise('a watch hears every change once, in order', async (t, directory) => {
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

  promise('a watch from the past hears what it missed first', async (t, directory) => {
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

  promise('bad input is refused and changes nothing', async (t, directory) => {
    const before = (await directory.list('')).revision;
    const bad: readonly Mutation[][] = [
      [set('', 'x')],
      [set('a b', 'x')],
      [set('ä', 'x')],
      [set('a\0', 'x')],
      [set('k'.repeat(513), 'x')],
      [set('a', '1'), set('a', '2')],
      [{ key: 'a', value: new Uint8Array(1024 * 1024 + 1) }],
      Array.from({ length: 129 }, (_, i) => set(`k${i}`, '')),
    ];
    for (const mutations of bad) await refused(t, directory.commit([], mutations), 'INVALID');
    t.is((await directory.list('')).revision, before);
    t.deepEqual(await listed(directory, ''), []);
  });

  promise('deleting what is not there is a transaction without a change', async (t, directory) => {
    const revision = await directory.commit([], [unset('nothing')]);
    t.is((await directory.list('')).revision, revision);
    t.deepEqual(await listed(directory, ''), []);
  });
}
