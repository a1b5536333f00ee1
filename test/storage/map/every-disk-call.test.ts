/**
 * One disk call of a scripted day goes wrong, whichever and however: no wrong byte is ever shown, a store
 * that cannot write fails closed, and what was acknowledged is there afterwards or says that it is damaged.
 */
import test from 'ava';
import { StorageError } from '../../../storage/base/errors.ts';
import { formatBlocks, openBlocks, type Store } from '../../../storage/map/open.ts';
import { SimClock } from '../../sim/clock.ts';
import { SimDisk } from '../../sim/disk.ts';
import {
  callsFor,
  type FaultKind,
  FaultyDisk,
  faultKinds,
  isSilent,
} from '../../sim/faulty-disk.ts';
import { SimRandom } from '../../sim/random.ts';
import { dayStore, ScriptedDay } from '../../sim/scripted-day.ts';

const size = 16 * 1024 * 1024;

async function live(kind: FaultKind, at: number): Promise<{ faulty: FaultyDisk; wrong: unknown }> {
  const clock = new SimClock();
  const random = new SimRandom(5);
  const disk = new SimDisk({ clock, random, size });
  const faulty = new FaultyDisk(disk, kind, at);
  await clock.until(formatBlocks(disk, { storeId: random.bytes(16), random }));
  const day = new ScriptedDay(clock, () => openBlocks({ disk: faulty, clock, random }, dayStore));
  await day.run();
  const excused = faulty.struck && isSilent(kind);
  return { faulty, wrong: day.wrong ?? (await afterwards(day, disk, excused)) };
}

/** After a crash, on the same disk without the fault. `excused`: it may be damaged beyond opening. */
async function afterwards(day: ScriptedDay, before: SimDisk, excused: boolean) {
  const clock = new SimClock();
  const random = new SimRandom(6);
  const disk = new SimDisk({ clock, random, size, image: before.crash('drop') });
  let store: Store;
  try {
    store = await clock.until(openBlocks({ disk, clock, random }, dayStore));
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return excused ? null : 'it does not open any more';
  }
  const there = new Set(store.refs());
  const gone = [...day.spaces.keys()].find((ref) => !day.doubtful.has(ref) && !there.has(ref));
  if (gone !== undefined) return `space ${gone} is gone`;
  await day.look(store, 'afterwards', clock);
  return day.wrong;
}

const healthy = live('read error', 0);

for (const kind of faultKinds) {
  test(kind, async (t) => {
    const calls = callsFor((await healthy).faulty, kind);
    for (const at of calls) {
      const { faulty, wrong } = await live(kind, at);
      t.is(wrong, null, `call ${at}`);
      t.true(faulty.struck, `call ${at}`);
    }
    t.log(`${calls.length} calls went wrong`);
    t.true(calls.length > (kind === 'sync error' ? 0 : 20));
  });
}
