/** The port to whole contents: what a store can do with them beside reading and writing. */

export interface Images {
  /**
   * Freeze what each `of` holds now under a new ref `as`, all at one point: every change completed before
   * the call is in, none accepted after it. Durable when it resolves; disk calls do not depend on sizes.
   * NOT_FOUND, EXISTS, INVALID (`of` is frozen), NO_SPACE (a promise could not be kept any more).
   */
  snapshot(pairs: readonly { readonly of: number; readonly as: number }[]): Promise<void>;
  /**
   * A writable space `ref` with the content of the frozen `from`; `reserved` blocks are promised to it. No
   * data is written. NOT_FOUND, EXISTS, INVALID (`from` is not frozen), NO_SPACE.
   */
  clone(from: number, ref: number, reserved: number): Promise<void>;
  /**
   * The content of the writable `ref` becomes that of the frozen `from`; what nothing else holds is given
   * back. Durable when it resolves. NOT_FOUND, INVALID, NO_SPACE.
   */
  revert(ref: number, from: number): Promise<void>;
  /** A frozen space never changes. */
  isFrozen(ref: number): boolean;
  /** Blocks that only these spaces hold together: what dropping all of them gives back. Exact. */
  exclusive(refs: readonly number[]): Promise<number>;
  /**
   * Whether two spaces may differ at `block`, and for how many blocks (at most `count`, at least one) that
   * answer holds. What differs is never called equal; ranges that both share are passed over quickly.
   */
  difference(a: number, b: number, block: number, count: number): Promise<Difference>;
}

export interface Difference {
  readonly differs: boolean;
  readonly count: number;
}
