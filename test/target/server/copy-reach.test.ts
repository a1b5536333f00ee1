/**
 * A copy reaches a unit of another target only where its initiator could log in as it is: by the rules,
 * and with CHAP by having proved the very secret that the other target asks for. All else is not there.
 */
import test from 'ava';
import { realClock } from '../../../target/clock.ts';
import { reach } from '../../../target/copy-reach.ts';
import { RamDevice } from '../../../target/index.ts';
import type { LogicalUnit } from '../../../target/scsi/logical-unit.ts';
import { type Access, type Peer, Target, type TargetOptions } from '../../../target/target.ts';

const MiB = 2 ** 20;
const peer: Peer = { initiator: 'iqn.2026-11.test:host', address: '192.0.2.1', user: null };

function targetOf(name: string, options: Partial<TargetOptions> = {}, naa?: Uint8Array): Target {
  const port = { portalGroup: 1, relativePort: 1 };
  const whole: TargetOptions = { name, access: () => 'read-write', ...options };
  const target = new Target(whole, name, port, realClock);
  const identity = naa === undefined ? {} : { identity: { naa } };
  target.scsi.add(0, new RamDevice({ bytes: MiB, ...identity }));
  return target;
}

const unitOf = (target: Target): LogicalUnit => target.scsi.route(0, 0) as LogicalUnit;
const naaOf = (target: Target): Uint8Array => unitOf(target).device.identity.naa;

const chap =
  (secret: string, readOnly = false): NonNullable<TargetOptions['chap']> =>
  () => ({ user: (name) => (name === 'anna' ? { secret, readOnly } : null) });

interface Row {
  readonly name: string;
  readonly home?: Partial<TargetOptions>;
  readonly other: Partial<TargetOptions>;
  readonly user?: string;
  /** Null: not there. */
  readonly expected: Access;
}

const open = 'secret-of-anna';
const rows: readonly Row[] = [
  { name: 'no CHAP anywhere, admitted', other: {}, expected: 'read-write' },
  { name: 'not admitted', other: { access: () => 'none' }, expected: 'none' },
  { name: 'admitted to read', other: { access: () => 'read-only' }, expected: 'read-only' },
  { name: 'CHAP there, none here', other: { chap: chap(open) }, expected: 'none' },
  {
    name: 'the same user and secret at both',
    home: { chap: chap(open) },
    other: { chap: chap(open) },
    user: 'anna',
    expected: 'read-write',
  },
  {
    name: 'the same user with another secret',
    home: { chap: chap(open) },
    other: { chap: chap('another-secret') },
    user: 'anna',
    expected: 'none',
  },
  {
    name: 'a user that may only read there',
    home: { chap: chap(open) },
    other: { chap: chap(open, true) },
    user: 'anna',
    expected: 'read-only',
  },
  {
    name: 'a user that is not known there',
    home: { chap: () => ({ user: () => ({ secret: open }) }) },
    other: { chap: chap(open) },
    user: 'bert',
    expected: 'none',
  },
  {
    name: 'CHAP here, none there',
    home: { chap: chap(open) },
    other: {},
    user: 'anna',
    expected: 'read-write',
  },
  {
    name: 'a rule by user',
    home: { chap: chap(open) },
    other: { chap: chap(open), access: ({ user }) => (user === 'anna' ? 'read-write' : 'none') },
    user: 'anna',
    expected: 'read-write',
  },
];

for (const { name, home = {}, other, user = null, expected } of rows) {
  test(name, (t) => {
    const here = targetOf('iqn.2026-11.test:here', home);
    const there = targetOf('iqn.2026-11.test:there', other);
    const found = reach(here, [here, there], { ...peer, user }, false, naaOf(there));
    if (expected === 'none') t.is(found, null);
    else {
      t.is(found?.unit, unitOf(there));
      t.is(found?.readOnly, expected === 'read-only');
    }
  });
}

test('a hidden target is not there', (t) => {
  const here = targetOf('iqn.2026-11.test:here');
  const there = targetOf('iqn.2026-11.test:there');
  there.hide();
  t.is(reach(here, [here, there], peer, false, naaOf(there)), null);
});

test('of two units with one identity the own is meant, as the session may use it', (t) => {
  const here = targetOf('iqn.2026-11.test:here');
  const twin = targetOf('iqn.2026-11.test:twin', {}, naaOf(here));
  const found = reach(here, [twin, here], peer, true, naaOf(here));
  t.is(found?.unit, unitOf(here));
  t.true(found?.readOnly);
});
