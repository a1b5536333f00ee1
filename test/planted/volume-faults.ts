/** Faults of the volumes, each breaking one rule of the catalog, and of the layers below as a volume shows them. */
import type { Fault } from './plant.ts';

const one = (name: string, file: string, from: string, to: string): Fault => ({
  name,
  finder: 'volumes',
  replace: [{ file, from, to }],
});

export const volumeFaults: readonly Fault[] = [
  one(
    'flattening leaves a block out',
    'volume/flatten.ts',
    'step = await rewrite(this.#ports.host(id), run.next, most);',
    'step = most === 1 ? 1 : await rewrite(this.#ports.host(id), run.next, most);',
  ),
  one(
    'a shrunk disk keeps a block past its end',
    'volume/catalog.ts',
    'await trim(this.#ports, ref, gone.from, gone.to);',
    'await trim(this.#ports, ref, gone.from + 1, gone.to);',
  ),
  one(
    'a shrink that a crash interrupted is not finished',
    'volume/load.ts',
    '        await trim(ports, intent.ref, intent.from, intent.to);\n',
    '',
  ),
  one(
    'a rollback does not wait for what is in flight',
    'server.ts',
    'const release = await this.#open(record.disk).still();',
    'const release = (): void => {};',
  ),
  one(
    'the disks of a group have their snapshots one after the other',
    'volume/snapshots.ts',
    'await purger.withSpace(promised, () => images.snapshot(pairs));',
    'for (const pair of pairs) await purger.withSpace(promised, () => images.snapshot([pair]));',
  ),
  one(
    'recovery forgets unmaps',
    'map/content.ts',
    'this.#replayUnmap(known(epoch, ref), block, count);',
    'known(epoch, ref);',
  ),
  one(
    'a rebuild leaves the last segment of an extent out',
    'disk/array/mover.ts',
    'for (let at = 0; at < zones.zoneSegments; at += 1) {\n      if (this.#stopped',
    'for (let at = 0; at < zones.zoneSegments - 1; at += 1) {\n      if (this.#stopped',
  ),
];
