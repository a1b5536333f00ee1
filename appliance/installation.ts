/**
 * What makes this store this appliance to every host, kept in the Directory and therefore with the
 * data: the installation's number, made once at first start, and whether it has ever served.
 */

import type { Random } from '#storage/base/random.ts';
import type { Directory } from '#storage/cluster/directory.ts';
import { PetalError } from './errors.ts';

const installationKey = 'appliance/installation';
const servedKey = 'appliance/served';

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

/** Whether any start of this store got as far as serving; until then each counts as the first. */
export async function hasServed(directory: Directory): Promise<boolean> {
  return (await directory.get(servedKey)) !== null;
}

export async function setServed(directory: Directory): Promise<void> {
  await directory.commit(
    [{ key: servedKey, modified: 0n }],
    [{ key: servedKey, value: Buffer.from('1', 'latin1') }],
  );
}
