/** Faults of the layer of several disks, each breaking one of its rules. */
import type { Fault } from './plant.ts';

const one = (name: string, finder: string, file: string, from: string, to: string): Fault => ({
  name,
  finder,
  replace: [{ file, from, to }],
});

export const arrayFaults: readonly Fault[] = [
  one(
    'a write is acknowledged before the second copy has it',
    'mirrored crash',
    'disk/array/array.ts',
    '      await all(calls);\n      if (members.losing',
    '      await Promise.race(calls);\n      if (members.losing',
  ),
  one(
    'a write is acknowledged before the journal has it',
    'parity crash',
    'disk/array/array.ts',
    'calls.push(this.unsealed.journal(segment, start, data));',
    'void this.unsealed.journal(segment, start, data);',
  ),
  one(
    'the journal lets a segment go before its parity is durable',
    'journal',
    'disk/array/unsealed.ts',
    '    image.sealing ??= this.#sealNow(image);\n',
    '    for (const member of this.#members.all()) member.journal?.retire(image.segment);\n    image.sealing ??= this.#sealNow(image);\n',
  ),
  one(
    'journals are not replayed',
    'parity crash',
    'disk/array/open.ts',
    "  if (table.layout === 'parity') await replay(array);\n",
    "  if (table.layout === 'single') await replay(array);\n",
  ),
  {
    name: 'a write that a disk missed is acknowledged before the loss is recorded',
    finder: 'loss',
    replace: [
      {
        file: 'disk/array/members.ts',
        from: '      await member.disk.write(offset, data, durable);\n      if (member.alive) return true;\n    } catch (error) {\n      await this.lost(member, error);\n',
        to: '      await member.disk.write(offset, data, durable);\n      if (member.alive) return true;\n    } catch (error) {\n      this.lost(member, error).catch(() => {});\n',
      },
      {
        file: 'disk/array/array.ts',
        from: '      await all(calls);\n      if (members.losing !== null) await members.losing;\n',
        to: '      await all(calls);\n',
      },
    ],
  },
  one(
    'a disk that is out is read',
    'stale',
    'disk/array/open.ts',
    'else if (state === DiskState.out) {',
    'else if (disk.size === 0) {',
  ),
  one(
    'a disk that is missing at open is not taken out',
    'stale',
    'disk/array/members.ts',
    '      return { ...entry, state: DiskState.out, since };\n',
    '      return entry;\n',
  ),
  one(
    'a write during a relocation does not go to the new place',
    'moving',
    'disk/array/zones.ts',
    '    if (moved !== null) targets.push(moved);\n',
    '',
  ),
  one(
    'an extent counts as moved before its last segment is copied',
    'moving',
    'disk/array/mover.ts',
    'for (let at = 0; at < zones.zoneSegments; at += 1) {\n      if (this.#stopped',
    'for (let at = 0; at < zones.zoneSegments - 1; at += 1) {\n      if (this.#stopped',
  ),
  one(
    'what a mirror gives is taken unverified',
    'repair',
    'disk/array/copies.ts',
    '|| !good(into)) continue;',
    '|| into.length === 0) continue;',
  ),
  one(
    'the parity leaves the last block out',
    'degraded',
    'disk/array/geometry.ts',
    'const end = Math.min((column + 1) * chunk, segment.length);',
    'const end = Math.min((column + 1) * chunk, segment.length - 4 * blockBytes);',
  ),
  one(
    'superblocks are written to one disk only',
    'mirrored crash',
    'disk/array/replicated.ts',
    '      .alive()\n      .map((member) => this.#members.put(',
    '      .alive()\n      .slice(0, 1)\n      .map((member) => this.#members.put(',
  ),
];
