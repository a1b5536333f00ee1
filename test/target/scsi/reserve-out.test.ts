/**
 * What holds after any sequence of PERSISTENT RESERVE OUT, whoever sends it: the holder is registered, a
 * nexus is registered once and never with key zero, only those who knew a key changed anything.
 */

import test from 'ava';
import fc from 'fast-check';
import { noReservations, type ReservationState } from '../../../target/scsi/reservation-store.ts';
import {
  holds,
  isAllRegistrants,
  ReservationType,
  sameNexus,
} from '../../../target/scsi/reservations.ts';
import * as actions from '../../../target/scsi/reserve-out.ts';

const ports = ['a', 'b', 'c'].map((name) => ({ initiatorPort: name, relativePort: 1 }));
const key = fc.nat(3).map(BigInt);
const request = fc.record({
  who: fc.constantFrom(...ports),
  key,
  serviceKey: key,
  type: fc.constantFrom(...Object.values(ReservationType)),
  persist: fc.boolean(),
  verb: fc.constantFrom('register', 'ignore', 'reserve', 'release', 'clear', 'preempt', 'move'),
  to: fc.constantFrom(...ports),
  unregister: fc.boolean(),
  /** Most of the time the sender knows its key. */
  knows: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
});
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

function run(state: ReservationState, r: Request): actions.Outcome {
  switch (r.verb) {
    case 'register':
      return actions.register(state, r, false);
    case 'ignore':
      return actions.register(state, r, true);
    case 'reserve':
      return actions.reserve(state, r);
    case 'release':
      return actions.release(state, r);
    case 'clear':
      return actions.clear(state, r);
    case 'preempt':
      return actions.preempt(state, r, true);
    default:
      return actions.registerAndMove(state, r, { to: r.to, unregister: r.unregister });
  }
}

test('the state stays sound', (t) => {
  const reached = new Set<string>();
  fc.assert(
    fc.property(fc.array(request, { minLength: 20, maxLength: 60 }), (requests) => {
      let state = noReservations;
      for (const each of requests) {
        const mine = state.registrations.find((one) => sameNexus(one, each.who));
        const sent = each.knows ? { ...each, key: mine?.key ?? 0n } : each;
        const outcome = run(state, sent);
        if (outcome === actions.unchanged || 'refused' in outcome) continue;
        reached.add(each.verb);
        if (each.verb !== 'ignore') t.is(mine?.key ?? 0n, sent.key, 'authorised');
        const next = outcome.state;
        const names = next.registrations.map((one) => one.initiatorPort);
        t.is(new Set(names).size, names.length);
        t.true(next.registrations.every((one) => one.key !== 0n));
        const { holder } = next;
        if (holder !== null) {
          t.true(next.registrations.some((one) => holds(next, one)));
          if (!isAllRegistrants(holder.type)) {
            t.true(next.registrations.some((one) => sameNexus(one, holder)));
          }
        }
        // Who loses the registration to another is told; nobody is told of what it did itself.
        const gone = state.registrations.filter(
          (one) => !sameNexus(one, each.who) && !next.registrations.some((n) => sameNexus(n, one)),
        );
        for (const one of gone) t.true(outcome.notices.some((n) => sameNexus(n.to, one)));
        t.false(outcome.notices.some((n) => sameNexus(n.to, each.who)));
        t.true(outcome.abort.every((one) => state.registrations.includes(one)));
        const kept = each.verb === 'reserve' || each.verb === 'release';
        t.is(next.generation, state.generation + (kept ? 0 : 1));
        state = next;
      }
    }),
    { numRuns: 1000 },
  );
  const verbs = ['clear', 'ignore', 'move', 'preempt', 'register', 'release', 'reserve'];
  t.deepEqual([...reached].sort(), verbs, 'each of them changed something');
});

test('the generation wraps at 32 bits', (t) => {
  const [who] = ports;
  t.truthy(who);
  if (!who) return;
  const outcome = actions.register(
    { ...noReservations, generation: 0xffff_ffff },
    { who, key: 0n, serviceKey: 1n, type: 0, persist: false },
    false,
  );
  t.true(
    outcome !== actions.unchanged && !('refused' in outcome) && outcome.state.generation === 0,
  );
});
