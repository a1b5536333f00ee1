/**
 * One call of one disk of several goes wrong in the course of a scripted day, whichever and however: nobody
 * notices. No call fails and no wrong byte is shown; afterwards either the disk is out, and all is whole when
 * another has taken its place, or what was damaged has been repaired: scrubbing finds nothing any more, and
 * each of the disks can be lost. PETAL_EVERY_CALL=1 looks at every call instead of one in some.
 */
import test from 'ava';
import type { Layout } from '#storage/disk/array/geometry.ts';
import { ArrayBed, openStore } from '#test/sim/array-bed.ts';
import { SimClock } from '#test/sim/clock.ts';
import { type Image, SimDisk } from '#test/sim/disk.ts';
import { callsFor, type FaultKind, FaultyDisk, faultKinds } from '#test/sim/faulty-disk.ts';
import { SimRandom } from '#test/sim/random.ts';
import { dayStore, ScriptedDay } from '#test/sim/scripted-day.ts';
import { software } from './kit.ts';

const silent = (): void => {};
const log = { info: silent, warn: silent, error: silent };

interface Day {
  readonly day: ScriptedDay;
  readonly faulty: FaultyDisk;
  /** What is left when the power goes. */
  readonly images: readonly Image[];
}

async function live(
  start: readonly Image[],
  harmed: number,
  kind: FaultKind,
  at: number,
): Promise<Day> {
  const clock = new SimClock();
  const random = new SimRandom(5);
  const disks = start.map((image) => {
    return new SimDisk({ clock, random, size: image.length * 4096, image });
  });
  const faulty = new FaultyDisk(disks[harmed]!, kind, at);
  const used = disks.map((disk, index) => (index === harmed ? faulty : disk));
  const ports = { clock, random, log };
  const day = new ScriptedDay(clock, () => openStore(software, used, ports, dayStore));
  await day.run();
  return { day, faulty, images: disks.map((disk) => disk.crash('drop')) };
}

/** What is wrong with that day and what it left, or null. */
async function wrongWith({ day, images }: Day): Promise<string | null> {
  if (day.wrong !== null) return day.wrong;
  if (day.refused > 0) return `${day.refused} calls failed`;
  const bed = new ArrayBed({ software, images, slowMs: 0 });
  await bed.open(dayStore);
  await day.look(bed.store!, 'afterwards', bed.clock);
  await replaced(bed);
  await scrubbed(bed);
  const { bad, repaired } = await scrubbed(bed);
  if (bad + repaired > 0) return `scrubbing again found ${bad} bad and ${repaired} to repair`;
  const kept = bed.images('drop');
  for (const { index } of bed.array!.members.alive()) {
    const left = kept.map((image, disk) => (disk === index ? undefined : image));
    const without = new ArrayBed({ software, images: left, slowMs: 0 });
    await without.open(dayStore);
    await day.look(without.store!, `without disk ${index}`, without.clock);
  }
  return day.wrong ?? (day.refused > 0 ? `${day.refused} reads failed afterwards` : null);
}

/** A disk that is out is replaced by another, which gets all that it should have. */
async function replaced(bed: ArrayBed): Promise<void> {
  if (bed.array!.members.alive().length === bed.disks.length) return;
  bed.mover!.share = 1;
  await bed.until(bed.addDisk(null));
  await bed.until(bed.settled());
}

async function scrubbed(bed: ArrayBed): Promise<{ bad: number; repaired: number }> {
  const { scrubber } = bed.store!;
  scrubber.start();
  const ended = async (): Promise<void> => {
    while (scrubber.state.begun !== null) {
      await new Promise<void>((resolve) => bed.clock.after(50, resolve));
    }
  };
  await bed.until(ended());
  return scrubber.state;
}

async function formatted(layout: Layout, disks: number): Promise<Image[]> {
  const bed = new ArrayBed({ software, disks, slowMs: 0 });
  await bed.format(layout);
  return bed.images('keep');
}

const every = process.env.PETAL_EVERY_CALL === '1' ? 1 : 41;

for (const [layout, disks] of [
  ['mirrored', 2],
  ['parity', 3],
] as const) {
  const start = formatted(layout, disks);
  for (let harmed = 0; harmed < disks; harmed += 1) {
    test(`${layout}, disk ${harmed} of ${disks}`, async (t) => {
      const healthy = await live(await start, harmed, 'read error', 0);
      t.is(await wrongWith(healthy), null, 'without a fault');
      const counts: Record<string, number> = {};
      for (const [number, kind] of faultKinds.entries()) {
        // Each kind begins with another call, so that together they meet more of them.
        const calls = callsFor(healthy.faulty, kind).filter(
          (_, index) => (index + number * 5) % every === 0,
        );
        for (const at of calls) {
          const day = await live(await start, harmed, kind, at);
          t.true(day.faulty.struck);
          t.is(await wrongWith(day), null, `${kind}, call ${at}`);
        }
        counts[kind] = calls.length;
      }
      t.log(`of ${healthy.faulty.calls.length} calls went wrong: ${JSON.stringify(counts)}`);
    });
  }
}
