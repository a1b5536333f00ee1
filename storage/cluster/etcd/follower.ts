/**
 * Follows all changes below our prefix by one stream of etcd's watch, for all watchers of this
 * Directory: every revision whole, once, in order, whatever happens to the stream.
 *
 *   check: a majority answers, by which endpoint ─▶ stream from the revision after the last ─▶ events
 *      ▲                                                 │ ended, silent for too long, malformed
 *      └───────────────── pause ◀────────────────────────┤
 *                    list, and tell what differs ◀───────┘ compacted
 *
 * Silence ends a stream since a member that is frozen or cut off says nothing, and neither does a
 * connection that is half open.
 */
import type { Clock } from '../../base/clock.ts';
import { StorageError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { byRevision, foresee, learn, missedEvents } from '../catch-up.ts';
import type { DirectoryEvent, Revision } from '../directory.ts';
import { limits } from '../limits.ts';
import type { Watchers } from '../watchers.ts';
import { decodeWatch, Malformed, type WatchAnswer, watchRequest } from './codec.ts';
import type { Endpoints } from './endpoints.ts';
import type { Reader } from './reader.ts';
import type { Keys } from './record.ts';

export interface FollowerParts {
  readonly endpoints: Endpoints;
  readonly reader: Reader;
  readonly keys: Keys;
  readonly watchers: Watchers;
  readonly clock: Clock;
  readonly log: Log;
  /** The keys of the Directory at `revision`. */
  readonly known: Set<string>;
  readonly revision: Revision;
}

export class Follower {
  readonly #parts: FollowerParts;
  readonly #known: Set<string>;
  /** All up to this one are told. */
  #revision: Revision;
  /** The revision that is arriving, and as much of it as has come. */
  #arriving = 0n;
  #partial: DirectoryEvent[] = [];
  #stopped = false;
  #stopStream: () => void = () => {};

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#known = parts.known;
    this.#revision = parts.revision;
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    const { endpoints, reader, log } = this.#parts;
    let pauseMs: number = limits.etcdWatchRetryMs;
    while (!this.#stopped) {
      const before = this.#revision;
      try {
        const endpoint = await reader.livingEndpoint();
        if (this.#stopped) return;
        const end = await this.#follow(endpoint);
        if (end.is === 'compacted') await this.#catchUp();
        else if (end.is === 'ended') log.warn({ why: end.why }, 'the watch of etcd ended');
        if (end.is !== 'ended' || this.#revision > before) pauseMs = limits.etcdWatchRetryMs;
      } catch (error) {
        // What fails this Directory for good has been told and stops this loop.
        if (!(error instanceof StorageError)) throw error;
        if (!this.#stopped) log.warn({ err: error }, 'etcd cannot be watched now');
      }
      if (this.#stopped) return;
      await endpoints.pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, limits.etcdWatchRetryMsMax);
    }
  }

  /** A caller was told of keys that the stream may not have come to. */
  told(keys: Iterable<{ readonly key: string; readonly modified: Revision }>): void {
    foresee(this.#known, this.#revision, keys);
  }

  stop(): void {
    this.#stopped = true;
    this.#stopStream();
  }

  #follow(endpoint: URL): Promise<StreamEnd> {
    const { endpoints, keys, clock } = this.#parts;
    this.#arriving = 0n;
    this.#partial = [];
    return new Promise((resolve) => {
      const finish = (end: StreamEnd): void => {
        cancel();
        stop();
        resolve(end);
      };
      const silence = (): (() => void) =>
        clock.after(limits.etcdSilentMs, () => finish({ is: 'silent' }));
      const body = watchRequest(keys.all, this.#revision + 1n);
      const stop = endpoints.stream(endpoint, body, {
        line: (text) => {
          cancel();
          cancel = silence();
          const end = this.#heard(text);
          if (end !== null) finish(end);
        },
        ended: (why) => finish({ is: 'ended', why: `${endpoint.host}: ${why}` }),
      });
      let cancel = silence();
      this.#stopStream = () => finish({ is: 'stopped' });
    });
  }

  /** Null: go on. */
  #heard(line: string): StreamEnd | null {
    try {
      const answer = decodeWatch(line);
      if (answer.canceled || answer.compacted > 0n) {
        return answer.compacted > 0n ? { is: 'compacted' } : { is: 'ended', why: 'cancelled' };
      }
      this.#take(answer);
      return null;
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return { is: 'ended', why: error.message };
    }
  }

  #take({ events, fragment }: WatchAnswer): void {
    const { record, data } = this.#parts.keys;
    for (const { kv, deleted } of events) {
      if (kv.modified <= this.#revision || kv.modified < this.#arriving) {
        throw new Malformed('an event of an earlier revision');
      }
      // A revision is whole when one after it begins, or when nothing more is announced.
      if (kv.modified > this.#arriving) this.#tell();
      this.#arriving = kv.modified;
      if (kv.key === record) throw new Malformed('the record of the cluster was written');
      if (!kv.key.startsWith(data)) continue;
      const key = kv.key.slice(data.length);
      this.#partial.push({ key, value: deleted ? null : kv.value, revision: kv.modified });
    }
    if (!fragment) this.#tell();
  }

  #tell(): void {
    if (this.#arriving <= this.#revision) return;
    this.#revision = this.#arriving;
    const events = this.#partial.splice(0);
    if (events.length === 0) return;
    learn(this.#known, events);
    this.#parts.watchers.committed(this.#revision, events);
  }

  async #catchUp(): Promise<void> {
    const { reader, watchers, log } = this.#parts;
    const now = await reader.list('');
    if (this.#stopped) return;
    const events = missedEvents(this.#known, this.#revision, now);
    log.warn({ keys: events.length }, 'etcd has forgotten changes; they were told by what differs');
    for (const group of byRevision(events)) watchers.committed(group[0]!.revision, group);
    learn(this.#known, events);
    this.#revision = now.revision;
  }
}

type StreamEnd =
  | { readonly is: 'compacted' | 'silent' | 'stopped' }
  | { readonly is: 'ended'; readonly why: string };
