/** Reads where the medium may fail and there is something else to do than to give up. */
import { isMediumError } from '../base/errors.ts';
import type { Disk } from './disk.ts';

/** False: the medium cannot give it. Rejects when the disk as a whole fails. */
export async function readable(disk: Disk, offset: number, into: Uint8Array): Promise<boolean> {
  try {
    await disk.read(offset, into);
    return true;
  } catch (error) {
    if (isMediumError(error)) return false;
    throw error;
  }
}

/** Zeros for each `unit` bytes that the medium cannot give. Rejects when the disk as a whole fails. */
export async function readOrZeros(
  disk: Disk,
  offset: number,
  into: Uint8Array,
  unit: number,
): Promise<void> {
  if (await readable(disk, offset, into)) return;
  for (let at = 0; at < into.length; at += unit) {
    const piece = into.subarray(at, at + unit);
    if (!(await readable(disk, offset + at, piece))) piece.fill(0);
  }
}
