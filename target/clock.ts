/**
 * The port to time for the transport, and its real implementation: the only file of this package
 * that touches timers and Date. A simulation passes its own Clock.
 */

/** Milliseconds. */
export interface Clock {
  /** Monotonic milliseconds, with fractions; the origin means nothing. */
  now(): number;
  /** Wall clock: milliseconds since 1970-01-01T00:00:00Z. */
  wall(): number;
  /** Call `fire` once, `delayMs` from now; returns the way to cancel. Keeps no process alive. */
  after(delayMs: number, fire: () => void): () => void;
  /** Call `fire` when the code that runs now has returned, before anything else is waited for. */
  soon(fire: () => void): void;
}

export const realClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  soon: (fire) => queueMicrotask(fire),
};
