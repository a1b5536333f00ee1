/**
 * What keeps a copy from a unit of another target, at its beginning and in the middle: no call reaches either device
 * after it, and the sense says why.
 */
import test from 'ava';
import { type Alua, AluaState, fixedAlua } from '../../../target/scsi/alua.ts';
import type { LogicalUnit } from '../../../target/scsi/logical-unit.ts';
import { copied, Two, type TwoOptions } from './two-targets.ts';

const unreachable = '02 0a/0d02';

/** A far target whose one port group has a state that can change. */
function withStates(): TwoOptions & { state: { now: AluaState } } {
  const state: { now: AluaState } = { now: AluaState.optimized };
  const [group] = fixedAlua(1, 1).groups();
  if (group === undefined) throw new Error('one group');
  const alua: Alua = { groups: () => [{ ...group, state: state.now }] };
  return { far: { alua }, state };
}

interface Row {
  readonly name: string;
  readonly happen: (two: Two) => unknown;
  /** How a copy to the far unit ends, and one from it; null: it is no obstacle to that. */
  readonly to: string | null;
  readonly from: string | null;
  /** How one to it ends when a write is inside the device, if that differs. */
  readonly inFlight?: string;
}

const farUnit = (two: Two): LogicalUnit => two.far.route(0, 0) as LogicalUnit;

const rows: readonly Row[] = [
  {
    name: 'the initiator may not use it',
    happen: (two) => {
      two.rules.masked = true;
    },
    to: unreachable,
    from: unreachable,
  },
  {
    name: 'the initiator may only read it',
    happen: (two) => {
      two.rules.readOnly = true;
    },
    to: '02 07/2700',
    from: null,
  },
  {
    name: 'the LUN is taken away',
    happen: (two) => two.far.remove(0),
    to: unreachable,
    from: unreachable,
  },
  {
    name: 'the device is write-protected',
    happen: (two) => two.there.setCapabilities({ readOnly: true }),
    to: '02 07/2700',
    from: null,
    inFlight: '02 0a/0d01',
  },
  {
    name: 'SWP is set',
    happen: (two) => {
      farUnit(two).mode.softwareWriteProtect = true;
    },
    to: '02 07/2702',
    from: null,
  },
  {
    name: 'the medium is ejected',
    happen: (two) => {
      farUnit(two).ejected = true;
    },
    to: unreachable,
    from: unreachable,
  },
];

for (const { name, happen, to, from, inFlight } of rows) {
  for (const back of [false, true]) {
    const end = (back ? from : to) ?? '00';
    test(`${name}: a copy ${back ? 'from it' : 'to it'}`, async (t) => {
      const before = await Two.make();
      void happen(before);
      t.is(await before.ended(before.copy({ back })), end);
      if (end !== '00') t.deepEqual([before.world.device.calls, before.there.log], [[], []]);

      const during = await Two.make();
      during.there.holdWrites = true;
      const copying = during.copy({ back });
      await during.inside(1);
      const calls = during.world.device.calls.length + during.there.log.length;
      void happen(during);
      t.is(await during.ended(copying), back ? end : (inFlight ?? end));
      const now = during.world.device.calls.length + during.there.log.length;
      t.is(now === calls, end !== '00', 'no call after it');
    });
  }
}

for (const [name, state] of Object.entries(AluaState)) {
  const open = state === AluaState.optimized || state === AluaState.nonOptimized;
  test(`access state ${name} of the far target`, async (t) => {
    for (const back of [false, true]) {
      const options = withStates();
      options.state.now = state;
      const before = await Two.make(options);
      t.is(await before.ended(before.copy({ back })), open ? '00' : unreachable);

      const later = withStates();
      const during = await Two.make(later);
      during.there.holdWrites = true;
      const copying = during.copy({ back });
      await during.inside(1);
      later.state.now = state;
      t.is(await during.ended(copying), open ? '00' : unreachable);
    }
  });
}

test('the far device has become too small for the rest', async (t) => {
  const two = await Two.make();
  two.there.holdWrites = true;
  const copying = two.copy();
  await two.inside(1);
  two.there.resize(copied);
  t.is(await two.ended(copying), '02 0a/0000');
  t.is(two.there.log.length, 2);
});
