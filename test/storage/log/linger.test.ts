/** Waiting for company ends with it, is bounded, and becomes rare where it is in vain. */
import test from 'ava';
import { Linger } from '../../../storage/log/linger.ts';
import { SimClock } from '../../sim/clock.ts';

/** One turn of the event loop takes a tenth of a millisecond. */
function bed() {
  const clock = new SimClock();
  const state = { here: 0, full: false, left: 0, turns: 0 };
  const linger = new Linger({
    clock: {
      now: () => clock.now(),
      wall: () => clock.wall(),
      after: (delayMs, fire) => clock.after(delayMs, fire),
      soon: (fire) => void clock.after(0.1, fire),
    },
    here: () => state.here,
    full: () => state.full,
    leave: () => {
      state.left += 1;
      state.here = 0;
    },
  });
  const turn = () => {
    state.turns += 1;
    return clock.step();
  };
  return { linger, state, turn };
}

test('it ends when all who were answered are here again', (t) => {
  const { linger, state, turn } = bed();
  state.here = 2;
  t.true(linger.start(2, 4));
  for (const here of [2, 3, 4]) {
    t.is(state.left, 0);
    state.here = here;
    turn();
  }
  t.is(state.left, 1);
  t.false(linger.active);
});

test('it ends when the group is large enough by itself', (t) => {
  const { linger, state, turn } = bed();
  t.true(linger.start(9, 4));
  state.full = true;
  turn();
  t.is(state.left, 1);
});

test('nobody came: it ends after a quarter of what the group took', (t) => {
  const { linger, state, turn } = bed();
  linger.start(5, 4);
  while (linger.active) turn();
  t.true(state.turns >= 10 && state.turns <= 11, String(state.turns));
});

test('one after the other comes: it lasts no longer than the group took', (t) => {
  const { linger, state, turn } = bed();
  linger.start(1000, 4);
  while (linger.active) {
    turn();
    state.here += 1;
  }
  t.true(state.turns >= 39 && state.turns <= 41, String(state.turns));
});

test('a lone host is never waited for', (t) => {
  t.false(bed().linger.start(1, 4));
});

test('waits in vain become rare, until one is worth it again', (t) => {
  const { linger, state, turn } = bed();
  const waits = (groups: number, here: number) => {
    let count = 0;
    for (let group = 0; group < groups; group += 1) {
      state.here = 0;
      if (linger.start(4, 4)) count += 1;
      state.here = here;
      while (linger.active) turn();
    }
    return count;
  };
  const vain = waits(1000, 0);
  t.true(vain >= 10 && vain <= 25, `${vain} of 1000`);
  waits(64, 4);
  t.is(waits(100, 4), 100);
});
