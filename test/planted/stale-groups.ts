/**
 * Groups of an earlier life of the log stand where the next life writes: the store crashes with a
 * group lost and its successors kept, is opened, crashes again, and must not take the leftovers for
 * its own.
 */
import { SimClock } from '../sim/clock.ts';
import { SimDisk, type TraceEvent } from '../sim/disk.ts';
import { SimRandom } from '../sim/random.ts';
import { stamped, stampOf } from '../sim/store-history.ts';
import { type Software, smallStore } from '../sim/store-load.ts';

const size = 16 * 1024 * 1024;

/** What changed by itself, or null. */
export async function staleGroups(software: Software): Promise<string | null> {
  for (let filler = 0; filler < 12; filler += 1) {
    const wrong = await once(software, filler);
    if (wrong !== null) return wrong;
  }
  return null;
}

async function once(software: Software, filler: number): Promise<string | null> {
  const random = new SimRandom(filler + 1);
  let clock = new SimClock();
  let disk = new SimDisk({ clock, random, size });
  const open = () => clock.until(software.openBlocks({ disk, clock, random }, smallStore));
  await clock.until(software.formatBlocks(disk, { storeId: random.bytes(16), random }));
  let store = await open();
  await clock.until(store.create(1, 0));
  const put = (block: number, count: number, stamp: number): Promise<Error | null> => {
    const data = new Uint8Array(count * 4096);
    for (let index = 0; index < count; index += 1) {
      data.set(stamped(1, block + index, stamp), index * 4096);
    }
    return new Promise((complete) => store.write(1, block, data, { complete }));
  };
  // Fill the segment to its end, so that what comes next begins one: the next life will begin there
  // too.
  let stamp = 0;
  let end = 0;
  const trace: TraceEvent[] = [];
  while (end % 256 !== 255 && (end === 0 || end % 256 !== 0)) {
    stamp += 1;
    disk.trace = trace;
    await clock.until(put(stamp % 8, 1, stamp));
    const last = trace.findLast((event) => event.kind === 'write')!;
    end = last.block + last.data.length;
  }
  // Four groups under way at once: of these the first is lost, those behind it reached the disk.
  disk.trace = [];
  const image = disk.crash('drop');
  const first = put(0, 1 + filler, 1000);
  clock.step();
  const others = [1, 2, 3].map((each) => put(0, 40, 1000 + each));
  await clock.until(Promise.all([first, ...others]));
  const writes = disk.trace.filter((event) => event.kind === 'write');
  if (writes.length !== 4 || writes[0]!.block % 256 !== 0) throw new Error('not four groups');
  for (const write of writes.slice(1)) {
    write.data.forEach((data, index) => {
      image[write.block + index] = data;
    });
  }
  const states: number[][] = [];
  for (let life = 0; life < 4; life += 1) {
    clock = new SimClock();
    disk = new SimDisk({ clock, random, size, image: life === 0 ? image : disk.crash('drop') });
    store = await open();
    const state: number[] = [];
    const into = new Uint8Array(4096);
    for (let block = 0; block < 8; block += 1) {
      const read = new Promise((complete) => store.read(1, block, 1, into, 0, { complete }));
      state.push((await clock.until(read)) === null ? stampOf(1, block, into) : -1);
    }
    states.push(state);
  }
  const changed = states.find((state) => state.join() !== states[0]!.join());
  return changed === undefined ? null : `${states[0]} turned into ${changed} by itself`;
}
