/**
 * Give back what a shrunk disk leaves behind, however far it reached: holes are stepped over, data
 * is unmapped in bounded pieces, and others get their turn in between.
 */
import { type Clock, turn } from '../base/clock.ts';
import type { Blocks } from '../map/blocks.ts';
import { flushed, unmapped } from './intents.ts';
import { limits } from './limits.ts';

/** Unmap blocks `from`…`to`-1; durable when it resolves. */
export async function trim(
  ports: { readonly blocks: Blocks; readonly clock: Clock },
  ref: number,
  from: number,
  to: number,
): Promise<void> {
  const { blocks, clock } = ports;
  // Writes that were accepted earlier and wait for room are not in the map yet: they would land behind this.
  await flushed(blocks, ref);
  let looked = 0;
  for (let at = from; at < to; ) {
    const extent = await blocks.extent(ref, at, to - at);
    const count = extent.mapped ? Math.min(extent.count, limits.unmapPieceBlocks) : extent.count;
    if (extent.mapped) await unmapped(blocks, ref, at, count);
    at += count;
    if (++looked % limits.extentsPerTurn === 0) {
      await turn(clock);
    }
  }
}
