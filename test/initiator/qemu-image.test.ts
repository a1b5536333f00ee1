/** A 1 GiB image that qemu-img wrote into a LUN is there, byte for byte, after kill -9. */
import { join } from 'node:path';
import test from 'ava';
import { Daemon } from '../kit/daemon.ts';
import { SeededRandom } from '../kit/random.ts';
import { runOk } from '../kit/run.ts';
import { temporaryDirectory } from '../kit/temp.ts';
import { covers, type Extent, makeImage, totalBytes } from './image.ts';

const SIZE_BYTES = 2 ** 30;
/** What a client may call data beyond the data: the store allocates by 4 KiB, chunks by 64 KiB. */
const SLACK_BYTES = 32 * 2 ** 20;

interface MapEntry {
  readonly start: number;
  readonly length: number;
  readonly data: boolean;
  readonly zero: boolean;
}

test('qemu-img convert, kill -9, restart, qemu-img compare: identical', async (t) => {
  const directory = await temporaryDirectory(t);
  const image = join(directory, 'image');
  const { seed } = new SeededRandom();
  t.log(`seed ${seed}`);
  const extents = await makeImage(image, SIZE_BYTES, seed);

  const daemon = await Daemon.forTest(t, { storeSize: '3GiB' });
  const disk = await daemon.createDisk('image', '1GiB');
  await runOk('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', image, daemon.url(disk)]);
  await daemon.kill();
  await daemon.launch();

  await runOk('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, daemon.url(disk)]);

  const map = await runOk('qemu-img', ['map', '--output=json', '-f', 'raw', daemon.url(disk)]);
  const entries = JSON.parse(map.stdout) as MapEntry[];
  const mapped: Extent[] = entries.filter(({ data }) => data);
  t.true(covers(joined(mapped), extents), 'all data is reported as data');
  const excess = totalBytes(mapped) - totalBytes(extents);
  t.true(excess <= SLACK_BYTES, `${excess} bytes of holes are reported as data`);
  t.true(
    entries.filter(({ data }) => !data).every(({ zero }) => zero),
    'what is not data reads as zeros',
  );
  const { used } = await daemon.disk('image');
  t.true(used >= totalBytes(extents) && used <= totalBytes(extents) + SLACK_BYTES, `used ${used}`);
});

function joined(extents: readonly Extent[]): Extent[] {
  const result: Extent[] = [];
  for (const { start, length } of extents) {
    const last = result.at(-1);
    if (last !== undefined && last.start + last.length === start) {
      result[result.length - 1] = { start: last.start, length: last.length + length };
    } else result.push({ start, length });
  }
  return result;
}
