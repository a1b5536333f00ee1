/**
 * Where the persistent reservations of one logical unit are kept: a port with a synchronous
 * snapshot in memory and a `save` that makes it outlive a power loss (APTPL, SPC-4 5.13.5).
 *
 * The logical unit reads `load()` once, when its device is added, and hands every new state as a whole
 * to `save`. APTPL=1 is refused unless `durable`.
 */

/** One registered I_T nexus (SPC-4 5.13.7). */
export interface Registration {
  /** Text of the initiator port: `name,i,0xISID`. */
  readonly initiatorPort: string;
  /** Relative target port identifier it registered through. */
  readonly relativePort: number;
  /** Reservation key, 64 bits, not zero. */
  readonly key: bigint;
}

/** The persistent reservation itself. */
export interface Holder {
  /** PR type code (SPC-4 table 67): 1, 3, 5, 6, 7 or 8. */
  readonly type: number;
  readonly initiatorPort: string;
  readonly relativePort: number;
}

export interface ReservationState {
  readonly registrations: readonly Registration[];
  readonly holder: Holder | null;
  /** PRGENERATION, 32 bits; a power on sets it to zero, whatever APTPL is (SPC-4 6.15.2). */
  readonly generation: number;
  /** Activate persist through power loss, as last set by REGISTER. */
  readonly persist: boolean;
}

export const noReservations: ReservationState = Object.freeze({
  registrations: [],
  holder: null,
  generation: 0,
  persist: false,
});

export interface ReservationStore {
  /** Whether `save` makes the state outlive a power loss. */
  readonly durable: boolean;
  /** The state now. Never waits. After a power loss: what was saved, if it had `persist`, with a
   *  generation of 0; else none (SPC-4 5.13.5). */
  load(): ReservationState;
  /**
   * Takes the new state at once (a following `load` shows it) and calls `done` exactly once when it
   * is as safe as the store promises; with an error when it could not be kept, and then the old state stands.
   */
  save(state: ReservationState, done: (error: Error | null) => void): void;
}

/** Reservations that last as long as the process. */
export class MemoryReservationStore implements ReservationStore {
  readonly durable = false;
  #state: ReservationState = noReservations;

  load(): ReservationState {
    return this.#state;
  }

  save(state: ReservationState, done: (error: Error | null) => void): void {
    this.#state = state;
    done(null);
  }
}
