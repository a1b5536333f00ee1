/**
 * What the first bytes of an image say of other files, looked at before any program opens it:
 *
 *   qcow2  magic 51 46 49 fb; 8: offset of a backing file's name (big-endian, 8 bytes), which must be zero; from
 *          version 3 on 72: incompatible features (big-endian), bit 2: the data lie in another file
 *   VMDK   magic 4b 44 4d 56 "KDMV", a sparse extent; 12: capacity (little-endian), zero where only the descriptor
 *          counts. A text descriptor, which names its extents, begins otherwise.
 *   VHDX   magic "vhdxfile"; that it has a parent stands deeper, and qemu-img refuses those
 */
import { open } from 'node:fs/promises';
import { CliError, ExitStatus } from './client.ts';

const headBytes = 112;

/** Refuses an image that is of another format or leans on other files. */
export async function checkImage(path: string, format: string): Promise<void> {
  const fault = headerFault(await headOf(path), format);
  if (fault !== null) throw new CliError(ExitStatus.refused, `${path}: ${fault}`);
}

async function headOf(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const head = Buffer.alloc(headBytes);
    await file.read(head, 0, headBytes, 0);
    return head;
  } catch (cause) {
    const text = `cannot read ${path}: ${(cause as Error).message}`;
    throw new CliError(ExitStatus.refused, text, { cause });
  }
}

/** Why the image is not taken, or null. */
export function headerFault(head: Buffer, format: string): string | null {
  switch (format) {
    case 'qcow2': {
      if (head.readUInt32BE(0) !== 0x514649fb) return 'this is no qcow2 image';
      if (head.readBigUInt64BE(8) !== 0n)
        return 'it has a backing file, whose content it would take in';
      const features = head.readUInt32BE(4) >= 3 ? head.readBigUInt64BE(72) : 0n;
      return (features & 4n) === 0n ? null : 'its data lie in another file';
    }
    case 'vmdk':
      if (head.toString('latin1', 0, 4) !== 'KDMV')
        return 'only a VMDK in one sparse file is taken';
      return head.readBigUInt64LE(12) > 0n ? null : 'it names other files as its extents';
    case 'vhdx':
      return head.toString('latin1', 0, 8) === 'vhdxfile' ? null : 'this is no VHDX image';
    default:
      return null;
  }
}
