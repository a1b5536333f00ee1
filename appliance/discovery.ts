/**
 * CHAP for discovery sessions: one setting for the whole appliance, kept in the Directory. Sessions
 * that are discovering go on; the next login needs what holds then.
 */
import { Serial } from '#storage/base/serial.ts';
import type { Directory } from '#storage/cluster/directory.ts';
import { type ChapChange, type ChapRemoval, ChapSettings, type ChapView } from './chap.ts';
import type { Log } from './log.ts';

const key = 'appliance/discovery-chap';

export class Discovery {
  readonly #directory: Directory;
  readonly #log: Log;
  readonly #verbs = new Serial();
  #chap: ChapSettings;

  private constructor(directory: Directory, log: Log, chap: ChapSettings) {
    this.#directory = directory;
    this.#log = log;
    this.#chap = chap;
  }

  /** STORE_FAILED. */
  static async open(directory: Directory, log: Log): Promise<Discovery> {
    const kept = await directory.get(key);
    const text = kept === null ? undefined : Buffer.from(kept.value).toString('utf8');
    return new Discovery(directory, log, ChapSettings.parse(text, 'discovery'));
  }

  get chap(): ChapSettings {
    return this.#chap;
  }

  /** INVALID. */
  async setChap(change: ChapChange): Promise<ChapView> {
    return await this.#change((old) => old.set(change));
  }

  /** NOT_FOUND, INVALID. */
  async removeChap(removal: ChapRemoval): Promise<ChapView> {
    return await this.#change((old) => old.remove(removal));
  }

  async #change(change: (old: ChapSettings) => ChapSettings): Promise<ChapView> {
    return await this.#verbs.run(async () => {
      const chap = change(this.#chap);
      const value = chap.on ? Buffer.from(chap.format(), 'utf8') : null;
      await this.#directory.commit([], [{ key, value }]);
      this.#chap = chap;
      this.#log.info({ ...chap.view }, 'CHAP of discovery changed');
      return chap.view;
    });
  }
}
