/**
 * What a store on a device's image holds, held against a history. The image is the whole device:
 * label, Directory and log, or one disk of a mirrored pair whose other disk is lost.
 */
import { readLabel } from '../../../storage/disk/label.ts';
import { Slice } from '../../../storage/disk/slice.ts';
import * as ours from '../../../storage/map/open.ts';
import type { ArraySoftware } from '../../sim/array-bed.ts';
import { reopen } from '../../sim/array-crash.ts';
import { judge } from '../../sim/crash-points.ts';
import type { History } from '../../sim/store-history.ts';
import type { Software } from '../../sim/store-load.ts';
import type { Judge } from './replay.ts';

/** Ours, on the disk that the label describes. */
const labelled: Software = {
  formatBlocks: ours.formatBlocks,
  openBlocks: async (ports, options) => {
    const label = await readLabel(ports.disk, () => {});
    if (label === null) throw new Error('the device has no label');
    const { offset, length } = label.log;
    return await ours.openBlocks(
      { ...ports, disk: new Slice(ports.disk, offset, length) },
      options,
    );
  },
};

export const judgeSingle =
  (history: History, size: number): Judge =>
  (image, mark, again) =>
    judge(labelled, { history, size }, image, mark, again);

/** `software`: see `ourSoftware`. */
export const judgeMirror =
  (history: History, software: ArraySoftware): Judge =>
  async (image, { acked, issued }, again) => {
    try {
      const first = await reopen(software, [image, undefined], history);
      const wrong = history.judge(acked, issued, first.exists, first.stamp);
      if (wrong !== null || !again) return wrong;
      const second = await reopen(software, [first.images[0], undefined], history);
      const changed = history.refs.some((ref) =>
        history.blocks(ref).some((block) => first.stamp(ref, block) !== second.stamp(ref, block)),
      );
      return changed ? 'what it held changed by itself' : null;
    } catch (error) {
      return `recovery failed: ${(error as Error).stack}`;
    }
  };
