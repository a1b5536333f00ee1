/** Where blocks lie, for who reads ahead (read-ahead.ts): a page that is not in memory is loaded, one at a time. */
import type { Content } from './content.ts';
import { leafFanout, leafOf, leafWords } from './page.ts';
import type { Places } from './read-ahead.ts';

export class MapPlaces implements Places {
  readonly #content: Content;
  #loading: Promise<void> | null = null;
  #stopped = false;
  crc = 0;
  epoch = 0;

  constructor(content: Content) {
    this.#content = content;
  }

  address(ref: number, block: number): number {
    const { trees } = this.#content;
    const epoch = this.#content.space(ref);
    if (epoch === undefined) return 0;
    const leaf = trees.leaf(epoch, leafOf(block));
    if (leaf === undefined) {
      this.#load();
      return -1;
    }
    if (leaf === null) return 0;
    const word = (block % leafFanout) * leafWords;
    this.epoch = leaf.words[word + 1]!;
    this.crc = leaf.words[word + 2]!;
    return leaf.words[word]!;
  }

  /** A page that cannot be read is an error for whoever reads the blocks. */
  #load(): void {
    if (this.#loading !== null || this.#stopped) return;
    const ended = (): void => {
      this.#loading = null;
    };
    this.#loading = this.#content.pages.load(this.#content.trees.wanted).then(ended, ended);
  }

  /** Resolves when nothing is being loaded, and nothing is from then on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loading;
  }
}
