/** Where two spaces differ, in ranges of bytes and in bounded portions, for backup programs and people. */
import { blockBytes } from '../map/blocks.ts';
import type { ImageBlocks } from '../map/images.ts';
import { limits } from './limits.ts';

export interface DiffRange {
  readonly offset: number;
  readonly length: number;
}

export interface Diff {
  /** Ascending, none touching another. What is not in one is equal in both. */
  readonly ranges: readonly DiffRange[];
  /** Where the next portion begins, or null: this was the last. */
  readonly next: number | null;
}

/** From byte `from` up to byte `size`, at most `most` ranges. */
export async function diff(
  blocks: ImageBlocks,
  a: number,
  b: number,
  { from, size, most }: { readonly from: number; readonly size: number; readonly most: number },
): Promise<Diff> {
  const ranges: { offset: number; length: number }[] = [];
  const end = size / blockBytes;
  let at = Math.floor(from / blockBytes);
  for (let calls = 0; at < end; calls++) {
    if (calls >= limits.diffCalls) return { ranges, next: at * blockBytes };
    const answer = await blocks.difference(a, b, at, end - at);
    if (answer.differs) {
      const offset = at * blockBytes;
      const last = ranges.at(-1);
      if (last !== undefined && last.offset + last.length === offset) {
        last.length += answer.count * blockBytes;
      } else if (ranges.length === most) return { ranges, next: offset };
      else ranges.push({ offset, length: answer.count * blockBytes });
    }
    at += answer.count;
  }
  return { ranges, next: null };
}
