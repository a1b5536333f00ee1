/**
 * Short descriptions of virtual disks that the daemon and the CLI share.
 */
import type { DiskView } from './disk-view.ts';
import { formatSize } from './sizes.ts';

export function kindOf(disk: Pick<DiskView, 'reserved'>): 'reserved' | 'thin' {
  return disk.reserved ? 'reserved' : 'thin';
}

/** `10 GiB, thin`. */
export function sizeAndKind(disk: Pick<DiskView, 'size' | 'reserved'>): string {
  return `${formatSize(disk.size)}, ${kindOf(disk)}`;
}
