/**
 * One call of one disk of several goes wrong in the course of a scripted day, whichever and however: nobody
 * notices. No call fails and no wrong byte is shown; afterwards either the disk is out, and all is whole when
 * another has taken its place, or what was damaged has been repaired: scrubbing finds nothing any more, and
 * another disk can be lost. Of all faults one in PETAL_ONE_IN is tried; 1: each.
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
async function wrongWith({ day, images }: Day, harmed: number): Promise<string | null> {
  if (day.wrong !== null) return day.wrong;
  if (day.refused > 0) return `${day.refused} calls failed`;
  const bed = new ArrayBed({ software, images, slowMs: 0 });
  await bed.open(dayStore);
  await day.look(bed.store!, 'afterwards', bed.clock);
  await replaced(bed);
  await scrubbed(bed);
  const { bad, repaired } = await scrubbed(bed);
  if (bad + repaired > 0) return `scrubbing again found ${bad} bad and ${repaired} to repair`;
  // What the harmed one, or its successor, has to give alone.
  const alive = bed.array!.members.alive().map(({ index }) => index);
  const other = alive.find((index) => index > harmed) ?? alive[0]!;
  const left = bed.images('drop').map((image, disk) => (disk === other ? undefined : image));
  const without = new ArrayBed({ software, images: left, slowMs: 0 });
  await without.open(dayStore);
  await day.look(without.store!, `without disk ${other}`, without.clock);
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

const oneIn = Number(process.env.PETAL_ONE_IN ?? 127);

for (const [layout, disks] of [
  ['mirrored', 2],
  ['parity', 3],
] as const) {
  const start = formatted(layout, disks);
  for (let harmed = 0; harmed < disks; harmed += 1) {
    test(`${layout}, disk ${harmed} of ${disks}`, async (t) => {
      const healthy = await live(await start, harmed, 'read error', 0);
      t.is(await wrongWith(healthy, harmed), null, 'without a fault');
      const faults = faultKinds.flatMap((kind) =>
        callsFor(healthy.faulty, kind).map((at) => ({ kind, at })),
      );
      const tried = faults.filter((_, index) => index % oneIn === (harmed * 17) % oneIn);
      for (const { kind, at } of tried) {
        const day = await live(await start, harmed, kind, at);
        t.true(day.faulty.struck, `${kind}, call ${at}`);
        t.is(await wrongWith(day, harmed), null, `${kind}, call ${at}`);
      }
      t.log(`${tried.length} of ${faults.length} faults of ${healthy.faulty.calls.length} calls`);
      t.true(tried.length > 3);
    });
  }
}
