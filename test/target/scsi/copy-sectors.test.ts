/** A copy between targets arrives whole with sectors of either size at either end, and a thin source stays thin. */
import test from 'ava';
import { MiB } from './copy-kit.ts';
import { content, copied, pattern, Two } from './two-targets.ts';

const sizes = [512, 4096] as const;

for (const here of sizes) {
  for (const there of sizes) {
    for (const back of [false, true]) {
      test(`${back ? 'from' : 'to'} ${there}, here ${here}`, async (t) => {
        const two = await Two.make({ here: { sectorBytes: here }, there: { sectorBytes: there } });
        t.is(await two.ended(two.copy({ back })), '00');
        const [to, from] = back
          ? [two.world.device.ram, two.there]
          : [two.there, two.world.device.ram];
        t.deepEqual(content(to, copied, MiB), pattern(copied));
        t.deepEqual(content(to), pattern(copied), 'the beginning is as it was');
        t.deepEqual(content(to, MiB, 2 * MiB), Buffer.alloc(MiB), 'and what follows as well');
        t.deepEqual(content(from), pattern(copied));
      });
    }
  }
}

test('half a sector of the destination is refused', async (t) => {
  const two = await Two.make({ there: { sectorBytes: 4096 } });
  t.is(await two.ended(two.copy({ bytes: 4096 + 512 })), '02 0a/260a');
  t.deepEqual(two.there.log, []);
});

test('what a thin source never wrote is not allocated at a thin destination', async (t) => {
  const thin = { capabilities: { thin: true } };
  const two = await Two.make({ here: thin, there: thin });
  const { ram } = two.world.device;
  ram.unmap(0, copied, { complete: () => {} });
  two.there.releaseAll();
  const old = pattern(copied);
  // Old data at the destination is zeros afterwards, and given back.
  two.there.write(MiB, old, false, { complete: () => {} });
  t.true(two.there.allocation(MiB, copied).mapped);
  two.there.log.length = 0;
  t.is(await two.ended(two.copy()), '00');
  t.deepEqual(content(two.there, copied, MiB), Buffer.alloc(copied));
  t.deepEqual(two.there.allocation(MiB, copied), { mapped: false, length: copied });
  t.deepEqual(two.there.log, [], 'nothing was written');
});

test('a thick destination gets zeros for holes, and stays allocated', async (t) => {
  const two = await Two.make({ here: { capabilities: { thin: true } } });
  two.world.device.ram.unmap(0, copied, { complete: () => {} });
  two.there.write(MiB, pattern(copied), false, { complete: () => {} });
  t.is(await two.ended(two.copy()), '00');
  t.deepEqual(content(two.there, copied, MiB), Buffer.alloc(copied));
});
