/**
 * Who watches a Directory: every event once, in order, without gaps, after the call that caused it
 * has returned to its caller's caller at the earliest (so nobody hears in the middle of a call).
 * Some transactions of the past are kept for those that begin to watch at an earlier revision.
 */
import { StorageError } from '../base/errors.ts';
import type { DirectoryEvent, Revision } from './directory.ts';
import { limits } from './limits.ts';

interface Watcher {
  readonly prefix: string;
  readonly after: Revision;
  readonly heard: (event: DirectoryEvent) => void;
  readonly waiting: DirectoryEvent[];
  scheduled: boolean;
  stopped: boolean;
}

export class Watchers {
  readonly #watchers = new Set<Watcher>();
  readonly #history: { revision: Revision; events: readonly DirectoryEvent[] }[] = [];
  #historyBytes = 0;
  /** Events after this revision are all in `#history`. */
  #forgotten: Revision;

  constructor(revision: Revision) {
    this.#forgotten = revision;
  }

  /**
   * NOT_FOUND: `after` is too long ago; list again and watch from there. It may be later than what
   * was heard of last.
   */
  watch(prefix: string, after: Revision, heard: (event: DirectoryEvent) => void): () => void {
    if (after < this.#forgotten) {
      throw new StorageError(
        'NOT_FOUND',
        `changes before revision ${this.#forgotten} are forgotten; list again and watch from there`,
      );
    }
    const watcher: Watcher = {
      prefix,
      after,
      heard,
      waiting: [],
      scheduled: false,
      stopped: false,
    };
    this.#watchers.add(watcher);
    for (const { events } of this.#history) tell(watcher, events);
    return () => {
      watcher.stopped = true;
      this.#watchers.delete(watcher);
    };
  }

  committed(revision: Revision, events: readonly DirectoryEvent[]): void {
    this.#history.push({ revision, events });
    this.#historyBytes += bytesOf(events);
    while (
      this.#history.length > limits.historyTransactions ||
      this.#historyBytes > limits.historyBytes
    ) {
      const oldest = this.#history.shift()!;
      this.#forgotten = oldest.revision;
      this.#historyBytes -= bytesOf(oldest.events);
    }
    for (const watcher of this.#watchers) tell(watcher, events);
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.stopped = true;
    this.#watchers.clear();
  }
}

const bytesOf = (events: readonly DirectoryEvent[]): number =>
  events.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);

function tell(watcher: Watcher, events: readonly DirectoryEvent[]): void {
  for (const event of events) {
    if (event.revision <= watcher.after || !event.key.startsWith(watcher.prefix)) continue;
    watcher.waiting.push(event);
  }
  if (watcher.scheduled || watcher.waiting.length === 0) return;
  watcher.scheduled = true;
  queueMicrotask(() => {
    watcher.scheduled = false;
    const events = watcher.waiting.splice(0);
    for (const event of events) {
      if (watcher.stopped) return;
      watcher.heard({ ...event, value: event.value === null ? null : new Uint8Array(event.value) });
    }
  });
}
