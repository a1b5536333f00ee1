/**
 * The port to whole contents: what a store can do with address spaces beside reading and writing them.
 *
 * A *frozen* space never changes: writes, unmaps and promises are refused with INVALID, `drop` is the only way
 * it ends. Spaces share blocks until one of them is written; `drop` works in any order, for frozen and writable
 * spaces, and gives back exactly what no other space holds. `usage(ref).mapped` counts what a space holds, shared
 * or not; a promise (`reserved`) is for blocks that are the space's own, so what it shares does not count for it.
 */
import type { Blocks } from './blocks.ts';

/** A space to freeze, and the ref under which its content is kept. */
export interface SnapshotPair {
  readonly of: number;
  readonly as: number;
}

export interface Images {
  /**
   * Freeze what each `of` holds under the new ref `as`, all at one point: every change completed before the call
   * is in, none accepted after it is. Durable when it resolves, all or nothing; the disk calls do not depend
   * on sizes. NOT_FOUND, EXISTS, INVALID (`of` is frozen), NO_SPACE (a promise of `of` could not be kept).
   */
  snapshot(pairs: readonly SnapshotPair[]): Promise<void>;
  /**
   * A writable space `ref` with the content of the frozen `from`; `reserved` blocks are promised to it. No data is
   * written. Durable. NOT_FOUND, EXISTS, INVALID (`from` is not frozen), NO_SPACE.
   */
  clone(from: number, ref: number, reserved: number): Promise<void>;
  /**
   * The content of the writable `ref` becomes that of the frozen `from`; what nothing else holds is given back.
   * Durable, and the same again changes nothing. NOT_FOUND, INVALID.
   */
  revert(ref: number, from: number): Promise<void>;
  isFrozen(ref: number): boolean;
  /** Blocks that only spaces of `refs` hold: what dropping all of them gives back. Exact; may walk their maps. */
  exclusive(refs: readonly number[]): Promise<number>;
  /**
   * Whether the two spaces may differ at `block`, and for how many blocks (at most `count`) that answer holds. Never
   * says "equal" of what differs; ranges that both share are passed over quickly.
   */
  difference(
    a: number,
    b: number,
    block: number,
    count: number,
  ): Promise<{ readonly differs: boolean; readonly count: number }>;
}

/** A store that has all of it. */
export type ImageBlocks = Blocks & Images;
