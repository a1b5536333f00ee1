/** Blocks that are not what they should be, had in another way where the disk below has one. */
import { crc32c } from '../base/crc32c.ts';
import { isMediumError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import { type Entry, entryIdentity } from './format.ts';
import type { SegmentImage } from './image.ts';

/** Read the block at `address`; what the medium cannot give or `good` refuses is had elsewhere. */
export async function readMended(
  disk: Disk,
  address: number,
  into: Uint8Array,
  good: (bytes: Uint8Array) => boolean,
): Promise<void> {
  try {
    await disk.read(address * limits.blockBytes, into);
  } catch (error) {
    if (!isMediumError(error) || disk.redundancy === undefined) throw error;
    if (await disk.redundancy.recover(address * limits.blockBytes, into, good)) return;
    throw error;
  }
  await mend(disk, address, into, good);
}

/** Whether `block` is good, or has become so. */
export async function mend(
  disk: Disk,
  address: number,
  block: Uint8Array,
  good: (bytes: Uint8Array) => boolean,
): Promise<boolean> {
  if (good(block)) return true;
  const { redundancy } = disk;
  if (redundancy === undefined) return false;
  const found = Buffer.alloc(limits.blockBytes);
  if (!(await redundancy.recover(address * limits.blockBytes, found, good))) return false;
  block.set(found);
  return true;
}

/** The data blocks of these entries, in the image of their segment: how many were mended, how many not. */
export async function mendEntries(
  disk: Disk,
  image: SegmentImage,
  entries: readonly Entry[],
): Promise<{ mended: number; bad: Entry[] }> {
  let mended = 0;
  const bad: Entry[] = [];
  for (const entry of entries) {
    if (entry.address === 0) continue;
    const block = image.block(entry.address);
    const good = (bytes: Uint8Array): boolean => crc32c(bytes, entryIdentity(entry)) === entry.crc;
    if (good(block)) continue;
    if (await mend(disk, entry.address, block, good)) mended += 1;
    else bad.push(entry);
  }
  return { mended, bad };
}
