/**
 * What every Directory promises when it gets hard: races, several clients, history that is forgotten,
 * answers that are lost.
 */
import type { ExecutionContext } from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import type { Directory } from '#storage/cluster/directory.ts';
import {
  contents,
  type Declare,
  inOrder,
  type Make,
  Mirror,
  promising,
  type Subject,
  set,
  unset,
  until,
} from './directory-subject.ts';
import { sleep } from './process.ts';
import { SeededRandom } from './random.ts';

const codeOf = (error: unknown): string => {
  if (error instanceof StorageError) return error.code;
  throw error;
};

/** Ask until there is an answer. */
export async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (codeOf(error) !== 'BUSY') throw error;
      await sleep(5);
    }
  }
}

/**
 * Makes one key, counting the makers with a comparison, until it is known to be there; how often a
 * commit was told to have made it must then be once.
 */
export async function makeOnce(directory: Directory, key: string): Promise<'told' | 'found'> {
  for (;;) {
    const count = await answered(() => directory.get('count'));
    const next = count === null ? 1 : Number(Buffer.from(count.value).toString()) + 1;
    try {
      await directory.commit(
        [
          { key: 'count', modified: count?.modified ?? 0n },
          { key, modified: 0n },
        ],
        [set('count', `${next}`), set(key, `${next}`)],
      );
      return 'told';
    } catch (error) {
      const code = codeOf(error);
      if (code === 'BUSY') {
        await sleep(5);
        continue;
      }
      if (code === 'CONFLICT') {
        const late = (await answered(() => directory.get(key))) !== null;
        if (late) throw new Error(`${key} was read back as absent, and came later`);
        continue;
      }
      if (code !== 'UNKNOWN_OUTCOME') throw error;
      // Read back by a key that the transaction wrote.
      if ((await answered(() => directory.get(key))) !== null) return 'found';
    }
  }
}

/** Each key of `keys` was made exactly once, and every count is one of them. */
export async function madeOnce(
  t: ExecutionContext,
  directory: Directory,
  keys: readonly string[],
): Promise<void> {
  const made = await answered(() => contents(directory));
  t.is(made.get('count'), `${keys.length}`);
  const counts = keys.map((key) => Number(made.get(key))).sort((a, b) => a - b);
  t.deepEqual(
    counts,
    keys.map((_, index) => index + 1),
  );
}

/** `make` gives an empty Directory. */
export function directoryFaultsContract(test: Declare, make: Make): void {
  const promise = promising(test, make);

  promise('of increments in a race none is lost', async (t, { directory, other }) => {
    const keys = Array.from({ length: 24 }, (_, i) => `k/${i}`);
    const by = (index: number): Directory => (index % 2 === 0 ? directory : (other ?? directory));
    await Promise.all(
      [0, 1, 2, 3].map(async (worker) => {
        for (let i = worker; i < keys.length; i += 4) await makeOnce(by(worker), keys[i]!);
      }),
    );
    await madeOnce(t, directory, keys);
  });

  promise('answers that are lost are settled: each commit once', async (t, subject) => {
    const { directory, other } = subject;
    const calm = subject.disturb();
    const keys = Array.from({ length: 24 }, (_, i) => `k/${i}`);
    try {
      await Promise.all([
        (async () => {
          for (const key of keys.slice(0, 12)) await makeOnce(directory, key);
        })(),
        (async () => {
          for (const key of keys.slice(12)) await makeOnce(other ?? directory, key);
        })(),
      ]);
    } finally {
      calm();
    }
    await madeOnce(t, directory, keys);
    if (other !== null) await madeOnce(t, other, keys);
  });

  promise('a watch has no gap, whatever becomes of connections', async (t, subject) => {
    const { directory } = subject;
    const mirror = await Mirror.of(directory);
    const keys = Array.from({ length: 60 }, (_, i) => `k/${i}`);
    const calm = subject.disturb();
    try {
      for (const key of keys) await makeOnce(subject.other ?? directory, key);
    } finally {
      calm();
    }
    await until(() => mirror.heard.length >= 2 * keys.length);
    t.deepEqual(
      mirror.heard.filter(({ key }) => key !== 'count').map(({ key }) => key),
      keys,
    );
    t.true(inOrder(mirror.heard));
  });

  promise('what one client committed another one reads and hears', async (t, subject) => {
    const { directory } = subject;
    const other = subject.other ?? directory;
    const mirror = await Mirror.of(other);
    for (let i = 0; i < 20; i++) {
      const revision = await directory.commit([], [set(`k${i % 5}`, `${i}`)]);
      t.is((await other.get(`k${i % 5}`))?.modified, revision);
    }
    await until(() => mirror.heard.length === 20);
    t.true(mirror.equals(await contents(directory)));
    t.true(inOrder(mirror.heard));
  });

  promise('who lists and then watches is right, whatever is forgotten', async (t, subject) => {
    const random = new SeededRandom();
    t.log(`seed ${random.seed}`);
    const { directory } = subject;
    const writer = subject.other ?? directory;
    const mirrors = [await Mirror.of(directory), await Mirror.of(writer)];
    const round = async (calm: () => void): Promise<void> => {
      for (let i = 0; i < 15; i++) await change(random, writer);
      if (random.chance(0.5)) mirrors.push(await answered(() => Mirror.of(directory)));
      await subject.forget();
      for (let i = 0; i < 5; i++) await change(random, writer);
      calm();
    };
    await round(() => {});
    await round(subject.disturb());
    // What the writer left open is settled, so that nothing comes after what is listed now.
    await answered(() => writer.get('last'));
    await directory.commit([], [set('last', '')]);
    const wanted = await contents(directory);
    for (const mirror of mirrors) {
      await until(() => mirror.equals(wanted));
      t.true(inOrder(mirror.heard));
      mirror.stop();
    }
  });

  promise('what was forgotten is said when a watch begins there', async (t, subject) => {
    const { directory } = subject;
    const start = await directory.commit([], [set('a', '1')]);
    const wanted = await directory.commit([], [set('a', '2'), set('b', '1')]);
    await subject.forget();
    const heard: bigint[] = [];
    try {
      directory.watch('', start, ({ revision }) => heard.push(revision));
    } catch (error) {
      t.is(codeOf(error), 'NOT_FOUND');
      return;
    }
    // It was remembered here: then it is told as it was.
    await until(() => heard.length >= 2);
    t.deepEqual(heard.slice(0, 2), [wanted, wanted]);
  });
}

async function change(random: SeededRandom, writer: Subject['directory']): Promise<void> {
  const key = `k/${random.below(8)}`;
  const mutation = random.chance(0.4) ? unset(key) : set(key, `${random.word()}`);
  try {
    await writer.commit([], [mutation]);
  } catch (error) {
    if (!['BUSY', 'UNKNOWN_OUTCOME'].includes(codeOf(error))) throw error;
  }
}
