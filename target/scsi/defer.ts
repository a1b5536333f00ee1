/**
 * The port through which long commands let others run: real here, a queue of its own in a
 * simulation. The one place of scsi/ that touches the event loop.
 */

/** Calls `next` once, in a later turn. */
export type Defer = (next: () => void) => void;

export const nextTurn: Defer = (next) => {
  setImmediate(next);
};
