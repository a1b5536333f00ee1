/**
 * A copy obeys the reservations of a unit of another target by its initiator port, name and ISID: its own
 * reservation there does not keep it out, that of any other port does.
 */
import test from 'ava';
import type { Nexus } from '../../../target/scsi/nexus.ts';
import { Two } from './two-targets.ts';

const Type = { we: 1, ea: 3, wero: 5, earo: 6, wear: 7, eaar: 8 } as const;

/** A nexus of the far target: name, ISID, relative target port. The copy comes from `a a 1`. */
type Who = readonly [string, string, number];
const own: Who = ['a', 'a', 1];
const otherPort: Who = ['a', 'a', 2];
const otherIsid: Who = ['a', 'b', 1];
const stranger: Who = ['b', 'a', 1];

interface Row {
  readonly name: string;
  readonly registered?: readonly Who[];
  readonly holder: Who;
  readonly type: number;
  /** Written to, and read from. */
  readonly to: string;
  readonly from: string;
}

const rows: readonly Row[] = [
  { name: 'write exclusive, own', holder: own, type: Type.we, to: '00', from: '00' },
  { name: 'exclusive access, own', holder: own, type: Type.ea, to: '00', from: '00' },
  {
    name: 'exclusive access, own by another target port',
    holder: otherPort,
    type: Type.ea,
    to: '00',
    from: '00',
  },
  { name: 'write exclusive, another ISID', holder: otherIsid, type: Type.we, to: '18', from: '00' },
  {
    name: 'exclusive access, another ISID',
    holder: otherIsid,
    type: Type.ea,
    to: '18',
    from: '18',
  },
  { name: 'write exclusive, a stranger', holder: stranger, type: Type.we, to: '18', from: '00' },
  { name: 'exclusive access, a stranger', holder: stranger, type: Type.ea, to: '18', from: '18' },
  {
    name: 'write exclusive, a stranger, and we are registered',
    registered: [own],
    holder: stranger,
    type: Type.we,
    to: '18',
    from: '00',
  },
  {
    name: 'registrants only, registered',
    registered: [own],
    holder: stranger,
    type: Type.wero,
    to: '00',
    from: '00',
  },
  {
    name: 'registrants only, registered by another target port',
    registered: [otherPort],
    holder: stranger,
    type: Type.earo,
    to: '00',
    from: '00',
  },
  {
    name: 'registrants only, registered with another ISID',
    registered: [otherIsid],
    holder: stranger,
    type: Type.earo,
    to: '18',
    from: '18',
  },
  {
    name: 'registrants only, not registered',
    holder: stranger,
    type: Type.wero,
    to: '18',
    from: '00',
  },
  {
    name: 'all registrants, registered',
    registered: [own],
    holder: stranger,
    type: Type.eaar,
    to: '00',
    from: '00',
  },
  {
    name: 'all registrants, not registered',
    holder: stranger,
    type: Type.wear,
    to: '18',
    from: '00',
  },
];

function enter(two: Two, [name, isid, port]: Who): Promise<Nexus> {
  const over = { isid: `80000000000${isid}`, relativePort: port, portalGroup: port };
  return two.enter(name, over);
}

for (const { name, registered = [], holder, type, to, from } of rows) {
  test(name, async (t) => {
    const two = await Two.make();
    const holding = await enter(two, holder);
    t.is(await two.reserveOut(holding, 0, 0, 0, 1), '00');
    for (const each of registered) {
      t.is(await two.reserveOut(await enter(two, each), 0, 0, 0, 2), '00');
    }
    t.is(await two.reserveOut(holding, 1, type, 1), '00');
    t.is(await two.ended(two.copy()), to);
    t.is(await two.ended(two.copy({ back: true })), from);
    t.is(two.there.log.length === 0, to !== '00', 'written or not');
  });
}

// SPC-2 RESERVE keeps everybody else from reading as well.
for (const [name, who, end] of [
  ['SPC-2 RESERVE, own', own, '00'],
  ['SPC-2 RESERVE, own by another target port', otherPort, '00'],
  ['SPC-2 RESERVE, another ISID', otherIsid, '18'],
  ['SPC-2 RESERVE, a stranger', stranger, '18'],
] as const) {
  test(name, async (t) => {
    const two = await Two.make();
    t.is(await two.farRun('16', await enter(two, who)), '00');
    t.is(await two.ended(two.copy()), end);
    t.is(await two.ended(two.copy({ back: true })), end);
  });
}

test('within a target nothing changes: another nexus of the same port is another nexus', async (t) => {
  const two = await Two.make();
  const here = two.far.route(0, 0);
  const holding = await enter(two, own);
  const twin = await enter(two, otherPort);
  t.is(await two.reserveOut(holding, 0, 0, 0, 1), '00');
  t.is(await two.reserveOut(holding, 1, Type.we, 1), '00');
  t.is(await two.farRun('2a 00 00000000 00 0001', twin, new Uint8Array(512)), '18');
  t.not(here.device, null);
});
