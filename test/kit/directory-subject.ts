/** What the contract of Directories is tried on, and the words in which it is written. */
import type { ExecutionContext } from 'ava';
import { StorageError, type StorageErrorCode } from '#storage/base/errors.ts';
import type { Directory, DirectoryEvent, Mutation } from '#storage/cluster/directory.ts';
import { sleep } from './process.ts';

export interface Subject {
  readonly directory: Directory;
  /** Another client of the same state; null where there is only one. */
  readonly other: Directory | null;
  /** What is past is forgotten. */
  forget(): Promise<void>;
  /** Make clients lose answers and connections until told to stop. */
  disturb(): () => void;
}

export type Make = () => Promise<Subject>;
export type Declare = (title: string, body: (t: ExecutionContext) => Promise<void>) => void;

type Body = (t: ExecutionContext, subject: Subject) => Promise<void>;

/** Declares a promise: a test on a subject of its own. */
export const promising =
  (test: Declare, make: Make) =>
  (name: string, body: Body): void => {
    test(`directory: ${name}`, async (t) => {
      const subject = await make();
      try {
        await body(t, subject);
      } finally {
        await subject.other?.close();
        await subject.directory.close();
      }
    });
  };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const set = (key: string, text: string): Mutation => ({ key, value: encoder.encode(text) });
export const unset = (key: string): Mutation => ({ key, value: null });

export async function refused(
  t: ExecutionContext,
  call: Promise<unknown>,
  code: StorageErrorCode,
): Promise<void> {
  const error = await t.throwsAsync(call, { instanceOf: StorageError });
  t.is(error?.code, code, error?.message);
}

export async function listed(directory: Directory, prefix: string): Promise<string[]> {
  const { entries } = await directory.list(prefix);
  return entries.map(({ key, value }) => `${key}=${decoder.decode(value)}`);
}

/** What `list` says, as a map that a watcher can keep too. */
export async function contents(directory: Directory): Promise<Map<string, string>> {
  const { entries } = await directory.list('');
  return new Map(entries.map(({ key, value }) => [key, decoder.decode(value)]));
}

export const shown = (event: DirectoryEvent): string => {
  const value = event.value === null ? 'gone' : decoder.decode(event.value);
  return `${event.revision} ${event.key}=${value}`;
};

/** Long enough for what is delivered asynchronously; a condition, not a time. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(2);
}

/** A watcher as every user of the port is to write one: list, then apply what is heard. */
export class Mirror {
  readonly content = new Map<string, string>();
  /** Every event, for gaps and order. */
  readonly heard: DirectoryEvent[] = [];
  stop: () => void = () => {};

  /** Again from a new list where the old one is forgotten. */
  static async of(directory: Directory): Promise<Mirror> {
    for (;;) {
      const mirror = new Mirror();
      const { revision, entries } = await directory.list('');
      for (const { key, value } of entries) mirror.content.set(key, decoder.decode(value));
      try {
        mirror.stop = directory.watch('', revision, (event) => mirror.#apply(event));
        return mirror;
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== 'NOT_FOUND') throw error;
      }
    }
  }

  equals(content: ReadonlyMap<string, string>): boolean {
    if (content.size !== this.content.size) return false;
    return [...content].every(([key, value]) => this.content.get(key) === value);
  }

  #apply(event: DirectoryEvent): void {
    this.heard.push(event);
    if (event.value === null) this.content.delete(event.key);
    else this.content.set(event.key, decoder.decode(event.value));
  }
}

/** Revisions never fall. */
export const inOrder = (events: readonly DirectoryEvent[]): boolean =>
  events.every((event, index) => index === 0 || events[index - 1]!.revision <= event.revision);
