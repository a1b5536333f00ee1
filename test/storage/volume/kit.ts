/** What the tests of the catalog share: a store in memory, and a death at any step that changes something. */
import type { ExecutionContext } from 'ava';
import { silentLog } from '#storage/base/log.ts';
import type { Directory } from '#storage/cluster/directory.ts';
import { type EmbeddedDirectory, formatEmbedded, openEmbedded } from '#storage/cluster/embedded.ts';
import { blockBytes } from '#storage/map/blocks.ts';
import type { ImageBlocks } from '#storage/map/images.ts';
import { Catalog } from '#storage/volume/catalog.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { ManualClock } from '#test/sim/manual-clock.ts';
import { MemoryBlocks } from '#test/sim/memory-blocks.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

const storeId = new Uint8Array(16).fill(7);
export const megabyte = 2 ** 20;

export class Crash extends Error {}

/** Counts the steps that change something, and dies at one of them. */
export class Steps {
  at = Number.POSITIVE_INFINITY;
  effect = false;
  taken = 0;

  async take<T>(step: () => Promise<T>): Promise<T> {
    const index = this.taken++;
    if (index < this.at) return await step();
    if (index === this.at && this.effect) await step();
    throw new Crash();
  }
}

export class World {
  readonly disk = new MemoryDisk(2 * megabyte);
  readonly blocks = new MemoryBlocks({ capacity: 4096 });
  readonly clock = new ManualClock();
  readonly random = new SeededRandom(3);

  async open(steps: Steps): Promise<{ catalog: Catalog; directory: EmbeddedDirectory }> {
    if (this.disk.writes.length === 0) await formatEmbedded(this.disk, storeId);
    const directory = await openEmbedded(this.disk, { storeId, log: silentLog });
    const catalog = await Catalog.open({
      directory: stepping(directory, steps),
      blocks: steppingBlocks(this.blocks, steps),
      clock: this.clock,
      random: { bytes: (length) => this.random.fill(Buffer.alloc(length)) },
      log: silentLog,
    });
    return { catalog, directory };
  }
}

const stepping = (directory: Directory, steps: Steps): Directory => ({
  seen: () => directory.seen(),
  get: (key) => directory.get(key),
  list: (prefix) => directory.list(prefix),
  watch: (prefix, after, heard) => directory.watch(prefix, after, heard),
  commit: (compare, mutate) => steps.take(() => directory.commit(compare, mutate)),
  close: () => directory.close(),
});

const changing = ['create', 'reserve', 'drop', 'snapshot', 'clone', 'revert'] as const;

/** A Proxy, so that what the catalog calls is found whatever it is. */
const steppingBlocks = (blocks: MemoryBlocks, steps: Steps): ImageBlocks =>
  new Proxy<ImageBlocks>(blocks, {
    get: (_, name: keyof ImageBlocks) => {
      const method = (blocks[name] as (...args: unknown[]) => unknown).bind(blocks);
      if (!changing.some((one) => one === name)) return method;
      return (...args: unknown[]) => steps.take(async () => await method(...args));
    },
  });

export const fill = (world: World, ref: number, from: number, count: number): void => {
  const data = new Uint8Array(count * blockBytes).fill(0xab);
  world.blocks.write(ref, from, data, { complete: () => {} });
};

/**
 * The change dies in each of its steps, before and after the step took effect, each time in a world of its own:
 * `left` judges what is left. Returns how many deaths that were.
 */
export async function eachDeath(
  t: ExecutionContext,
  furnish: (world: World) => Promise<void>,
  change: (catalog: Catalog) => Promise<unknown>,
  total: number,
  left: (world: World, which: string) => Promise<void>,
): Promise<number> {
  t.true(total > 0);
  let deaths = 0;
  for (let at = 0; at < total; at++) {
    for (const effect of [false, true]) {
      const world = new World();
      await furnish(world);
      const dying = new Steps();
      const { catalog: doomed, directory } = await world.open(dying);
      dying.at = dying.taken + at;
      dying.effect = effect;
      await t.throwsAsync(change(doomed), { instanceOf: Error });
      await directory.close();
      await left(world, `step ${at}, effect ${effect}`);
      deaths++;
    }
  }
  return deaths;
}
