/** A store whose disk has become larger, or is to become smaller. */
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { SegmentState } from '../log/segments.ts';
import type { Content } from './content.ts';

/** NO_SPACE: what is held and promised would not fit; nothing has changed then. */
export function resizeLog({ segments, account }: Content, bytes: number): void {
  const before = segments.count;
  const count = Math.floor(bytes / limits.segmentBytes) - 1;
  if (count === before) return;
  if (!account.resize(count)) {
    throw new StorageError('NO_SPACE', 'what the store holds and has promised would not fit');
  }
  if (segments.resize(count)) return;
  account.resize(before);
  throw new StorageError('NO_SPACE', 'the log has been where the store would end');
}

/** Whether anything may need what a segment holds. */
export const isNeeded = ({ segments }: Content, segment: number): boolean =>
  segment <= segments.count && segments.state(segment) !== SegmentState.free;
