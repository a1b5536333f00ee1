/**
 * What makes this store this appliance to every host, kept in the Directory and therefore with the
 * data: the installation's number, made once at first start, and whether the first disk was made.
 */

import type { Random } from '#storage/base/random.ts';
import type { Directory } from '#storage/cluster/directory.ts';
import { PetalError } from './errors.ts';

const installationKey = 'appliance/installation';
const firstDiskKey = 'appliance/first-disk';

/** Eight hex digits, part of every target name. */
export async function installationOf(directory: Directory, random: Random): Promise<string> {
  const known = await directory.get(installationKey);
  if (known !== null) {
    const text = Buffer.from(known.value).toString('latin1');
    if (/^[0-9a-f]{8}$/.test(text)) return text;
    throw new PetalError('STORE_FAILED', `the store's installation number is damaged: '${text}'`);
  }
  const made = Buffer.from(random.bytes(4)).toString('hex');
  await directory.commit(
    [{ key: installationKey, modified: 0n }],
    [{ key: installationKey, value: Buffer.from(made, 'latin1') }],
  );
  return made;
}

/** Whether the first start got as far as making its disk; a crash before it is made up for. */
export async function firstDiskDone(directory: Directory): Promise<boolean> {
  return (await directory.get(firstDiskKey)) !== null;
}

export async function setFirstDiskDone(directory: Directory): Promise<void> {
  await directory.commit(
    [{ key: firstDiskKey, modified: 0n }],
    [{ key: firstDiskKey, value: Buffer.from('1', 'latin1') }],
  );
}
