/**
 * The map as the newest checkpoint has it, read level by level, neighbours in the log in one disk
 * call. Every page is verified with its identity. What does not match is CORRUPT: without its map a
 * store serves nothing, rather than zeros or old data.
 */
import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import { EntryKind, entryHead, identitySum } from '../log/format.ts';
import { readMended } from '../log/mend.ts';
import type { Superblock } from '../log/superblock.ts';
import type { Content, Space } from './content.ts';
import { fanout, Page } from './page.ts';
import { decodeRoots, type SpaceRoot } from './roots.ts';
import { heightFor } from './tree.ts';

const heightMax = heightFor(Math.ceil(limits.spaceBlocksMax / fanout) - 1);

/** A page that a parent or a root names. */
interface Wanted {
  readonly space: Space;
  readonly parent: Page | null;
  readonly level: number;
  readonly index: number;
  readonly address: number;
  readonly crc: number;
}

export async function loadCheckpoint(
  disk: Disk,
  superblock: Superblock,
  content: Content,
): Promise<void> {
  let wanted: Wanted[] = [];
  for (const root of await loadRoots(disk, superblock, content)) {
    const space = content.create(root.ref, root.reserved);
    if (root.height === 0) continue;
    const { address, crc, height: level } = root;
    wanted.push({ space, parent: null, level, index: 0, address, crc });
  }
  while (wanted.length > 0) {
    const below: Wanted[] = [];
    for (const runs of inChunks(runsOf(wanted), limits.loadsInFlight)) {
      const read = await Promise.all(runs.map((run) => readRun(disk, run)));
      runs.forEach((run, number) => {
        run.forEach((page, index) => {
          const data = read[number]!.subarray(
            index * limits.blockBytes,
            (index + 1) * limits.blockBytes,
          );
          place(disk, content, page, data, below);
        });
      });
    }
    wanted = below;
  }
}

async function loadRoots(
  disk: Disk,
  superblock: Superblock,
  content: Content,
): Promise<SpaceRoot[]> {
  const roots: SpaceRoot[] = [];
  const refs = new Set<number>();
  for (const [number, { address, crc }] of superblock.blocks.entries()) {
    check(content.segments.contains(address), disk, `checkpoint block ${number} is nowhere`);
    const block = Buffer.alloc(limits.blockBytes);
    const identity = identitySum(entryHead(EntryKind.checkpoint, 0, number), number, 0, 0);
    await readMended(disk, address, block, (bytes) => crc32c(bytes, identity) === crc);
    check(crc32c(block, identity) === crc, disk, `checkpoint block ${number} does not match`);
    for (const root of decodeRoots(block, number)) {
      const plausible = root.height <= heightMax && root.reserved <= limits.spaceBlocksMax;
      check(plausible && !refs.has(root.ref), disk, `space ${root.ref} makes no sense`);
      refs.add(root.ref);
      roots.push(root);
    }
    content.segments.born(address);
  }
  check(roots.length === superblock.spaces, disk, 'the checkpoint lacks spaces');
  return roots;
}

/** By address, so that pages written together are read together. */
function runsOf(wanted: Wanted[]): Wanted[][] {
  const sorted = wanted.toSorted((a, b) => a.address - b.address);
  const runs: Wanted[][] = [];
  for (const page of sorted) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const next = last !== undefined && page.address === last.address + 1;
    if (run !== undefined && next && run.length < limits.readRunBlocks) run.push(page);
    else runs.push([page]);
  }
  return runs;
}

async function readRun(disk: Disk, run: readonly Wanted[]): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(run.length * limits.blockBytes);
  if (disk.redundancy === undefined) {
    await disk.read(run[0]!.address * limits.blockBytes, bytes);
    return bytes;
  }
  for (const [index, { space, level, index: number, address, crc }] of run.entries()) {
    const identity = pageIdentity(space.ref, level, number);
    const block = bytes.subarray(index * limits.blockBytes, (index + 1) * limits.blockBytes);
    await readMended(disk, address, block, (page) => crc32c(page, identity) === crc);
  }
  return bytes;
}

const pageIdentity = (ref: number, level: number, index: number): number =>
  identitySum(entryHead(EntryKind.page, level, index), index % 2 ** 32, ref, 0);

/** Verify a page and hang it into its tree; what it names goes to `below`. */
function place(
  disk: Disk,
  content: Content,
  wanted: Wanted,
  data: Uint8Array,
  below: Wanted[],
): void {
  const { space, parent, level, index, address, crc } = wanted;
  const where = `map page ${index} of level ${level} of space ${space.ref}`;
  check(content.segments.contains(address), disk, `${where} is nowhere`);
  check(
    crc32c(data, pageIdentity(space.ref, level, index)) === crc,
    disk,
    `${where} does not match its checksum`,
  );
  const page = new Page(space.ref, level, index);
  page.bytes.set(data);
  page.address = address;
  page.crc = crc;
  content.segments.born(address);
  space.tree.adopt(page, parent);
  for (let slot = 0; slot < fanout; slot += 1) {
    const to = page.words[slot * 2]!;
    if (to === 0) continue;
    check(content.segments.contains(to), disk, `${where} points nowhere`);
    page.used += 1;
    if (level === 1) {
      content.segments.born(to);
      continue;
    }
    below.push({
      space,
      parent: page,
      level: level - 1,
      index: index * fanout + slot,
      address: to,
      crc: page.words[slot * 2 + 1]!,
    });
  }
  if (level === 1) space.share.map(page.used);
}

function check(holds: boolean, disk: Disk, what: string): void {
  if (!holds) throw new StorageError('CORRUPT', `${disk.name}: the map is damaged: ${what}`);
}

function* inChunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size);
}
