/** What `npm run conformance` demands. */

/** What tgt 1.0.85 passes with a thin file-backed LUN: falling below a peer is a failure. */
export const PASS_FLOOR = 171;

/** Small enough for a temporary store, large enough for every test's offsets. */
export const LUN_BYTES = 2 ** 30;
