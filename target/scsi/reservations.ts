/**
 * Persistent reservations of one logical unit (SPC-4 5.13): which nexus is registered with which
 * key, who holds the reservation, whom a command conflicts with, and how each PERSISTENT RESERVE OUT
 * changes that.
 *
 * A change is computed as a whole new state (plus the unit attentions it causes), handed to the store,
 * and taken over only when the store has it; changes are strictly one after the other. A change that
 * the store could not keep leaves everything as it was. A nexus is known by its initiator port
 * (name and ISID) and relative target port, so a registration outlives the session.
 */
import { strict as assert } from 'node:assert';
import { Access } from './command.ts';
import { scsiLimits } from './limits.ts';
import { initiatorPort, type Nexus } from './nexus.ts';
import type {
  Holder,
  Registration,
  ReservationState,
  ReservationStore,
} from './reservation-store.ts';
import type { SenseCode } from './sense.ts';

/** PR type codes (SPC-4 table 67). */
export const ReservationType = {
  writeExclusive: 1,
  exclusiveAccess: 3,
  writeExclusiveRegistrants: 5,
  exclusiveAccessRegistrants: 6,
  writeExclusiveAll: 7,
  exclusiveAccessAll: 8,
} as const;
export type ReservationType = (typeof ReservationType)[keyof typeof ReservationType];

const t = ReservationType;
const types: readonly number[] = Object.values(ReservationType);
const writeExclusive: readonly number[] = [
  t.writeExclusive,
  t.writeExclusiveRegistrants,
  t.writeExclusiveAll,
];

export function isReservationType(type: number): boolean {
  return types.includes(type);
}

/** Every registered nexus holds it. */
export function isAllRegistrants(type: number): boolean {
  return type === t.writeExclusiveAll || type === t.exclusiveAccessAll;
}

/** Registered nexuses have access: registrants only and all registrants types. */
export function isForRegistrants(type: number): boolean {
  return type >= t.writeExclusiveRegistrants;
}

/** A unit attention for the nexuses of one registration. */
export interface Notice {
  readonly to: Registration;
  readonly code: SenseCode;
}

/** What a PERSISTENT RESERVE OUT comes to. */
export interface Change {
  readonly state: ReservationState;
  readonly notices: readonly Notice[];
  /** Whose tasks PREEMPT AND ABORT ends. */
  readonly abort: readonly Registration[];
}

/** What the reservations need of their logical unit. */
export interface ReservationHost {
  postTo(nexus: Nexus, code: SenseCode): void;
  nexusesOf(port: string, relativePort: number): Nexus[];
}

/** The same nexus, whatever the key. */
export function sameNexus(
  a: { readonly initiatorPort: string; readonly relativePort: number },
  b: { readonly initiatorPort: string; readonly relativePort: number },
): boolean {
  return a.initiatorPort === b.initiatorPort && a.relativePort === b.relativePort;
}

/** Whether `who` holds the reservation of `state`. */
export function holds(state: ReservationState, who: Registration): boolean {
  const { holder } = state;
  if (holder === null) return false;
  return isAllRegistrants(holder.type) || sameNexus(holder, who);
}

export function identify(nexus: Nexus): { initiatorPort: string; relativePort: number } {
  return { initiatorPort: initiatorPort(nexus), relativePort: nexus.relativePort };
}

/** One queued change: computed when its turn comes, against the state of then. */
interface Turn {
  run(state: ReservationState): Change | null;
  done(error: Error | null, change: Change | null): void;
}

export class Reservations {
  readonly #host: ReservationHost;
  readonly #store: ReservationStore;
  /** Turns not begun; at most one a command in flight, which the transport bounds. */
  readonly #queue: Turn[] = [];
  /** A change is with the store. */
  #saving = false;
  #working = false;
  #state: ReservationState;
  /** Registrations by nexus object, for the check of every command. Made anew at each change. */
  #known = new WeakMap<Nexus, Registration | null>();

  constructor(host: ReservationHost, store: ReservationStore) {
    this.#host = host;
    this.#store = store;
    this.#state = store.load();
  }

  get state(): ReservationState {
    return this.#state;
  }

  /** Whether APTPL can be promised. */
  get durable(): boolean {
    return this.#store.durable;
  }

  /** Whether there is a reservation at all. */
  get held(): boolean {
    return this.#state.holder !== null;
  }

  registration(nexus: Nexus): Registration | null {
    let found = this.#known.get(nexus);
    if (found === undefined) {
      const who = identify(nexus);
      found = this.#state.registrations.find((each) => sameNexus(each, who)) ?? null;
      this.#known.set(nexus, found);
    }
    return found;
  }

  /** Whether `nexus` may not do what needs `access` (SPC-4 table 65). */
  conflicts(access: Access, nexus: Nexus): boolean {
    const { holder } = this.#state;
    if (holder === null || access === Access.always) return false;
    const mine = this.registration(nexus);
    if (mine !== null && (isForRegistrants(holder.type) || sameNexus(holder, mine))) return false;
    return access === Access.write || !writeExclusive.includes(holder.type);
  }

  /** As `conflicts`, for an initiator port through whichever target port (see LogicalUnit.bars). */
  conflictsPort(access: Access, initiatorPort: string): boolean {
    const { holder, registrations } = this.#state;
    if (holder === null || access === Access.always) return false;
    const mine = registrations.filter((each) => each.initiatorPort === initiatorPort);
    const all = isForRegistrants(holder.type);
    if (mine.some((each) => all || sameNexus(holder, each))) return false;
    return access === Access.write || !writeExclusive.includes(holder.type);
  }

  /**
   * Runs `run` when all earlier changes are kept, and keeps what it returns (null: nothing changes).
   * `done` is called once; with an error when the store failed.
   */
  change(
    run: (state: ReservationState) => Change | null,
    done: (error: Error | null, change: Change | null) => void,
  ): void {
    this.#queue.push({ run, done });
    this.#work();
  }

  /** A loop and not a recursion: however many turns wait, the stack stays flat. */
  #work(): void {
    if (this.#working) return;
    this.#working = true;
    while (!this.#saving) {
      const turn = this.#queue.shift();
      if (turn === undefined) break;
      const change = turn.run(this.#state);
      if (change === null) turn.done(null, null);
      else this.#save(turn, change);
    }
    this.#working = false;
  }

  #save(turn: Turn, change: Change): void {
    this.#saving = true;
    this.#store.save(change.state, (error) => {
      assert(this.#saving, 'the store answered twice');
      if (error === null) this.#take(change);
      turn.done(error, change);
      this.#saving = false;
      this.#work();
    });
  }

  #take(change: Change): void {
    this.#state = change.state;
    this.#known = new WeakMap();
    for (const { to, code } of change.notices) {
      for (const nexus of this.#host.nexusesOf(to.initiatorPort, to.relativePort)) {
        this.#host.postTo(nexus, code);
      }
    }
  }
}

/** A new holder record. */
export function holderOf(who: Registration, type: number): Holder {
  return { type, initiatorPort: who.initiatorPort, relativePort: who.relativePort };
}

/** Whether one more registration fits. */
export function hasRoom(state: ReservationState): boolean {
  return state.registrations.length < scsiLimits.registrations;
}
