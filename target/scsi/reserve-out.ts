/**
 * The service actions of PERSISTENT RESERVE OUT as functions from state to state (SPC-4 6.16 and
 * 5.13.7–5.13.11). No I/O and no knowledge of tasks: each returns the change, or how it is refused.
 */

import { scsiLimits } from './limits.ts';
import type { Registration, ReservationState } from './reservation-store.ts';
import {
  type Change,
  hasRoom,
  holderOf,
  holds,
  isAllRegistrants,
  isForRegistrants,
  type Notice,
  sameNexus,
} from './reservations.ts';
import { Sense, type SenseCode } from './sense.ts';

/** Why it is refused. `parameter` is the byte of the parameter list. */
export type Refusal =
  | { readonly refused: 'conflict' }
  | { readonly refused: 'sense'; readonly code: SenseCode; readonly parameter: number | null };

/** GOOD without any change. */
export const unchanged = Symbol('unchanged');
export type Outcome = Change | Refusal | typeof unchanged;

/** What the CDB and the parameter list say. */
export interface ReserveOut {
  /** The nexus it came from. */
  readonly who: { readonly initiatorPort: string; readonly relativePort: number };
  readonly key: bigint;
  readonly serviceKey: bigint;
  readonly type: number;
  readonly persist: boolean;
  /** Further nexuses that REGISTER registers with the same key: ALL_TG_PT and SPEC_I_PT. */
  readonly also?: readonly ReserveOut['who'][];
  /** SPEC_I_PT: `also` names initiator ports of the sender's choice. */
  readonly specified?: boolean;
}

const conflict: Refusal = { refused: 'conflict' };

function badParameter(parameter: number): Refusal {
  return { refused: 'sense', code: Sense.invalidFieldInParameters, parameter };
}

/** PRGENERATION wraps at 32 bits. */
function next(state: ReservationState): number {
  return (state.generation + 1) >>> 0;
}

function find(state: ReservationState, who: ReserveOut['who']): Registration | null {
  return state.registrations.find((each) => sameNexus(each, who)) ?? null;
}

/** The registration of the sender, if its key is the one given. */
function authorised(state: ReservationState, out: ReserveOut): Registration | null {
  const mine = find(state, out.who);
  return mine !== null && mine.key === out.key ? mine : null;
}

function notify(
  registrations: readonly Registration[],
  code: SenseCode,
  except: ReserveOut['who'] | null,
): Notice[] {
  return registrations
    .filter((each) => except === null || !sameNexus(each, except))
    .map((to) => ({ to, code }));
}

/** REGISTER (ignore = false) and REGISTER AND IGNORE EXISTING KEY (true), SPC-4 5.13.7. */
export function register(state: ReservationState, out: ReserveOut, ignore: boolean): Outcome {
  const mine = find(state, out.who);
  if (!ignore && (mine?.key ?? 0n) !== out.key) return conflict;
  // A registered nexus cannot name others (SPC-4 table 55).
  if (mine !== null && out.specified) return badParameter(20);
  if (out.serviceKey === 0n)
    return mine === null ? unchanged : unregister(state, mine, out.persist);
  const registrations = [...state.registrations];
  for (const who of [out.who, ...(out.also ?? [])]) {
    const at = registrations.findIndex((each) => sameNexus(each, who));
    const old = registrations[at];
    // The registration of another nexus is replaced only by who knows its key; all of them or none.
    if (old && !ignore && old.key !== out.key && old.key !== out.serviceKey) return conflict;
    const added: Registration = {
      initiatorPort: who.initiatorPort,
      relativePort: who.relativePort,
      key: out.serviceKey,
    };
    if (old) registrations[at] = added;
    else registrations.push(added);
  }
  if (registrations.length > scsiLimits.registrations) {
    return { refused: 'sense', code: Sense.noRegistrationResources, parameter: null };
  }
  return settle({ ...state, registrations, generation: next(state), persist: out.persist });
}

/** SPC-4 5.13.11.3: the reservation goes with its last holder. */
function unregister(state: ReservationState, mine: Registration, persist: boolean): Outcome {
  const registrations = state.registrations.filter((each) => each !== mine);
  const { holder } = state;
  const base = { registrations, generation: next(state), persist };
  if (holder === null) return settle({ ...base, holder });
  const released = isAllRegistrants(holder.type)
    ? registrations.length === 0
    : sameNexus(holder, mine);
  if (!released) return settle({ ...base, holder });
  const notices = isForRegistrants(holder.type)
    ? notify(registrations, Sense.reservationsReleased, null)
    : [];
  return settle({ ...base, holder: null }, notices);
}

/** RESERVE, SPC-4 5.13.9. */
export function reserve(state: ReservationState, out: ReserveOut): Outcome {
  const mine = authorised(state, out);
  if (mine === null) return conflict;
  if (state.holder === null) return settle({ ...state, holder: holderOf(mine, out.type) });
  return holds(state, mine) && state.holder.type === out.type ? unchanged : conflict;
}

/** RELEASE, SPC-4 5.13.11.2. */
export function release(state: ReservationState, out: ReserveOut): Outcome {
  const mine = authorised(state, out);
  if (mine === null) return conflict;
  const { holder } = state;
  if (holder === null || !holds(state, mine)) return unchanged;
  if (holder.type !== out.type) {
    return { refused: 'sense', code: Sense.invalidRelease, parameter: null };
  }
  const notices = isForRegistrants(holder.type)
    ? notify(state.registrations, Sense.reservationsReleased, mine)
    : [];
  return settle({ ...state, holder: null }, notices);
}

/** CLEAR, SPC-4 5.13.11.6. */
export function clear(state: ReservationState, out: ReserveOut): Outcome {
  const mine = authorised(state, out);
  if (mine === null) return conflict;
  return settle(
    { ...state, registrations: [], holder: null, generation: next(state) },
    notify(state.registrations, Sense.reservationsPreempted, mine),
  );
}

/** PREEMPT and PREEMPT AND ABORT, SPC-4 5.13.11.4 and 5.13.11.5. */
export function preempt(state: ReservationState, out: ReserveOut, abort: boolean): Outcome {
  const mine = authorised(state, out);
  if (mine === null) return conflict;
  const { holder } = state;
  const all = holder !== null && isAllRegistrants(holder.type);
  if (out.serviceKey === 0n) {
    if (!all) return badParameter(8);
    const others = state.registrations.filter((each) => each !== mine);
    return takeOver(state, out, mine, others, abort);
  }
  const victims = state.registrations.filter((each) => each.key === out.serviceKey);
  const holderKey =
    holder === null || all
      ? null
      : (state.registrations.find((e) => sameNexus(e, holder))?.key ?? null);
  if (holderKey === out.serviceKey) {
    const others = victims.filter((each) => each !== mine);
    return takeOver(state, out, mine, others, abort);
  }
  if (victims.length === 0) return conflict;
  const registrations = state.registrations.filter((each) => !victims.includes(each));
  // Of an all registrants reservation the last registrant may have removed itself.
  const kept = all && registrations.length === 0 ? null : holder;
  return {
    state: { ...state, registrations, holder: kept, generation: next(state) },
    notices: notify(victims, Sense.registrationsPreempted, mine),
    abort: abort ? victims : [],
  };
}

/** The reservation becomes the sender's, of the type asked for; `others` lose their registration. */
function takeOver(
  state: ReservationState,
  out: ReserveOut,
  mine: Registration,
  others: readonly Registration[],
  abort: boolean,
): Change {
  const before = state.holder;
  const registrations = state.registrations.filter((each) => !others.includes(each));
  const notices = notify(others, Sense.registrationsPreempted, null);
  // 5.13.11.4.3: who stays registered hears of a reservation whose type is another now.
  if (before !== null && before.type !== out.type && isForRegistrants(before.type)) {
    notices.push(...notify(registrations, Sense.reservationsReleased, mine));
  }
  return {
    state: { ...state, registrations, holder: holderOf(mine, out.type), generation: next(state) },
    notices,
    abort: abort ? others : [],
  };
}

/** What REGISTER AND MOVE has besides. */
export interface Move {
  readonly to: { readonly initiatorPort: string; readonly relativePort: number };
  readonly unregister: boolean;
}

/** REGISTER AND MOVE, SPC-4 5.13.8. */
export function registerAndMove(state: ReservationState, out: ReserveOut, move: Move): Outcome {
  const mine = authorised(state, out);
  if (mine === null) return conflict;
  const { holder } = state;
  if (holder === null || !holds(state, mine)) return conflict;
  if (isAllRegistrants(holder.type)) return conflict;
  if (out.serviceKey === 0n) return badParameter(8);
  if (sameNexus(move.to, mine)) return badParameter(24);
  const present = find(state, move.to);
  if (present === null && !move.unregister && !hasRoom(state)) {
    return { refused: 'sense', code: Sense.noRegistrationResources, parameter: null };
  }
  const target: Registration = { ...move.to, key: out.serviceKey };
  const registrations = state.registrations
    .filter((each) => each !== present && !(move.unregister && each === mine))
    .concat(target);
  return settle({
    registrations,
    holder: holderOf(target, holder.type),
    generation: next(state),
    persist: out.persist,
  });
}

function settle(state: ReservationState, notices: readonly Notice[] = []): Change {
  return { state, notices, abort: [] };
}
