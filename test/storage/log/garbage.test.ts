/** The garbage file knows the holes of a segment since it was filled last, whatever was written when. */
import test from 'ava';
import { Garbage, isHole } from '../../../storage/log/garbage.ts';
import { SeededRandom } from '../../kit/random.ts';

const blocksPerSegment = 256;

/** A file whose checkpoints are kept here. */
class Disk {
  readonly sheets = new Map<number, Uint32Array>();
  garbage = new Garbage();
  broken = -1;
  readonly read = async (number: number): Promise<Uint32Array | null> =>
    number === this.broken ? null : (this.sheets.get(number) ?? null);

  checkpoint(): void {
    const { first, sheets } = this.garbage.take();
    for (const { number, words } of sheets) this.sheets.set(number, words);
    for (const number of this.sheets.keys()) if (number < first) this.sheets.delete(number);
  }

  reopen(): void {
    const numbers = [...this.sheets.keys()].sort((a, b) => a - b);
    this.garbage = new Garbage();
    const last = numbers.at(-1);
    if (last !== undefined) this.garbage.open(numbers[0]!, last + 1, this.sheets.get(last)!);
  }

  holes(segment: number): number[] {
    const holes = this.garbage.holes(segment);
    if (holes === undefined) return [-1];
    return Array.from({ length: blocksPerSegment }, (_, slot) => slot).filter((slot) => {
      return isHole(holes, slot);
    });
  }
}

test('against a plain model, with checkpoints, restarts and the file gone through', async (t) => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const random = new SeededRandom(seed);
    const disk = new Disk();
    const model = new Map<number, Set<number>>();
    const of = (segment: number): Set<number> => {
      const holes = model.get(segment) ?? new Set();
      model.set(segment, holes);
      return holes;
    };
    const cleaned = new Set<number>();
    for (let step = 0; step < 6000; step += 1) {
      const segment = 1 + random.below(12);
      const kind = random.below(1000);
      if (kind < 960) {
        const slot = 1 + random.below(255);
        disk.garbage.hole(segment * blocksPerSegment + slot);
        of(segment).add(slot);
        cleaned.delete(segment);
      } else if (kind < 980) {
        disk.garbage.reused(segment);
        model.delete(segment);
        cleaned.delete(segment);
      } else if (kind < 990) disk.checkpoint();
      else if (kind < 993) {
        // A restart comes from a checkpoint: here with nothing behind it.
        disk.checkpoint();
        disk.reopen();
      } else if (kind < 996) {
        cleaned.add(segment);
        await disk.garbage.compact(disk.read, (each) => cleaned.has(each));
        for (const each of cleaned) model.delete(each);
        disk.checkpoint();
      } else {
        const wanted = [1, 5, 9, segment];
        await disk.garbage.prepare(wanted, disk.read);
        const slot = 1 + random.below(255);
        disk.garbage.hole(segment * blocksPerSegment + slot);
        of(segment).add(slot);
        cleaned.delete(segment);
        for (const each of wanted) {
          if (cleaned.has(each)) continue;
          t.deepEqual(
            disk.holes(each),
            [...(model.get(each) ?? [])].sort((a, b) => a - b),
          );
        }
      }
    }
    t.is(disk.sheets.size, Math.max(...disk.sheets.keys()) - Math.min(...disk.sheets.keys()) + 1);
  }
});

test('with a sheet that cannot be read nothing is known of any segment', async (t) => {
  const disk = new Disk();
  for (let slot = 1; slot < 256; slot += 1) {
    for (const segment of [1, 2, 3, 4, 5]) disk.garbage.hole(segment * blocksPerSegment + slot);
  }
  disk.checkpoint();
  disk.broken = 0;
  await disk.garbage.prepare([1, 2], disk.read);
  t.is(disk.garbage.preparedCount, 0);
  await disk.garbage.compact(disk.read, () => true);
  t.is(disk.garbage.sheets, 2);
  disk.broken = -1;
  await disk.garbage.prepare([1, 2], disk.read);
  t.is(disk.holes(1).length, 255);
});

test('where all was cleaned, nothing is left', async (t) => {
  const disk = new Disk();
  for (let round = 0; round < 40; round += 1) {
    for (let slot = 1; slot < 251; slot += 1) disk.garbage.hole((1 + round) * 256 + slot);
    disk.checkpoint();
  }
  t.is(disk.garbage.sheets, 10);
  await disk.garbage.compact(disk.read, () => true);
  disk.checkpoint();
  t.is(disk.garbage.sheets, 0);
  t.is(disk.sheets.size, 0);
});
