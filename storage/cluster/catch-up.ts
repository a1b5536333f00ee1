/** What a watcher hears in place of changes that are forgotten. */
import type { DirectoryEvent, Revision, Snapshot } from './directory.ts';

/**
 * From the keys that were there at revision `after` and what is there `now`: each key that changed with its
 * newest value, and a deletion, at the revision of `now`, of each that went. In order of revisions.
 */
export function missedEvents(
  known: ReadonlySet<string>,
  after: Revision,
  now: Snapshot,
): DirectoryEvent[] {
  const gone = new Set(known);
  const events: DirectoryEvent[] = [];
  for (const { key, value, modified } of now.entries) {
    gone.delete(key);
    if (modified > after) events.push({ key, value, revision: modified });
  }
  for (const key of gone) events.push({ key, value: null, revision: now.revision });
  return events.sort((a, b) => (a.revision < b.revision ? -1 : a.revision > b.revision ? 1 : 0));
}

/** Keep `known` as it is after `events`. */
export function learn(known: Set<string>, events: readonly DirectoryEvent[]): void {
  for (const { key, value } of events) {
    if (value === null) known.delete(key);
    else known.add(key);
  }
}

/**
 * A caller saw keys by other ways than the events up to `position`, and may watch from there: should they
 * go, it is to hear of it.
 */
export function foresee(
  known: Set<string>,
  position: Revision,
  seen: Iterable<{ readonly key: string; readonly modified: Revision }>,
): void {
  for (const { key, modified } of seen) if (modified > position) known.add(key);
}

/** Events of one revision together, as a transaction wrote them. */
export function byRevision(events: readonly DirectoryEvent[]): DirectoryEvent[][] {
  const groups: DirectoryEvent[][] = [];
  for (const event of events) {
    const last = groups.at(-1);
    if (last?.[0]?.revision === event.revision) last.push(event);
    else groups.push([event]);
  }
  return groups;
}
