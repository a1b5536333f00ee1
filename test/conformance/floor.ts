/** What `npm run conformance` demands. */

/** What has been reached in all configurations together: falling below it is a failure. */
export const PASS_FLOOR = 230;

/** Small enough for a temporary store, large enough for every test's offsets. */
export const LUN_BYTES = 2 ** 30;
