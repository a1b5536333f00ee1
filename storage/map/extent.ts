/** How far blocks are mapped, or are not. */
import { limits } from '../base/limits.ts';
import type { Extent } from './blocks.ts';
import type { Epoch } from './epochs.ts';
import { leafFanout, leafOf, leafWords, type Page } from './page.ts';
import type { Trees } from './trees.ts';

/** As `Blocks.extent`; null: a page has to be loaded (`trees.wanted`). */
export function extentOf(trees: Trees, epoch: Epoch, block: number, count: number): Extent | null {
  const end = block + count;
  const first = trees.next(epoch, leafOf(block), leafOf(end - 1));
  if (first === undefined) return null;
  if (first === null) return { mapped: false, count };
  const mapped = isMapped(first, block);
  let at = sameUntil(first, block, end, mapped);
  // On into the leaves behind it, as far as they are in memory.
  for (let looked = 0; at < end && at % leafFanout === 0; looked += 1) {
    const leaf = trees.next(epoch, leafOf(at), leafOf(end - 1));
    if (leaf === undefined || looked === limits.leavesPerTurn) break;
    if (leaf === null) {
      if (!mapped) at = end;
      break;
    }
    if (isMapped(leaf, at) !== mapped) break;
    at = sameUntil(leaf, at, end, mapped);
  }
  return { mapped, count: at - block };
}

/** `leaf` is the first at or behind the one that has `block`. */
function isMapped(leaf: Page, block: number): boolean {
  return leaf.index === leafOf(block) && leaf.words[(block % leafFanout) * leafWords] !== 0;
}

/** The first block behind `block` in `leaf`, or its end, that is not as said; at most `end`. */
function sameUntil(leaf: Page, block: number, end: number, mapped: boolean): number {
  const base = leaf.index * leafFanout;
  let at = Math.max(block, base);
  const to = Math.min(end, base + leafFanout);
  while (at < to && (leaf.words[(at - base) * leafWords] !== 0) === mapped) at += 1;
  return at;
}
