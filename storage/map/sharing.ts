/** What spaces share: compared page by page, and a page that both have is not looked into. */
import type { Content } from './content.ts';
import type { Epoch } from './epochs.ts';
import type { Difference } from './images.ts';
import { Looker, type Pause } from './looker.ts';
import { innerFanout, leafFanout, leafOf, leafWords, leavesBelow, type Page } from './page.ts';

/** Whether `a` and `b` map the same blocks from `block` on. Undefined: a page has to be loaded. */
export function difference(
  content: Content,
  a: Epoch,
  b: Epoch,
  block: number,
  count: number,
): Difference | undefined {
  const { trees } = content;
  const leaf = leafOf(block);
  for (let level = Math.max(a.height, b.height); level > 0; level -= 1) {
    const index = Math.floor(leaf / leavesBelow(level));
    const [ours, theirs] = [trees.page(a, level, index), trees.page(b, level, index)];
    if (ours === undefined) return undefined;
    // The second lookup has said what it lacks; the first was answered.
    if (theirs === undefined) return undefined;
    if (level === 1 && ours !== theirs) return compare(ours, theirs, block, count);
    // Above the root of the lower tree there is nothing to compare.
    const above = ours === null && level > 1 && level > Math.min(a.height, b.height);
    if (ours !== theirs || above) continue;
    const end = (index + 1) * leavesBelow(level) * leafFanout;
    return { differs: false, count: Math.min(count, end - block) };
  }
  return { differs: false, count };
}

function compare(a: Page | null, b: Page | null, block: number, count: number): Difference {
  const first = block % leafFanout;
  const end = Math.min(leafFanout, first + count);
  const at = (page: Page | null, slot: number): number => page?.words[slot * leafWords] ?? 0;
  const differs = at(a, first) !== at(b, first);
  let slot = first + 1;
  while (slot < end && (at(a, slot) !== at(b, slot)) === differs) slot += 1;
  return { differs, count: slot - first };
}

/**
 * Counts the blocks that only `epochs` see together. Those before them and behind them are asked; ghosts
 * see nothing for themselves. Drawn until it returns; it yields the pages that have to be loaded, and
 * `turn` where others may have theirs.
 */
export function* exclusive(content: Content, epochs: ReadonlySet<Epoch>): Generator<Pause, number> {
  let blocks = 0;
  for (const epoch of epochs) {
    if (epoch.root === 0) continue;
    const count = new Count(content, epochs, epoch);
    // Nobody to ask: all that it maps is counted, without a look at its pages.
    if (count.lone) blocks += epoch.mapped;
    else blocks += yield* count.page(epoch.root, epoch.height, 0);
  }
  return blocks;
}

class Count extends Looker {
  readonly #of: ReadonlySet<Epoch>;
  /** What carries this number or a lower one is counted, or seen, by an epoch before. */
  readonly #floor: number;
  /** Those that do not belong to the set and took over from this epoch first. */
  readonly #others: readonly Epoch[];

  constructor(content: Content, of: ReadonlySet<Epoch>, epoch: Epoch) {
    super(content);
    this.#of = of;
    this.#floor = this.#before(epoch)?.number ?? 0;
    this.#others = this.#outside(epoch);
  }

  get lone(): boolean {
    return this.#floor === 0 && this.#others.length === 0;
  }

  /** The nearest before it that sees for itself. */
  #before(epoch: Epoch): Epoch | null {
    let at = epoch.parent;
    while (at !== null && !at.sees) at = at.parent;
    return at;
  }

  #outside(epoch: Epoch): Epoch[] {
    // What comes down through ghosts before it is seen by their other children as well.
    let top = epoch;
    while (top.parent !== null && !top.parent.sees) {
      top = top.parent;
    }
    return [...this.#below(top, epoch)];
  }

  *#below(at: Epoch, but: Epoch): Generator<Epoch> {
    // Of two of the set that stand beside each other the first one counts.
    if (at !== but && at.sees && (!this.#of.has(at) || at.number < but.number)) {
      yield at;
      return;
    }
    for (const child of at.children) yield* this.#below(child, but);
  }

  *page(id: number, level: number, index: number): Generator<Pause, number> {
    let page = yield* this.here(id, level, index);
    if (page.birth <= this.#floor) return 0;
    for (const other of this.#others) {
      if ((yield* this.there(other, level, index))?.id === id) return 0;
    }
    if (level === 1) return yield* this.#leaf(yield* this.here(id, level, index));
    let blocks = 0;
    for (let slot = 0; slot < innerFanout; slot += 1) {
      page = yield* this.here(id, level, index);
      const below = page.words[slot * 2]!;
      if (below !== 0) blocks += yield* this.page(below, level - 1, index * innerFanout + slot);
    }
    yield 'turn';
    return blocks;
  }

  *#leaf(page: Page): Generator<Pause, number> {
    // As it is now: what is loaded below takes time, and the cleaner moves blocks meanwhile.
    const words = page.words.slice();
    const seen = new Uint8Array(leafFanout);
    for (const other of this.#others) {
      const found = yield* this.there(other, 1, page.index);
      if (found === null) continue;
      for (let slot = 0; slot < leafFanout; slot += 1) {
        const word = slot * leafWords;
        // The same epoch wrote both, with the same checksum: it is the same block wherever it is.
        const same = [1, 2].every((more) => found.words[word + more] === words[word + more]);
        if (found.words[word] !== 0 && same) seen[slot] = 1;
      }
    }
    let blocks = 0;
    for (let slot = 0; slot < leafFanout; slot += 1) {
      const word = slot * leafWords;
      if (words[word] !== 0 && words[word + 1]! > this.#floor && seen[slot] === 0) blocks += 1;
    }
    return blocks;
  }
}
