/**
 * What is on a block device that is not ours: mounts, signatures of file systems, partition tables,
 * RAID and LVM members. Such a device is taken only on an explicit word.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { StorageError } from '../base/errors.ts';
import type { Disk } from './disk.ts';
import { run } from './helper.ts';
import { isBlank } from './label.ts';
import { limits } from './limits.ts';

/** Exit status of `blkid -p` when it finds nothing (blkid(8)). */
const nothingFound = 2;

/** Where `path` is mounted, or null. */
export function mountOf(path: string): string | null {
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [source, target] = line.split(' ').map(unescaped);
    if (!source?.startsWith('/') || target === undefined) continue;
    if (source === path || resolved(source) === path) return target;
  }
  return null;
}

/** The kernel writes spaces and the like as three octal digits (fstab(5)). */
const unescaped = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // The source of a mount need not exist (any more).
  }
}

/** What is on the device, for people ("ext4 file system"), or null when it is blank. */
export async function contentOf(path: string, disk: Disk): Promise<string | null> {
  const { status, output } = await run('blkid', ['-p', '-o', 'export', path]);
  if (status !== nothingFound) {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}=(.*)$`, 'm').exec(output)?.[1];
    const type = field('TYPE') ?? field('PTTYPE');
    return type === undefined ? `something that blkid cannot tell (${output})` : `"${type}"`;
  }
  return (await isBlank(disk)) ? null : 'data without a known signature';
}

/** Take every signature off, and what lies where a label or a backup of a partition table goes. */
export async function wipe(path: string, disk: Disk): Promise<void> {
  // We hold the device exclusively, which is what wipefs would otherwise ask for.
  const { status, output } = await run('wipefs', ['--all', '--force', path]);
  if (status !== 0) throw new StorageError('INVALID', `${path} cannot be wiped: ${output}`);
  const zeros = new Uint8Array(limits.areaUnitBytes);
  await disk.write(disk.size - zeros.length, [zeros], true);
  await disk.write(0, [zeros], true);
}
