/**
 * The port to time. Nothing in storage/ but `realClock` touches Date or timers, so that a
 * simulation can run a whole server from a seed.
 */

/** Milliseconds. */
export interface Clock {
  /** Monotonic milliseconds, with fractions; the origin means nothing. */
  now(): number;
  /** Wall clock: milliseconds since 1970-01-01T00:00:00Z. */
  wall(): number;
  /** Call `fire` once, `delayMs` from now; returns the way to cancel. Keeps no process alive. */
  after(delayMs: number, fire: () => void): () => void;
  /** Call `fire` when the current input has been handled, before waiting for more. */
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
  soon: (fire) => setImmediate(fire),
};

/** Resolves when `ms` have passed. */
export const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(ms, resolve);
  });

/** Others have their turn. */
export const turn = (clock: Clock): Promise<void> => new Promise((resolve) => clock.soon(resolve));
