/**
 * Who sees a block: the leaves that map it. A block names the line and the epoch that wrote it; it is seen
 * by that epoch, perhaps, and by those that took it over: later ones of the line, one behind the other
 * until one has overwritten it, and lines that branched off while it was seen.
 */
import type { Content } from './content.ts';
import type { Epoch, Line } from './epochs.ts';
import { leafFanout, leafOf, leafWords, type Page } from './page.ts';

/**
 * The leaves that map `block` to `address`, each once; null: a page has to be loaded (`trees.wanted`)
 * before that is known.
 */
export function seers(
  content: Content,
  line: number,
  birth: number,
  block: number,
  address: number,
): Page[] | null {
  const start = content.epochs.lines.get(line);
  if (start === undefined) return [];
  const search = new Search(content, block, address);
  return search.line(start, birth) ? [...search.found] : null;
}

class Search {
  readonly #content: Content;
  readonly #block: number;
  readonly #address: number;
  readonly found = new Set<Page>();

  constructor(content: Content, block: number, address: number) {
    this.#content = content;
    this.#block = block;
    this.#address = address;
  }

  /** Look at the epochs of `line` from number `first` on, and at its branches. False: a page is missing. */
  line(line: Line, first: number): boolean {
    /** The first epoch of the line that does not see it any more. */
    let until = Number.POSITIVE_INFINITY;
    for (const epoch of line.epochs) {
      if (epoch.number < first) continue;
      const sees = this.#sees(epoch);
      if (sees === undefined) return false;
      // What a doomed epoch has given back says nothing of those behind it.
      if (!sees && !epoch.isDone(leafOf(this.#block))) {
        until = epoch.number;
        break;
      }
    }
    for (const branch of line.branches) {
      if (branch.fromEpoch < first || branch.fromEpoch >= until) continue;
      if (!this.line(branch, 0)) return false;
    }
    return true;
  }

  #sees(epoch: Epoch): boolean | undefined {
    const index = leafOf(this.#block);
    if (epoch.isDone(index)) return false;
    const leaf = this.#content.trees.leaf(epoch, index);
    if (leaf === undefined) return undefined;
    if (leaf === null || leaf.words[(this.#block % leafFanout) * leafWords] !== this.#address) {
      return false;
    }
    this.found.add(leaf);
    return true;
  }
}
