/**
 * What a store on a device's image holds, held against a history. The image is the whole device:
 * label, Directory and log, or one disk of a mirrored pair whose other disk is lost.
 */
import { readLabel } from '../../../storage/disk/label.ts';
import { Slice } from '../../../storage/disk/slice.ts';
import * as ours from '../../../storage/map/open.ts';
import type { ArraySoftware } from '../../sim/array-bed.ts';
import { arrayOpenerOf } from '../../sim/array-crash.ts';
import { judgeState } from '../../sim/crash-check.ts';
import { openerOf } from '../../sim/crash-points.ts';
import { blankDisk } from '../../sim/replay.ts';
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
  (state, mark, again) =>
    judgeState(openerOf(labelled), { history, size }, [state], mark, again);

/** `software`: see `ourSoftware`. */
export const judgeMirror =
  (history: History, size: number, software: ArraySoftware): Judge =>
  (state, mark, again) =>
    judgeState(arrayOpenerOf(software), { history, size }, [state, blankDisk], mark, again);
